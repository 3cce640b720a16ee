"""Arrow's tables as blocks: what Parquet, Feather, JSON, SQL and DataFrames have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from input_fns import blocks, column_names, errors, list_cells

BLOCK_ROWS = 8192
_BLOCK_CELLS = 1 << 19
_MAX_BLOCK_ROWS = 1 << 15


def check_columns(path: str, schema: pa.Schema) -> tuple[str, ...]:
    """The names of a table's columns.

    Raises:
        FileError: there is none, or a name stands twice.
        SchemaError: a column is of a type that no feature has.
    """
    names = tuple(schema.names)
    if not names:
        raise errors.FileError(f"{path} has no column. Remove the file or make it again.")
    twice = column_names.repeated(names)
    if twice:
        raise errors.FileError(
            f"{path} names {', '.join(map(repr, twice))} more than once. Rename or remove the columns that repeat."
        )
    for field in schema:
        inner = field.type.value_type if list_cells.is_list(field.type) else field.type
        if pa.types.is_nested(inner) or pa.types.is_interval(inner):
            raise errors.SchemaError(
                f"{path}: column {field.name!r} is of type {field.type}. Expected numbers, text, times, or lists of "
                "them; flatten the column, or leave it out."
            )
    return names


def block_rows(num_columns: int) -> int:
    """Rows a block: of few columns more, since each costs something by the block; of many fewer, to bound memory."""
    return max(1024, min(_MAX_BLOCK_ROWS, _BLOCK_CELLS // max(num_columns, 1)))


def to_blocks(
    path: str, first_row: int, batches: Iterator[pa.RecordBatch], columns: Sequence[str]
) -> Iterator[blocks.RawBlock]:
    """The batches' rows as blocks, the first of them numbered `first_row`.

    Lists of numbers that all have one length become a NumPy array of `[n, length]`, tensors of fixed shape one of
    `[n, *shape]`; other lists stay what they are.
    """
    size = block_rows(len(columns))
    for batch in batches:
        for start in range(0, batch.num_rows, size):
            part = batch.slice(start, size)
            rows = np.arange(first_row, first_row + part.num_rows)
            yield to_block(path, rows, part, columns)
            first_row += part.num_rows


def to_block(
    path: str, rows: np.ndarray, batch: pa.RecordBatch, columns: Sequence[str]
) -> blocks.RawBlock:
    """One batch as a block; see `to_blocks`.

    Args:
        path: the file.
        rows: [n] the rows' 1-based numbers in it.
        batch: [n] rows.
        columns: those to take, in the block's order.
    """
    cells = {name: to_cells(path, name, batch.column(name)) for name in columns}
    return blocks.RawBlock(path, rows, cells)


def to_cells(path: str, name: str, column: pa.Array) -> pa.Array | np.ndarray:
    """A column as a block's cells; see `to_blocks`.

    Args:
        path: the file, for an error.
        name: of the column, likewise.
        column: [n] Arrow array.

    Raises:
        SchemaError: a tensor of fixed shape is missing in a row, or holds a null.
    """
    kind = column.type
    if isinstance(column, pa.FixedShapeTensorArray):
        stacked = _stack(column.storage)
        if stacked is None:
            raise errors.SchemaError(
                f"{path}: column {name!r} holds tensors with nulls. Expected numbers in all rows."
            )
        return stacked.reshape(-1, *kind.shape)
    if isinstance(column, pa.ExtensionArray):
        return to_cells(path, name, column.storage)
    if kind == pa.string_view():  # as polars has text
        return _from_views(column, pa.string())
    if not list_cells.is_list(kind):
        return column
    if kind.value_type == pa.string_view():
        return _from_views(column, pa.large_list(pa.string()))
    stacked = _stack(column)
    return column if stacked is None else stacked


def as_numbers(values: np.ndarray) -> np.ndarray:
    """Numbers and truth values as int64 or, if they are fractions or past the largest int64, float32."""
    is_past = values.dtype == np.uint64 and (values > np.iinfo(np.int64).max).any()
    return values.astype(
        np.float32 if values.dtype.kind == "f" or is_past else np.int64, copy=False
    )


def _stack(column: pa.Array) -> np.ndarray | None:
    """Lists of numbers of one length as `[n, length]`; None for others."""
    lengths = pc.list_value_length(column)
    low, high = pc.min_max(lengths).as_py().values()
    if lengths.null_count or low != high or not low:
        return None
    flat = pc.list_flatten(column)
    if flat.null_count or not (
        pa.types.is_integer(flat.type)
        or pa.types.is_floating(flat.type)
        or pa.types.is_boolean(flat.type)
    ):
        return None
    return as_numbers(flat.to_numpy(zero_copy_only=False)).reshape(-1, low)


def _from_views(column: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return column.cast(kind)
    except pa.ArrowNotImplementedError:  # by pyarrow 17
        return pa.array(column.to_pylist(), kind)
