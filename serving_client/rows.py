"""Rows of a CSV or JSON-lines file in; answers as JSON lines or CSV out."""

import base64
import binascii
import contextlib
import csv
import dataclasses
import gzip
import json
import os
import pathlib
import sys
from typing import IO, Any, Callable, Iterator, Mapping, Optional, cast
import zlib

import numpy as np

from serving_client import errors

CSV = "csv"
JSONL = "jsonl"
FORMATS = (CSV, JSONL)
STANDARD = "-"


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the input.

    Attributes:
        number: Its place, from 1, the header not counted.
        values: Value by column.
        is_text: Whether all values are text whose type has to be guessed, as in CSV; JSON says
            types itself.
    """

    number: int
    values: Mapping[str, Any]
    is_text: bool


def file_format(path: str, wanted: Optional[str]) -> str:
    """Returns `csv` or `jsonl`: wanted, or by the end of the path.

    Raises:
        errors.InputError: Neither says it.
    """
    if wanted:
        return wanted
    suffixes = [suffix for suffix in pathlib.Path(path).suffixes if suffix != ".gz"]
    if suffixes and suffixes[-1].lstrip(".") in FORMATS:
        return suffixes[-1].lstrip(".")
    raise errors.InputError(
        f"{path!r} does not end in .csv or .jsonl (or .csv.gz, .jsonl.gz); say what it is with "
        "--format."
    )


def read(path: str, wanted_format: Optional[str] = None) -> Iterator[Row]:
    """Yields the rows of a file, of standard input for `-`.

    Raises:
        errors.InputError: The file cannot be read, or a row is not one of its format; with file, row
            and what is wrong.
    """
    reader = _read_csv if file_format(path, wanted_format) == CSV else _read_jsonl
    try:
        with _open_input(path) as lines:
            yield from reader(path, lines)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise errors.InputError(f"{path} is not a whole gzip file: {error}.") from error
    except UnicodeDecodeError as error:
        raise errors.InputError(f"{path} is not UTF-8 text: {error}.") from error
    except OSError as error:
        raise errors.InputError(f"{path} cannot be read: {error.strerror or error}.") from error


@contextlib.contextmanager
def _open_input(path: str) -> Iterator[IO[str]]:
    """Opens a file, or standard input, as text; closes what it opened."""
    if path == STANDARD:
        yield sys.stdin
    elif path.endswith(".gz"):
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as lines:
            yield lines
    else:
        with open(path, encoding="utf-8-sig", newline="") as lines:
            yield lines


def _read_csv(path: str, lines: IO[str]) -> Iterator[Row]:
    """Yields the rows of CSV with a header; empty lines are skipped."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise errors.InputError(f"{path} is empty; expected a header line with column names.")
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise errors.InputError(
                f"{path} names {', '.join(map(repr, twice))} more than once in its header. Rename or "
                "remove the columns that repeat."
            )
        number = 0
        for cells in reader:
            if not cells:
                continue
            number += 1
            if len(cells) != len(header):
                raise errors.InputError(
                    f"{path}, row {number}: {len(cells)} values for {len(header)} columns."
                )
            yield Row(number, dict(zip(header, cells)), is_text=True)
    except csv.Error as error:
        raise errors.InputError(f"{path}, line {reader.line_num}: {error}.") from error


def _read_jsonl(path: str, lines: IO[str]) -> Iterator[Row]:
    """Yields the objects of JSON lines; empty lines are skipped."""
    number = 0
    for line in lines:
        if not line.strip():
            continue
        number += 1
        try:
            values = json.loads(line)
        except ValueError as error:
            raise errors.InputError(f"{path}, row {number}: not JSON: {error}.") from error
        if not isinstance(values, dict):
            raise errors.InputError(
                f'{path}, row {number}: expected an object such as {{"age": 39}}; got '
                f"{line.strip()[:60]!r}."
            )
        try:
            values = {name: _decode_b64(value) for name, value in values.items()}
        except (binascii.Error, ValueError, TypeError) as error:
            raise errors.InputError(f"{path}, row {number}: bad b64 value: {error}.") from error
        yield Row(number, values, is_text=False)


def _decode_b64(value: Any) -> Any:
    """Returns value with every {"b64": text} in it as bytes, the REST API's way of writing them."""
    if isinstance(value, list):
        return [_decode_b64(item) for item in value]
    if isinstance(value, dict) and value.keys() == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    return value


@contextlib.contextmanager
def open_output(path: str, wanted_format: Optional[str] = None) -> Iterator[Callable]:
    """Gives a function that writes the answer to one row.

    The function takes the row's number and its outputs, a value or nested list by name. A file is
    written beside its place and renamed when all is written; after an error nothing is left of it.

    Args:
        path: File to write, compressed if it ends in .gz; `-` is standard output.
        wanted_format: `csv` or `jsonl`; None goes by the path, and is jsonl on standard output.

    Raises:
        errors.InputError: There is no place for the file.
        errors.ClientError: Writing it fails.
    """
    if path == STANDARD:
        yield _writer(sys.stdout, wanted_format or JSONL)
        sys.stdout.flush()
        return
    chosen = file_format(path, wanted_format)
    place = pathlib.Path(path)
    beside = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with _open_for_writing(beside, path.endswith(".gz")) as lines:
            yield _writer(lines, chosen)
        os.replace(beside, place)
    except OSError as error:
        unusable = isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError))
        cls = errors.InputError if unusable else errors.ClientError
        raise cls(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _open_for_writing(path: pathlib.Path, compressed: bool) -> IO[str]:
    """Returns a new text file."""
    if compressed:
        return cast(IO[str], gzip.open(path, "wt", encoding="utf-8", newline=""))
    return open(path, "w", encoding="utf-8", newline="")


def _writer(lines: IO[str], chosen: str) -> Callable[[int, Mapping[str, Any]], None]:
    """Returns the function that writes one answer as a line."""
    if chosen == JSONL:

        def write_json(number: int, outputs: Mapping[str, Any]) -> None:
            line = {"row": number, "outputs": outputs}
            lines.write(json.dumps(line, default=_plain, ensure_ascii=False) + "\n")

        return write_json

    table = csv.writer(lines, lineterminator="\n")
    header: list[str] = []

    def write_csv(number: int, outputs: Mapping[str, Any]) -> None:
        cells = {"row": number, **_flatten(outputs)}
        if not header:
            header.extend(cells)
            table.writerow(header)
        if list(cells) != header:
            raise errors.InputError(
                f"Row {number} has other output columns ({', '.join(cells)}) than the first row "
                f"({', '.join(header)}); write .jsonl instead."
            )
        table.writerow(cells.values())

    return write_csv


def _plain(value: Any) -> Any:
    """Returns arrays as lists, numpy numbers as Python's, bytes as text, for JSON."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.name == "bfloat16":
            value = value.astype(np.float32)
        if value.dtype in (np.float16, np.float32):
            # By way of the shortest text that means the same number: 0.1, not 0.10000000149011612.
            return np.asarray(value).astype(str).astype(np.float64).tolist()
        return value.tolist()
    if isinstance(value, complex):
        return [value.real, value.imag]
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")


def _flatten(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns one cell a scalar: `name` for a scalar, `name_0`, `name_1`, ... for the others."""
    cells: dict[str, Any] = {}
    for name, value in outputs.items():
        value = _plain(value) if isinstance(value, (np.ndarray, np.generic)) else value
        elements = np.asarray(value, dtype=object)
        texts = [
            _plain(element) if isinstance(element, bytes) else element
            for element in elements.reshape(-1).tolist()
        ]
        if elements.ndim == 0:
            cells[name] = texts[0]
        else:
            cells.update({f"{name}_{place}": text for place, text in enumerate(texts)})
    return cells
