"""All rows of a source held ready: in memory, or in files that are mapped into it.

The files are one for each column, with the rows one behind the other; a directory of them is written beside its place
and renamed, and used again while the data, the schema and what is read of it are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import itertools
import json
import logging
import os
import shutil
import tempfile
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import feather

from input_fns import blocks, errors, row_streams
from input_fns import settings as settings_lib

_INDEX = "rows.json"
_LAYOUT = 2  # of the files; those of another layout are written anew
_MAX_VALUES = 1_000_000  # different values of a text column, which are held in memory

_logger = logging.getLogger(__name__)


def hold(
    reader: row_streams.Reader, settings: settings_lib.InputSettings
) -> tuple[blocks.Block | None, Iterator[blocks.Block]]:
    """The rows as `settings.cache` asks for them.

    "auto" holds them in memory if they take up to `cache_limit_gb`, else in files, if there is a `cache_dir` and the
    rows can be held in it, else not at all.

    Returns:
        all rows, or None; and, if None, a stream of them.

    Raises:
        InputError: there is no row, no place for the files, or text that cannot be held in them.
    """
    limit = settings.cache_limit_gb * 1e9 if settings.cache == "auto" else None
    if settings.cache == "file":
        return _in_files(reader, settings), iter(())
    held: list[blocks.Block] = []
    size = 0.0
    stream = reader.read()
    for block in stream:
        held.append(block)
        size += block.nbytes
        if limit is not None and size > limit:
            break
    else:
        row_streams.require_rows(len(held))
        return blocks.concat(held), iter(())
    if settings.cache_dir:
        del held, stream
        try:
            return _in_files(reader, settings), iter(())
        except errors.SettingsError as error:
            _logger.warning("The rows are not cached, but read in each epoch: %s", error)
            return None, reader.read()
    return None, itertools.chain(held, stream)


def _in_files(reader: row_streams.Reader, settings: settings_lib.InputSettings) -> blocks.Block:
    if not settings.cache_dir:
        raise errors.SettingsError(
            "--cache=file needs a directory for the rows, found none. Pass --cache_dir, or --cache=memory."
        )
    directory = os.path.join(settings.cache_dir, f"rows-{reader.place[:16]}")
    fingerprint = reader.fingerprint
    if fingerprint is not None and _read_index(directory).get("fingerprint") == fingerprint:
        with contextlib.suppress(FileNotFoundError):  # another job is just replacing them
            return _open(directory)
    try:
        os.makedirs(settings.cache_dir, exist_ok=True)
        temporary = tempfile.mkdtemp(prefix=f"{directory}.", suffix=".tmp")
        try:
            _write(temporary, reader.read(), fingerprint)
            # What is mapped stays when the files are moved, or removed because another job was the first.
            block = _open(temporary)
            shutil.rmtree(directory, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.replace(temporary, directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise errors.SettingsError(
            f"Expected to write the cache {directory}, found: {error.strerror or error}. Make room or choose another "
            "--cache_dir."
        ) from error
    return block


def _write(directory: str, stream: Iterator[blocks.Block], fingerprint: str | None) -> None:
    writers: dict[str, _ColumnWriter] = {}
    count = 0
    try:
        for block in stream:
            for number, (name, column) in enumerate(block.columns.items()):
                if name not in writers:
                    writers[name] = _ColumnWriter(os.path.join(directory, f"{number}"), name)
                writers[name].add(column)
            count += block.num_rows
    finally:
        columns = {name: writer.close() for name, writer in writers.items()}
    row_streams.require_rows(count)
    index = {"layout": _LAYOUT, "fingerprint": fingerprint, "num_rows": count, "columns": columns}
    with open(os.path.join(directory, _INDEX), "w", encoding="utf-8") as file:
        json.dump(index, file)


class _Array:
    """A file of numbers that grows."""

    def __init__(self, path: str) -> None:
        self._path, self._file = path, open(path, "wb")
        self._dtype = ""
        self._shape: tuple[int, ...] = ()
        self._count = 0

    def add(self, values: np.ndarray) -> None:
        """Appends `[n, ...]` values."""
        self._dtype, self._shape = values.dtype.str, values.shape[1:]
        self._count += len(values)
        self._file.write(np.ascontiguousarray(values).data)

    def close(self) -> dict[str, Any]:
        """What `_map` needs to know."""
        self._file.close()
        name = os.path.basename(self._path)
        return {"file": name, "dtype": self._dtype, "shape": (self._count, *self._shape)}


class _ColumnWriter:
    """One column's rows, one behind the other; of text codes into a table, of lists also where each of them ends."""

    def __init__(self, path: str, name: str) -> None:
        self._path, self._name = path, name
        self._numbers = _Array(path)
        self._ends: _Array | None = None
        self._end = 0
        self._texts: dict[bytes, int] | None = None
        self._fixed = False

    def add(self, column: blocks.Column) -> None:
        """Appends some rows."""
        if isinstance(column, blocks.Lists):
            if self._ends is None:
                self._ends = _Array(f"{self._path}.offsets")
                self._ends.add(np.zeros(1, np.int64))
            self._ends.add(column.offsets[1:] + self._end)
            self._end += int(column.offsets[-1])
            column = column.values
        self._numbers.add(self._encode(column) if isinstance(column, blocks.Strings) else column)

    def close(self) -> dict[str, Any]:
        """Writes what is left; what `_open` needs to know."""
        if self._texts is not None:
            table = pa.table({"value": pa.array(self._texts, pa.large_binary())})
            feather.write_feather(table, f"{self._path}.values")
        return {
            "numbers": self._numbers.close(),
            "offsets": self._ends.close() if self._ends else None,
            "texts": f"{os.path.basename(self._path)}.values" if self._texts is not None else None,
            "fixed": self._fixed,
        }

    def _encode(self, column: blocks.Strings) -> np.ndarray:
        if self._texts is None:
            self._texts, self._fixed = {}, column.fixed
        texts = self._texts
        codes = [texts.setdefault(text, len(texts)) for text in column.values]
        if len(texts) > _MAX_VALUES:
            raise errors.SettingsError(
                f"Column {self._name!r} has more than {_MAX_VALUES} different values, which a file cache would hold in "
                "memory. Pass --cache=none."
            )
        return np.array(codes, np.int32)[column.codes]


def _read_index(directory: str) -> dict[str, Any]:
    try:
        with open(os.path.join(directory, _INDEX), encoding="utf-8") as file:
            index: dict[str, Any] = json.load(file)
            return index if index.get("layout") == _LAYOUT else {}
    except (OSError, ValueError):
        return {}


def _open(directory: str) -> blocks.Block:
    index = _read_index(directory)
    columns = {name: _map(directory, entry) for name, entry in index["columns"].items()}
    return blocks.Block(index["num_rows"], columns)


def _map(directory: str, entry: dict[str, Any]) -> blocks.Column:
    numbers = _map_array(directory, entry["numbers"])
    column: np.ndarray | blocks.Strings = numbers
    if entry["texts"]:
        path = os.path.join(directory, entry["texts"])
        texts = feather.read_table(path, memory_map=False)["value"].to_pylist()
        column = blocks.Strings(numbers, blocks.as_objects(texts), entry["fixed"])
    if entry["offsets"]:
        return blocks.Lists(_map_array(directory, entry["offsets"]), column)
    return column


def _map_array(directory: str, entry: dict[str, Any]) -> np.ndarray:
    shape = tuple(entry["shape"])
    if not shape[0]:  # an empty file cannot be mapped
        return np.empty(shape, entry["dtype"])
    return np.asarray(
        np.memmap(os.path.join(directory, entry["file"]), entry["dtype"], "r", shape=shape)
    )
