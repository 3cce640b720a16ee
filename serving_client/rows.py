"""Rows of a CSV, JSON-lines or Parquet file."""

import base64
import binascii
import csv
import dataclasses
import gzip
import io
import json
import os
import pathlib
import sys
from typing import IO, Any, Iterator, Mapping, Optional, cast
import zlib

from serving_client import errors, parquet_rows

CSV = "csv"
JSONL = "jsonl"
PARQUET = "parquet"
FORMATS = (CSV, JSONL, PARQUET)
STANDARD = "-"


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the input.

    Attributes:
        number: Its place, from 1, the header not counted.
        values: Value by column; none if the row cannot be read.
        is_text: Whether all values are text whose type has to be guessed, as in CSV; JSON and
            Parquet say types themselves.
        problem: Why the row cannot be read, with file and place; "" if it can.
    """

    number: int
    values: Mapping[str, Any]
    is_text: bool
    problem: str = ""


def ending(path: str) -> str:
    """Returns how the name of a file ends, without `.gz` and the point; "" for no such end."""
    suffixes = [suffix for suffix in pathlib.Path(path).suffixes if suffix != ".gz"]
    return suffixes[-1].lstrip(".") if suffixes else ""


def file_format(path: str, wanted: Optional[str]) -> str:
    """Returns `csv`, `jsonl` or `parquet`: wanted, or by the end of the path.

    Raises:
        errors.InputError: Neither says it, or a stream is said to be Parquet.
    """
    chosen = wanted or ending(path)
    if chosen not in FORMATS:
        raise errors.InputError(
            f"{path!r} does not end in .csv, .jsonl (or .csv.gz, .jsonl.gz) or .parquet; say what it "
            "is with --format."
        )
    if chosen == PARQUET and (path == STANDARD or path.endswith(".gz")):
        raise errors.InputError(
            f"Parquet is read from its end, so --input must be a plain file; got {path!r}."
        )
    return chosen


class RowFile:
    """The rows of a file, of standard input for `-`, read once from beginning to end.

    A row that is not one of its format has a problem and no values; a file that cannot be read to
    its end is an error.
    """

    def __init__(self, path: str, wanted_format: Optional[str] = None) -> None:
        """Opens nothing yet.

        Args:
            path: The file; text is unpacked if the name ends in .gz.
            wanted_format: One of FORMATS; None goes by the path.

        Raises:
            errors.InputError: The format is not known.
        """
        self.path = path
        self._format = file_format(path, wanted_format)
        self._raw: Optional[IO[bytes]] = None
        self._parquet: Optional[parquet_rows.ParquetRows] = None

    def fraction(self) -> Optional[float]:
        """Returns how much of the file has been read, 0 to 1; None for a stream and before it is open."""
        if self._parquet:
            return self._parquet.fraction()
        if self._raw is None:
            return None
        if self._raw.closed:
            return 1.0
        size = os.fstat(self._raw.fileno()).st_size
        return min(1.0, self._raw.tell() / size) if size else None

    def close(self) -> None:
        """Closes the file, also if it is not read to its end."""
        if self._raw:
            self._raw.close()
        if self._parquet:
            self._parquet.close()

    def __iter__(self) -> Iterator[Row]:
        """Yields the rows.

        Raises:
            errors.InputError: The file cannot be read, or has no right header; with the file and what
                is wrong.
        """
        path = self.path
        try:
            if self._format == PARQUET:
                self._parquet = parquet_rows.ParquetRows(path)
                for number, values in enumerate(self._parquet, 1):
                    yield Row(number, values, is_text=False)
            elif path == STANDARD:
                yield from self._read_text(sys.stdin)
            else:
                with open(path, "rb") as self._raw:
                    packed = path.endswith(".gz")
                    data = (
                        cast(IO[bytes], gzip.GzipFile(fileobj=self._raw)) if packed else self._raw
                    )
                    with io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as lines:
                        yield from self._read_text(lines)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise errors.InputError(f"{path} is not a whole gzip file: {error}.") from error
        except UnicodeDecodeError as error:
            raise errors.InputError(f"{path} is not UTF-8 text: {error}.") from error
        except OSError as error:
            raise errors.InputError(f"{path} cannot be read: {error.strerror or error}.") from error

    def _read_text(self, lines: IO[str]) -> Iterator[Row]:
        """Yields the rows of text."""
        return (_read_csv if self._format == CSV else _read_jsonl)(self.path, lines)


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
            if len(cells) == len(header):
                yield Row(number, dict(zip(header, cells)), is_text=True)
            else:
                problem = f"{path}, row {number}: {len(cells)} values for {len(header)} columns."
                yield Row(number, {}, is_text=True, problem=problem)
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
            yield Row(number, _json_object(line), is_text=False)
        except ValueError as error:
            problem = f"{path}, row {number}: {error}."
            yield Row(number, {}, is_text=False, problem=problem)


def _json_object(line: str) -> dict[str, Any]:
    """Returns the values of one line.

    Raises:
        ValueError: It is no JSON object, or has a bad b64 value.
    """
    try:
        values = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f'expected an object such as {{"age": 39}}; got {line.strip()[:60]!r}')
    try:
        return {name: _decode_b64(value) for name, value in values.items()}
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValueError(f"bad b64 value: {error}") from error


def _decode_b64(value: Any) -> Any:
    """Returns value with every {"b64": text} in it as bytes, the REST API's way of writing them."""
    if isinstance(value, list):
        return [_decode_b64(item) for item in value]
    if isinstance(value, dict) and value.keys() == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    return value


def encode_b64(value: Any) -> Any:
    """Returns value with all bytes in it as {"b64": text}, so that it can be read again."""
    if isinstance(value, list):
        return [encode_b64(item) for item in value]
    if isinstance(value, Mapping):
        return {name: encode_b64(item) for name, item in value.items()}
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value
