"""Answers as text: one line of JSON or of CSV for each row."""

import csv
import io
import json
from typing import Any, Mapping, Optional, Protocol, Sequence

import numpy as np

from serving_client import errors
from serving_client import rows as rows_lib

FORMATS = (rows_lib.CSV, rows_lib.JSONL)
_ROW = "row"


def file_format(path: str) -> str:
    """Returns `csv` or `jsonl` by the end of the path of a file to write.

    Raises:
        errors.InputError: It ends otherwise.
    """
    ending = rows_lib.ending(path)
    if ending in FORMATS:
        return ending
    raise errors.InputError(
        f"{path!r} does not end in .csv or .jsonl (or .csv.gz, .jsonl.gz); answers are written in "
        "no other format."
    )


class Lines(Protocol):
    """Writes answers in one format.

    Attributes:
        header: The columns, once they are known; none where the format has no header.
    """

    header: list[str]

    def text(self, number: int, key: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
        """Returns the lines of one answer.

        Args:
            number: The row's number.
            key: Columns of the row that are repeated beside its answer.
            outputs: Value, array or nested list by output name.
        """


def lines(chosen: str, header: Optional[Sequence[str]] = None) -> Lines:
    """Returns what writes answers as `csv` or `jsonl`.

    Args:
        chosen: The format.
        header: The columns of the lines that are already written; None if none is.
    """
    return JsonLines() if chosen == rows_lib.JSONL else CsvLines(list(header or ()))


class JsonLines:
    """An object a line: `{"row": 1, "key": {...}, "outputs": {...}}`, without `key` if there is none."""

    def __init__(self) -> None:
        self.header: list[str] = []

    def text(self, number: int, key: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
        """Returns one line; see `Lines`."""
        found = {_ROW: number, **({"key": key} if key else {}), "outputs": outputs}
        return json.dumps(found, default=plain, ensure_ascii=False) + "\n"


class CsvLines:
    """A column for the row's number, each column of the key and each number of the outputs."""

    def __init__(self, header: list[str]) -> None:
        self.header = header
        self._buffer = io.StringIO()
        self._table = csv.writer(self._buffer, lineterminator="\n")

    def text(self, number: int, key: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
        """Returns one line, after the header if it is the first; see `Lines`.

        Raises:
            errors.InputError: Its columns are not those of the first, or a name stands twice.
        """
        cells = _flatten(outputs)
        before = {_ROW: number, **_flatten(key)}
        twice = sorted((cells.keys() & before.keys()) | (key.keys() & {_ROW}))
        if twice:
            raise errors.InputError(
                f"The answers would have two columns {twice[0]!r}; rename it in the input, or write "
                ".jsonl instead."
            )
        cells = {**before, **cells}
        if not self.header:
            self.header.extend(cells)
            self._table.writerow(self.header)
        if list(cells) != self.header:
            raise errors.InputError(
                f"Row {number} has other output columns ({', '.join(cells)}) than the first row "
                f"({', '.join(self.header)}); write .jsonl instead."
            )
        self._table.writerow(cells.values())
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text


def plain(value: Any) -> Any:
    """Returns arrays as lists, numpy numbers as Python's, bytes and all else as text, for JSON."""
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
    return str(value)  # dates, times and decimal numbers of Parquet


def _flatten(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns one cell a scalar: `name` for a scalar, `name_0`, `name_1`, ... for the others."""
    cells: dict[str, Any] = {}
    for name, value in outputs.items():
        value = plain(value) if isinstance(value, (np.ndarray, np.generic)) else value
        if isinstance(value, list):
            elements = enumerate(_scalars(value))
            cells.update({f"{name}_{place}": _cell(element) for place, element in elements})
        else:
            cells[name] = _cell(value)
    return cells


def _scalars(value: Any) -> list[Any]:
    """Returns the elements of nested lists as one list."""
    if isinstance(value, list):
        return [element for item in value for element in _scalars(item)]
    return [value]


def _cell(value: Any) -> Any:
    """Returns a scalar as a cell of CSV."""
    return plain(value) if isinstance(value, bytes) else value
