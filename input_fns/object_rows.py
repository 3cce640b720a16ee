"""Rows of what Python holds in memory or makes on the way: tables, arrays, and anything that gives dicts.

Each kind is a class with `columns`, the names, `label`, the one to learn if the kind tells it, and `read`, which may be
called once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
import itertools
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from input_fns import arrow_tables, blocks, errors, in_memory, list_cells

LABEL = "label"  # of (features, label) pairs
FEATURES = "features"  # of pairs whose features are one array
ACCEPTED = (
    "a DataFrame, an Arrow table, a dict of arrays, a structured NumPy array, a tf.data.Dataset of dicts, or dicts one "
    "by one; or (features, label) pairs, of which features may be a dict or an array"
)
_FIRST_ROWS = 100
_BLOCK_BYTES = 8 << 20


class Rows(Protocol):
    """The rows of one object.

    Attributes:
        columns: their names.
        label: the column to learn; empty where the object does not tell it.
    """

    columns: tuple[str, ...]
    label: str

    def read(self) -> Iterator[blocks.RawBlock]:
        """The rows in order, numbered from 1, in blocks of bounded size."""


class ArrowRows:
    """A table or a stream of Arrow; see `Rows`."""

    label = ""

    def __init__(self, path: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Reads the first batch.

        Raises:
            FileError: there is no row or no column.
            SchemaError: a column is of a type that no feature has.
        """
        self._path, self._batches = path, (batch for batch in batches if batch.num_rows)
        self.columns = arrow_tables.check_columns(path, schema)
        self._first = next(self._batches, None)
        if self._first is None:
            raise no_row(path)

    def read(self) -> Iterator[blocks.RawBlock]:
        """The rows in order."""
        batches = itertools.chain([self._first], self._batches)
        yield from arrow_tables.to_blocks(self._path, 1, batches, self.columns)


class FrameRows:
    """A pandas DataFrame, without its index; see `Rows`. It is converted block by block, so there is no second one."""

    label = ""

    def __init__(self, path: str, frame: Any) -> None:
        """Looks at the names alone."""
        self._path, self._frame = path, frame
        names = [(str(name), pa.null()) for name in frame.columns]
        self.columns = arrow_tables.check_columns(path, pa.schema(names))
        if not len(frame):
            raise no_row(path)

    def read(self) -> Iterator[blocks.RawBlock]:
        """The rows in order."""
        for start in range(0, len(self._frame), arrow_tables.BLOCK_ROWS):
            part = self._frame.iloc[start : start + arrow_tables.BLOCK_ROWS]
            cells = {
                name: _series_to_cells(self._path, name, part.iloc[:, i])
                for i, name in enumerate(self.columns)
            }
            yield blocks.RawBlock(self._path, np.arange(start, start + len(part)) + 1, cells)


class ArrayRows:
    """Arrays, one a column; see `Rows`."""

    def __init__(self, path: str, arrays: Mapping[str, Any], label: Any = None) -> None:
        """Holds the arrays against each other.

        Args:
            path: for errors.
            arrays: column name -> [n, ...] anything that NumPy takes for an array.
            label: [n] likewise, of pairs.

        Raises:
            FileError: they are of different lengths, or not of a type that a feature has.
        """
        self._path, self.label = path, "" if label is None else LABEL
        self._arrays = {str(name): _as_array(array) for name, array in arrays.items()}
        if label is not None:
            check_label(path, self._arrays)
            self._arrays[LABEL] = _as_array(label)
        in_memory.check_arrays(path, self._arrays)
        self.columns = tuple(self._arrays)

    def read(self) -> Iterator[blocks.RawBlock]:
        """The rows in order."""
        yield from in_memory.to_blocks(self._path, self._arrays, self.columns)


class DictRows:
    """Dicts, or pairs of a dict or an array and a label, one by one; see `Rows`.

    The columns are the keys of the first hundred. One that a row does not have, or that is None, is missing there.
    """

    def __init__(self, path: str, elements: Iterable[Any]) -> None:
        """Takes in the first rows.

        Raises:
            FileError: there is none, or it is no dict.
        """
        self._path, self._elements = path, iter(elements)
        self._first = list(itertools.islice(self._elements, _FIRST_ROWS))
        if not self._first:
            raise no_row(path)
        if _to_row(self._first[0]) is None:
            raise errors.FileError(
                f"{path} gives {type(self._first[0]).__name__} objects one by one. Expected dicts of columns, or pairs "
                "of such a dict, or an array, and a label."
            )
        self.label = "" if isinstance(self._first[0], Mapping) else LABEL
        if self.label and isinstance(self._first[0][0], Mapping):
            check_label(path, self._first[0][0])
        rows = filter(None, map(_to_row, self._first))
        self.columns = tuple(dict.fromkeys(name for row in rows for name in row))

    def read(self) -> Iterator[blocks.RawBlock]:
        """The rows in order; an element that is no such dict is a bad row."""
        first = _to_row(self._first[0])
        assert first is not None
        row_bytes = sum(8 * np.size(value) for value in first.values() if _is_array(value))
        size = max(1, min(arrow_tables.BLOCK_ROWS, _BLOCK_BYTES // max(row_bytes, 1)))
        elements = itertools.chain(self._first, self._elements)
        start = 1
        while part := list(itertools.islice(elements, size)):
            yield self._to_block(start, part)
            start += len(part)

    def _to_block(self, start: int, elements: list[Any]) -> blocks.RawBlock:
        good, numbers, bad = [], [], []
        for number, element in enumerate(elements, start):
            row = _to_row(element)
            unknown = "" if row is None else next((n for n in row if n not in self.columns), "")
            if row is not None and not unknown:
                good.append(row)
                numbers.append(number)
            elif row is None:
                text = str(element)
                bad.append(blocks.BadRow(self._path, number, "", text, "a dict of columns", text))
            else:
                expected = f"one of the columns {', '.join(self.columns)}"
                bad.append(
                    blocks.BadRow(
                        self._path, number, unknown, str(row[unknown]), expected, str(element)
                    )
                )
        rows = good or [
            _to_row(self._first[0]) or {}
        ]  # an empty column has a type and a shape, too
        cells = {
            name: in_memory.from_values(self._path, name, [row.get(name) for row in rows])
            for name in self.columns
        }
        if not good:
            cells = {name: column[:0] for name, column in cells.items()}
        return blocks.RawBlock(self._path, np.array(numbers, np.int64), cells, tuple(bad))


def no_row(path: str) -> errors.FileError:
    """The error that there is nothing to read."""
    return errors.EmptyFileError(f"{path} holds no row. Give it rows.")


def check_label(path: str, features: Iterable[str]) -> None:
    """Raises FileError if features that stand beside a label have a column of its name."""
    if LABEL in features:
        raise errors.FileError(
            f"{path} gives pairs of features and label, and {LABEL!r} among the features too. Rename that one."
        )


def _to_row(element: Any) -> dict[str, Any] | None:
    if isinstance(element, Mapping):
        return {str(name): value for name, value in element.items()}
    if isinstance(element, (tuple, list)) and len(element) == 2 and isinstance(element[0], Mapping):
        return {**{str(name): value for name, value in element[0].items()}, LABEL: element[1]}
    if isinstance(element, tuple) and len(element) == 2 and hasattr(element[0], "__array__"):
        return {FEATURES: element[0], LABEL: element[1]}
    return None


def _is_array(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or hasattr(value, "__array__")


def _as_array(values: Any) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        return np.fromiter(values, object)
    # NumPy would make text of None, and of numbers beside text; lists of text would be an array of two dimensions.
    return np.fromiter(values, object) if array.dtype.kind in "USO" and array.ndim else array


def _series_to_cells(path: str, name: str, series: Any) -> pa.Array | np.ndarray:
    if series.dtype == object:
        return in_memory.from_values(path, name, series.tolist())
    try:
        array = pa.Array.from_pandas(series)
    except pa.ArrowException:  # such as sparse columns
        return in_memory.from_values(path, name, series.astype(object).tolist())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if list_cells.is_list(array.type):
        return arrow_tables.to_cells(path, name, array)
    if isinstance(array, pa.ExtensionArray):  # periods, intervals: as pandas writes them
        return in_memory.from_values(path, name, series.astype(object).tolist())
    return array
