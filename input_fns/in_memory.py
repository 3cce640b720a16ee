"""Columns in memory as the cells of a block: NumPy arrays, and lists of Python's own values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import datetime
import decimal
import numbers
from typing import Any

import numpy as np
import pyarrow as pa

from input_fns import arrow_tables, blocks, errors

_BLOCK_BYTES = 8 << 20
_MISSING = ("NoneType", "NAType", "NaTType")  # the latter are pandas'
_KINDS = (
    ((str, bytes), "text"),
    ((bool, np.bool_), "bool"),
    (numbers.Integral, "int"),
    ((numbers.Real, decimal.Decimal), "float"),
    ((list, tuple), "array"),
)


def check_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Holds the arrays of a file, or what else `path` names, against what columns can be.

    Args:
        path: for the error.
        arrays: column name -> [n, ...] array; objects and text of rank 1 alone.

    Raises:
        FileError: there is none, they are of different lengths, or one is of a type that no feature has.
    """
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(not shape for shape in shapes.values()) or len({s[0] for s in shapes.values()}) > 1:
        shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise errors.FileError(
            f"{path} holds arrays of different lengths: {shown}. Expected as many rows in each."
        )
    if not arrays or not next(iter(shapes.values()))[0]:
        raise errors.EmptyFileError(f"{path} holds no row. Remove the file or give it rows.")
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" and (array.dtype.kind not in "SUO" or array.ndim > 1):
            raise errors.FileError(
                f"{path}: array {name!r} is {array.dtype} of shape {array.shape}. Expected numbers, or text of "
                "one dimension."
            )
        if not array.size:
            raise errors.FileError(
                f"{path}: array {name!r} of shape {array.shape} holds no value. Expected one or more a row."
            )


def to_blocks(
    path: str, arrays: Mapping[str, np.ndarray], columns: Sequence[str], first_row: int = 1
) -> Iterator[blocks.RawBlock]:
    """The rows of arrays that `check_arrays` lets pass, in order, some megabytes at a time.

    Args:
        path: the file.
        arrays: column name -> [n, ...] array.
        columns: those to take.
        first_row: the number of the first row.
    """
    count = len(arrays[columns[0]])
    row_bytes = sum(8 * arrays[name][:1].size for name in columns)  # at most, as cells
    size = max(1, min(arrow_tables.BLOCK_ROWS, _BLOCK_BYTES // row_bytes))
    for start in range(0, count, size):
        end = min(count, start + size)
        cells = {name: from_array(path, name, arrays[name][start:end]) for name in columns}
        yield blocks.RawBlock(path, np.arange(start, end) + first_row, cells)


def from_array(path: str, name: str, values: np.ndarray) -> pa.Array | np.ndarray:
    """An array as cells: of rank 1 an Arrow array, else int64 or float32.

    Bytes of three and more dimensions are images, and become float32 in [0, 1].

    Args:
        path: the file, for an error.
        name: of the column, likewise.
        values: [n, ...] array.

    Raises:
        SchemaError: objects are arrays of different shapes of two or more dimensions.
    """
    if values.dtype.kind == "O":
        return from_values(path, name, values.tolist())
    if values.ndim == 1:
        if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
            values = values.astype(np.float32)
        if values.dtype.kind == "S":
            return from_values(path, name, values.tolist())
        return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))
    if values.dtype == np.uint8 and values.ndim > 2:
        return values.astype(np.float32) / np.float32(255)
    return arrow_tables.as_numbers(values)


def from_values(path: str, name: str, values: Sequence[Any]) -> pa.Array | np.ndarray:
    """Python's values as cells.

    Truth values, whole numbers, numbers and text are typed columns. A `Decimal` without decimals is a whole number,
    bytes are text in UTF-8, dates and times text as ISO 8601 has it, and so is anything else as `str` gives it. Where
    numbers and text stand in one column, all are text that may stand for a number, as in CSV. Lists and arrays of one
    shape become an array, see `from_array`; lists of different lengths, or of text, an Arrow array of lists.

    Args:
        path: the file, for an error.
        name: of the column, likewise.
        values: [n]; None, pandas' NA and NaT, and NaN stand where there is none.

    Raises:
        SchemaError: arrays are of different shapes, or lists stand beside other values.
    """
    types = set(map(type, values))
    if any(kind.__name__ in _MISSING for kind in types):
        values = [None if type(value).__name__ in _MISSING else value for value in values]
    kinds = {_kind(kind) for kind in types if kind.__name__ not in _MISSING}
    if {"float", "text"} <= kinds and any(map(_is_nan, values)):
        return from_values(path, name, [None if _is_nan(value) else value for value in values])
    if not kinds:
        return pa.nulls(len(values))
    if "array" in kinds:
        return _stack(path, name, values)
    if kinds == {"text"}:
        cells = pa.array([_to_bytes(value) for value in values], pa.binary())
        try:
            return cells.cast(pa.string())
        except pa.ArrowInvalid:  # it stays text by its type; which row is not UTF-8 is found later
            return cells.cast(pa.large_binary())
    if "text" in kinds:
        return pa.array([_to_bytes(value) for value in values], pa.binary())
    if kinds == {"bool"}:
        return pa.array([None if value is None else bool(value) for value in values])
    if all(value is None or _is_whole(value) for value in values):
        try:
            return pa.array([None if value is None else int(value) for value in values], pa.int64())
        except OverflowError:
            pass
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _kind(kind: type) -> str:
    named = next((name for types, name in _KINDS if issubclass(kind, types)), None)
    return named or ("array" if hasattr(kind, "__array__") else "text")


def _is_whole(value: Any) -> bool:
    if isinstance(value, decimal.Decimal):
        exponent = value.as_tuple().exponent
        return isinstance(exponent, int) and exponent >= 0
    return isinstance(value, (numbers.Integral, np.bool_))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _to_bytes(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat().encode()
    if isinstance(value, (bool, np.bool_)):
        return b"1" if value else b"0"
    return str(value).encode(
        "utf-8", "surrogatepass"
    )  # half a pair is no UTF-8, which is found later


def _stack(path: str, name: str, values: Sequence[Any]) -> pa.Array | np.ndarray:
    """Lists and arrays, and None, as one array if they are numbers of one shape, else as lists of any length."""
    stacked = None
    if not any(value is None for value in values):
        with contextlib.suppress(ValueError):
            stacked = np.stack([np.asarray(value) for value in values])
    if stacked is not None and (
        stacked.ndim == 1 or (stacked.dtype.kind in "biuf" and stacked.size)
    ):
        return from_array(path, name, stacked)
    if all(value is None or _is_flat(value) for value in values):
        return _to_lists(path, name, values)
    shapes = list(dict.fromkeys(map(_describe_shape, values)))
    raise errors.SchemaError(
        f"{path}: column {name!r} holds arrays or lists of different shapes ({', '.join(shapes[:2])}). Expected "
        "one shape in all rows, or lists of numbers or of text."
    )


def _to_lists(path: str, name: str, values: Sequence[Any]) -> pa.Array:
    """Lists of any length, as an Arrow array of lists of what `from_values` makes of all their values."""
    lists = [None if value is None else list(value) for value in values]
    flat = [item for value in lists if value is not None for item in value]
    items = from_values(path, name, flat)
    assert not isinstance(items, np.ndarray)  # single values are no array
    if pa.types.is_binary(items.type):  # numbers beside text: in a list it is text
        items = items.cast(pa.large_binary())
    offsets = np.cumsum([0, *(0 if value is None else len(value) for value in lists)])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), items)


def _is_flat(value: Any) -> bool:
    """Whether it is a list or an array of single values."""
    if hasattr(value, "__array__"):
        value = list(value) if np.ndim(value) == 1 else None
    return isinstance(value, (list, tuple)) and not any(
        isinstance(item, (list, tuple, dict, np.ndarray)) for item in value
    )


def _describe_shape(value: Any) -> str:
    if value is None:
        return "none"
    try:
        return str(np.shape(value))
    except ValueError:
        return "lists of different lengths"
