"""Cells that are lists, each row's of its own length, taken apart into lengths and values.

Where lists are expected, a single value is a list of one, as in a tf.Example, and an empty cell an empty list.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def is_list(kind: pa.DataType) -> bool:
    """Whether a value of that Arrow type is a list."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def are_lists(cells: pa.Array | np.ndarray) -> bool:
    """Whether each cell is a list of values: of any length, or all of one."""
    return cells.ndim == 2 if isinstance(cells, np.ndarray) else is_list(cells.type)


def flatten(cells: pa.Array | np.ndarray) -> tuple[np.ndarray, pa.Array]:
    """How many values each cell has, and all of them.

    Args:
        cells: [n] Arrow array of lists or single values, or [n, k] NumPy array of int64 or float32.

    Returns:
        [n] int64 lengths, and [lengths.sum()] Arrow array of the values, a null where a list has one.
    """
    if isinstance(cells, np.ndarray):
        rows = len(cells)
        lengths = np.full(rows, cells.size // rows if rows else 0, np.int64)
        return lengths, pa.array(np.ascontiguousarray(cells).reshape(-1))
    if is_list(cells.type):
        lengths = pc.fill_null(pc.list_value_length(cells), 0)
        return lengths.to_numpy(zero_copy_only=False).astype(np.int64), pc.list_flatten(cells)
    filled = _is_filled(cells)
    return filled.astype(np.int64), cells.filter(pa.array(filled))


def rows_with(flags: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """[n] bool, the rows of which a value is flagged.

    Args:
        flags: [lengths.sum()] bool, one a value.
        lengths: [n] int64, how many values each row has.
    """
    found = np.zeros(len(lengths), bool)
    if flags.any():
        found[np.repeat(np.arange(len(lengths)), lengths)[flags]] = True
    return found


def _is_filled(cells: pa.Array) -> np.ndarray:
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    filled: np.ndarray = cells.is_valid().to_numpy(zero_copy_only=False)
    types = pa.types
    if types.is_floating(cells.type):
        filled = filled & ~np.isnan(pc.fill_null(cells, 0.0).to_numpy(zero_copy_only=False))
    elif types.is_string(cells.type) or types.is_binary(cells.type):
        filled = filled & (pc.fill_null(pc.binary_length(cells), 0).to_numpy(False) > 0)
    return filled
