"""JSON lines: an object a line, plain or compressed, read in blocks of typed columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import io
import json
from types import NoneType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson

from input_fns import arrow_tables, blocks, errors, files
from input_fns import settings as settings_lib

_BLOCK_BYTES = 1 << 20
_EXPECTED = "JSON lines (an object a line), plain or compressed"


class JsonLinesFormat:
    """See `sources.Format`. The columns are the fields of the objects in the file's first megabyte; one that a row does
    not have, or that is null, is missing there."""

    label = ""

    def columns(self, path: str) -> tuple[str, ...]:
        """The fields, in the order in which they first come."""
        _, lines = next(_line_blocks(path), (0, []))
        if not lines:
            raise errors.EmptyFileError(f"{path} is empty. Expected a JSON object a line.")
        objects = [value for value in map(_parse, lines) if isinstance(value, dict)]
        if not objects:
            raise errors.FileError(
                f"{path} holds no JSON object in its first lines, found {_shorten(lines[0])}. Expected {_EXPECTED}."
            )
        return tuple(dict.fromkeys(name for value in objects for name in value))

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The file as a whole: where its lines begin is not known."""
        return (blocks.Shard(path),)

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows in order. Rows are lines: one that is blank is none, and is counted."""
        known: dict[str, pa.DataType] = {}
        for first_line, lines in _line_blocks(shard.path):
            filled = [i for i, line in enumerate(lines) if line.strip()]
            rows = np.array(filled, np.int64) + first_line
            if len(filled) < len(lines):
                lines = [lines[i] for i in filled]
            if not lines:
                continue
            table = _read_fast(lines, columns, known)
            if table is None:  # numbers that were all whole so far may no longer be
                table = _read_fast(lines, columns, _widen(known))
            if table is None:
                yield _read_each(shard.path, rows, lines, columns, known)
                continue
            known = {f.name: f.type for f in table.schema if _is_told(f.type)}
            arrow_tables.check_columns(shard.path, table.schema)
            yield arrow_tables.to_block(shard.path, rows, table, columns)


def make(settings: settings_lib.InputSettings, role: str) -> JsonLinesFormat:
    """The reader; see `formats.FORMATS`."""
    del settings, role
    return JsonLinesFormat()


def _line_blocks(path: str) -> Iterator[tuple[int, list[bytes]]]:
    """The number of its first line, from 1, and the lines of each block."""
    number = 1
    pieces: list[bytes] = []  # of a line whose end has not come
    try:
        with files.open_stream(path) as stream:
            while data := stream.read(_BLOCK_BYTES):
                pieces.append(data)
                if b"\n" in data:
                    *lines, rest = b"".join(pieces).split(b"\n")
                    yield number, lines
                    number, pieces = number + len(lines), [rest]
        if last := b"".join(pieces):
            yield number, [last]
    except files.DAMAGE as error:
        raise files.unreadable(path, error, _EXPECTED) from error


def _read_fast(
    lines: list[bytes], columns: tuple[str, ...], known: Mapping[str, pa.DataType]
) -> pa.RecordBatch | None:
    """The lines as Arrow understands them; None if there is any that it does not, or that gives a column another type
    than the lines before."""
    data = b"\n".join(lines)
    if not _is_utf8(data):  # Arrow does not look
        return None
    try:
        table = _read_typed(data, known)
        # Arrow takes some text for a time, in one block and not in the next.
        times = {f.name: pa.string() for f in table.schema if pa.types.is_temporal(f.type)}
        for field in table.schema:
            if pa.types.is_list(field.type) and pa.types.is_temporal(field.type.value_type):
                times[field.name] = pa.list_(pa.string())
        if times:
            table = _read_typed(data, {**known, **times})
    except pa.ArrowInvalid:
        return None
    if len(table) != len(lines) or not set(table.column_names) <= set(columns):
        return None
    for name in columns:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table)))
    return table.combine_chunks().to_batches()[0]


def _widen(types: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """The types with numbers instead of whole numbers, in lists too."""
    wider = {pa.int64(): pa.float64(), pa.list_(pa.int64()): pa.list_(pa.float64())}
    return {name: wider.get(kind, kind) for name, kind in types.items()}


def _read_typed(data: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
    return pajson.read_json(
        io.BytesIO(data),
        pajson.ReadOptions(use_threads=False, block_size=len(data) + 1),
        pajson.ParseOptions(
            explicit_schema=pa.schema(list(types.items())) if types else None,
            unexpected_field_behavior="infer",
        ),
    )


def _read_each(
    path: str,
    rows: np.ndarray,
    lines: list[bytes],
    columns: tuple[str, ...],
    known: Mapping[str, pa.DataType],
) -> blocks.RawBlock:
    """The same, line by line: values as text, lines that are no such object apart."""
    good: list[dict[str, Any]] = []
    numbers, bad = [], []
    values = [_parse(line) for line in lines]
    objects = [value for value in values if isinstance(value, dict)]
    kinds = {name: _widen(known).get(name) or _guess_list(objects, name) for name in columns}
    lists = {name: kind for name, kind in kinds.items() if kind and pa.types.is_list(kind)}
    for number, line, value in zip(rows.tolist(), lines, values, strict=True):
        fault = _find_fault(value, columns, lists)
        if fault is None:
            good.append(value)
            numbers.append(number)
            continue
        column, expected = fault
        text = line.decode("utf-8", "backslashreplace")
        shown = json.dumps(value[column]) if column else text
        bad.append(blocks.BadRow(path, number, column, shown, expected, text))
    cells: dict[str, pa.Array] = {}
    for name in columns:
        found = [value.get(name) for value in good]
        if name in lists:
            cells[name] = _to_lists(found, lists[name])
        else:
            cells[name] = pa.array([_as_cell(value) for value in found], pa.binary())
    batch = pa.RecordBatch.from_pydict(cells)
    block = arrow_tables.to_block(path, np.array(numbers, np.int64), batch, columns)
    return dataclasses.replace(block, misshapen=tuple(bad))


def _is_told(kind: pa.DataType) -> bool:
    """Whether the lines had a value from which the column's type shows; an empty list shows none."""
    return kind != pa.null() and not (pa.types.is_list(kind) and kind.value_type == pa.null())


def _guess_list(objects: list[dict[str, Any]], name: str) -> pa.DataType | None:
    """The type of a field that most of the objects give a list; None for another field."""
    found = [value[name] for value in objects if value.get(name) is not None]
    items = [item for value in found if isinstance(value, list) for item in value]
    if 2 * sum(isinstance(value, list) for value in found) <= len(found):
        return None
    texts = sum(isinstance(item, str) for item in items)
    if 2 * texts > len(items) or not items:
        return pa.list_(pa.string())
    return pa.list_(pa.float64())


def _to_lists(values: list[list[Any] | None], kind: pa.DataType) -> pa.Array:
    """Lists that are of that type; numbers that are all whole stay so."""
    items = (item for value in values if value is not None for item in value)
    if kind == pa.list_(pa.float64()) and all(isinstance(item, (int, NoneType)) for item in items):
        with contextlib.suppress(OverflowError, pa.ArrowInvalid):
            return pa.array(values, pa.list_(pa.int64()))
    return pa.array(values, kind)


def _find_fault(
    value: Any, columns: tuple[str, ...], lists: Mapping[str, pa.DataType]
) -> tuple[str, str] | None:
    """The column at fault, empty for the whole line, and what was expected; None for a row that can be read."""
    if not isinstance(value, dict):
        return "", "a JSON object"
    for name, cell in value.items():
        if name not in columns:
            return name, f"one of the fields {', '.join(columns)}"
        if name in lists:
            try:
                pa.array([cell], lists[name])
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
                is_text = lists[name].value_type == pa.string()
                return name, f"a list of {'text' if is_text else 'numbers'}"
        elif isinstance(cell, (dict, list)):
            return name, "one value"
    return None


def _as_cell(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return b"1" if value else b"0"
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(
        "utf-8", "surrogatepass"
    )  # half a pair is no UTF-8, which who reads the column finds


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # the latter of brackets in thousands
        return None


def _shorten(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace").strip()
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
