"""Cells to values, a whole column at a time: text that was read from a file, or Arrow's own types.

The fast path of text is Arrow's own conversion. Only a column that it refuses, or whose values are not
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
        missing: [n] bool, whether the cell is empty, null or NaN of a typed column.
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
        missing: [n] bool, whether the cell is empty or null.
        bad: [n] bool, whether the cell is not UTF-8.
    """

    values: pa.StringArray
    missing: np.ndarray
    bad: np.ndarray


def is_untyped(cells: pa.Array) -> bool:
    """Whether the cells are text that may stand for a number."""
    return pa.types.is_binary(cells.type)


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of numbers or of true and false."""
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    )


def parse_text(cells: pa.Array, trim: bool = False) -> Text:
    """The cells as text; numbers, dates and truth values as Arrow writes them.

    Args:
        cells: [n] Arrow array.
        trim: whether white space around a value is dropped.
    """
    bad = np.zeros(len(cells), bool)
    cells = as_bytes(cells)  # a file's own text need not be UTF-8
    try:
        values = cells.cast(pa.string())  # looks at bytes, not at text
    except pa.ArrowInvalid:
        decoded = [_decode(cell) for cell in cells.to_pylist()]
        bad = np.array([value is None for value in decoded])
        values = pa.array([value or "" for value in decoded], pa.string())
    if values.null_count:
        values = pc.fill_null(values, "")
    if trim:
        values = pc.utf8_trim_whitespace(values)
    missing = (_lengths(values) == 0) & ~bad
    return Text(values, missing, bad)


def parse_numbers(cells: pa.Array) -> Numbers:
    """The cells as numbers.

    Args:
        cells: [n] Arrow array.
    """
    if is_number(cells.type):
        return _typed_numbers(cells)
    if pa.types.is_large_binary(cells.type):  # text by its type, of which a cell may not be UTF-8
        cells = cells.cast(pa.binary())
    if not is_untyped(cells):
        cells = parse_text(cells).values.cast(pa.binary())
    elif cells.null_count:
        cells = pc.fill_null(cells, b"")
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


def as_bytes(cells: pa.Array) -> pa.Array:
    """Text, and lists of it, as bytes that nobody takes for UTF-8; other cells as they are, but no dictionary."""
    types = pa.types
    if types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if types.is_string(cells.type):
        return cells.cast(pa.binary())
    if types.is_large_string(cells.type):
        return cells.cast(pa.large_binary())
    if types.is_list(cells.type) and types.is_string(cells.type.value_type):
        return cells.cast(pa.list_(pa.binary()))
    if types.is_large_list(cells.type) and types.is_string(cells.type.value_type):
        return cells.cast(pa.large_list(pa.binary()))
    return cells


def _typed_numbers(cells: pa.Array) -> Numbers:
    """A column whose type is one of numbers; NaN is a missing value, as pandas writes it."""
    missing = _nulls(cells)
    if not pa.types.is_floating(cells.type) and not pa.types.is_decimal(cells.type):
        try:
            values = _to_numpy(_filled(cells.cast(pa.int64()), 0))
            return Numbers(values, missing, np.zeros(len(cells), bool))
        except pa.ArrowInvalid:  # unsigned, past the largest int64
            pass
    # Whole numbers beyond 2^53 lose their last digits, which is no error here.
    values = _to_numpy(_filled(cells.cast(pa.float64(), safe=False), 0.0))
    undefined = np.isnan(values)
    bad = np.abs(values) > _FLOAT32_MAX
    if undefined.any() or bad.any():
        values = np.where(undefined | bad, 0.0, values)
    return Numbers(values, missing | undefined, bad)


def _nulls(cells: pa.Array) -> np.ndarray:
    """[n] bool, which cells are null."""
    return _to_numpy(cells.is_null()) if cells.null_count else np.zeros(len(cells), bool)


def _filled(cells: pa.Array, value: float) -> pa.Array:
    return pc.fill_null(cells, value) if cells.null_count else cells


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


def _decode(cell: bytes | None) -> str | None:
    if cell is None:
        return ""
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _to_numpy(array: pa.Array) -> np.ndarray:
    return array.to_numpy(zero_copy_only=False)
