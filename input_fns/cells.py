"""Text cells to values, a whole column at a time.

The fast path is Arrow's own conversion. Only a column that it refuses, or whose values are not
finite, is looked at value by value, and then each different value once.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_INTEGER = re.compile(r"[+-]?[0-9]+|0[xX][0-9a-fA-F]{1,15}")  # Arrow reads 0x1F as well
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes:
        values: [n] int64 if all are whole numbers without a point, else float64; 0 where there is
            none.
        missing: [n] bool, whether the cell is empty.
        bad: [n] bool, whether the cell is neither empty nor a finite float32.
    """

    values: np.ndarray
    missing: np.ndarray
    bad: np.ndarray


@dataclasses.dataclass(frozen=True)
class Text:
    """A column of text.

    Attributes:
        values: [n] Arrow string array; "" where the cell is empty or bad.
        missing: [n] bool, whether the cell is empty.
        bad: [n] bool, whether the cell is not UTF-8.
    """

    values: pa.StringArray
    missing: np.ndarray
    bad: np.ndarray


def parse_text(cells: pa.Array, trim: bool = False) -> Text:
    """The cells as text.

    Args:
        cells: [n] binary Arrow array.
        trim: whether white space around a value is dropped.
    """
    bad = np.zeros(len(cells), bool)
    try:
        values = cells.cast(pa.string())
    except pa.ArrowInvalid:
        decoded = [_decode(cell) for cell in cells.to_pylist()]
        bad = np.array([value is None for value in decoded])
        values = pa.array([value or "" for value in decoded], pa.string())
    if trim:
        values = pc.utf8_trim_whitespace(values)
    missing = (_lengths(values) == 0) & ~bad
    return Text(values, missing, bad)


def parse_numbers(cells: pa.Array) -> Numbers:
    """The cells as numbers.

    Args:
        cells: [n] binary Arrow array.
    """
    values = _cast(cells)
    if values is not None:
        none = np.zeros(len(cells), bool)
        return Numbers(values, none, none)
    text = parse_text(cells, trim=True)
    filled = text.values
    if text.missing.any() or text.bad.any():
        filled = pc.if_else(pa.array(text.missing | text.bad), "0", filled)
        values = _cast(filled)
    if values is not None:
        return Numbers(values, text.missing, text.bad)
    values, bad = _parse_each(filled)
    return Numbers(values, text.missing, bad | text.bad)


def _cast(cells: pa.Array) -> np.ndarray | None:
    """The cells as int64 or else float64, if all are finite numbers."""
    try:
        return _to_numpy(cells.cast(pa.int64()))
    except pa.ArrowInvalid:
        pass
    try:
        values = _to_numpy(cells.cast(pa.float64()))
    except pa.ArrowInvalid:
        return None
    # A NaN compares false, so it is found as well.
    return values if (np.abs(values) <= _FLOAT32_MAX).all() else None


def _parse_each(text: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Values and which of them are bad, by looking at each different one."""
    encoded = text.dictionary_encode()
    parsed = [_parse_number(value) for value in encoded.dictionary.to_pylist()]
    bad = np.array([value is None for value in parsed])
    whole = all(isinstance(value, int) for value in parsed if value is not None)
    dtype = np.int64 if whole else np.float64
    values = np.array([0 if value is None else value for value in parsed], dtype)
    codes = _to_numpy(encoded.indices)
    return values[codes], bad[codes]


def _parse_number(value: str) -> int | float | None:
    if _INTEGER.fullmatch(value):
        integer = int(value, 16 if value[1:2] in ("x", "X") else 10)
        if -(2**63) <= integer < 2**63:
            return integer
    if _NUMBER.fullmatch(value):
        number = float(value)
        if abs(number) <= _FLOAT32_MAX:
            return number
    return None


def _lengths(values: pa.StringArray) -> np.ndarray:
    """[n] int32, the bytes of each value; from the array's offsets, a tenth of a kernel's time."""
    offsets = np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, 4 * values.offset)
    return np.diff(offsets)


def _decode(cell: bytes) -> str | None:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _to_numpy(array: pa.Array) -> np.ndarray:
    return array.to_numpy(zero_copy_only=False)
