"""Rows held as columns: as read (`RawBlock`), and typed by a schema (`Block`)."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import pyarrow as pa

_VALUE_BYTES = 60  # of a byte string in memory beside its text


@dataclasses.dataclass(frozen=True)
class Shard:
    """What can be read on its own, in any order: a file, or a part of one.

    Attributes:
        path: the file.
        part: 0-based number of the part, such as a row group of Parquet.
        first_row: 1-based number of its first row in the file.
    """

    path: str
    part: int = 0
    first_row: int = 1


@dataclasses.dataclass(frozen=True)
class BadRow:
    """A row that does not fit.

    Attributes:
        path: the file.
        row: 1-based number of the data row in that file.
        column: the first column at fault; empty when the row as a whole is.
        value: that cell's text.
        expected: what should have stood there.
        raw: the whole row's text.
    """

    path: str
    row: int
    column: str
    value: str
    expected: str
    raw: str


@dataclasses.dataclass(frozen=True)
class RawBlock:
    """Some consecutive rows of one file as they were read.

    Attributes:
        path: the file.
        rows: [n] int64, the rows' 1-based numbers in that file.
        cells: column name -> [n] Arrow array, or [n, ...] NumPy array of int64 or float32. A binary Arrow array holds
            text that may stand for a number, as cells of CSV; others are of the type that the file gives them, such as
            lists of numbers or text, of one length or of different ones.
        misshapen: rows that have no cells, because they could not be split into columns.
    """

    path: str
    rows: np.ndarray
    cells: dict[str, pa.Array | np.ndarray]
    misshapen: tuple[BadRow, ...] = ()


@dataclasses.dataclass(frozen=True)
class Strings:
    """A column of byte strings, each different one held once.

    Attributes:
        codes: [n] int32, index into `values`.
        values: [m] object array of bytes.
        fixed: whether a code says something by itself, as a class id does: `values` are then never numbered anew.
    """

    codes: np.ndarray
    values: np.ndarray
    fixed: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: np.ndarray | slice) -> Strings:
        return Strings(self.codes[index], self.values, self.fixed)

    def decode(self) -> np.ndarray:
        """[n] object array of bytes."""
        return self.values[self.codes]

    @property
    def nbytes(self) -> int:
        """About what they take in memory."""
        if self.fixed:  # all blocks have the same values
            return self.codes.nbytes
        return self.codes.nbytes + sum(map(len, self.values)) + _VALUE_BYTES * len(self.values)

    def compact(self) -> Strings:
        """The same rows without the strings that none of them has, when those are many."""
        if self.fixed or len(self.values) <= max(1024, len(self.codes)):
            return self
        used, codes = np.unique(self.codes, return_inverse=True)
        return Strings(codes.astype(np.int32), self.values[used])


@dataclasses.dataclass(frozen=True)
class Lists:
    """A column of lists of any length.

    Attributes:
        offsets: [n + 1] int64 from 0, where in `values` each list begins and, at last, the last one ends.
        values: [offsets[-1]] the values of all lists, one after the other: int64 or float32, or `Strings`.
    """

    offsets: np.ndarray
    values: np.ndarray | Strings

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: np.ndarray | slice) -> Lists:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:  # consecutive lists are consecutive values
                offsets = self.offsets[start : max(start, stop) + 1]
                return Lists(offsets - offsets[0], self.values[int(offsets[0]) : int(offsets[-1])])
            index = np.arange(start, stop, step)
        elif index.dtype == bool:
            index = np.flatnonzero(index)
        first = self.offsets[:-1][index]
        lengths = self.offsets[1:][index] - first
        offsets = _to_offsets(lengths)
        # The place of a value in the whole: that of its list's first one, and then one by one.
        shifts = first - offsets[:-1]
        return Lists(offsets, self.values[np.repeat(shifts, lengths) + np.arange(offsets[-1])])

    @property
    def lengths(self) -> np.ndarray:
        """[n] int64, how many values each list has."""
        return np.diff(self.offsets)

    @property
    def nbytes(self) -> int:
        """About what they take in memory."""
        return self.offsets.nbytes + self.values.nbytes

    def compact(self) -> Lists:
        """The same rows without the strings that none of them has, when those are many."""
        values = self.values
        return self if isinstance(values, np.ndarray) else Lists(self.offsets, values.compact())


def from_lengths(lengths: np.ndarray, values: np.ndarray | Strings) -> Lists:
    """Lists of those lengths.

    Args:
        lengths: [n] whole numbers >= 0.
        values: [lengths.sum()] the values of all lists, one after the other.
    """
    return Lists(_to_offsets(lengths), values)


def _to_offsets(lengths: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


Column = np.ndarray | Strings | Lists


@dataclasses.dataclass(frozen=True)
class Block:
    """Rows that fit a schema.

    Attributes:
        num_rows: n.
        columns: column name -> [n, ...] int64 or float32 array, `Strings` or `Lists`. The label, if read,
            stands among them; a label of text has the schema's vocabulary as its `values`, so its
            codes are class ids.
    """

    num_rows: int
    columns: dict[str, Column]

    def __getitem__(self, index: np.ndarray | slice) -> Block:
        """The rows at `index`, an [k] integer array, a boolean mask or a slice, in that order."""
        columns = {name: column[index] for name, column in self.columns.items()}
        return Block(len(next(iter(columns.values()))), columns)

    @property
    def nbytes(self) -> int:
        """About what the columns take in memory."""
        return sum(column.nbytes for column in self.columns.values())

    def compact(self) -> Block:
        """The same rows without the strings that none of them has, when those are many."""
        columns = {
            name: column if isinstance(column, np.ndarray) else column.compact()
            for name, column in self.columns.items()
        }
        return Block(self.num_rows, columns)


def concat(blocks: Sequence[Block]) -> Block:
    """The rows of all blocks, in order."""
    if len(blocks) == 1:
        return blocks[0]
    columns: dict[str, Column] = {
        name: concat_columns([block.columns[name] for block in blocks])
        for name in blocks[0].columns
    }
    return Block(sum(block.num_rows for block in blocks), columns)


def concat_columns(parts: Sequence[Column]) -> Column:
    """The rows of all parts, which are of one kind, in order."""
    lists = [part for part in parts if isinstance(part, Lists)]
    if lists:
        lengths = np.concatenate([part.lengths for part in lists])
        values = concat_columns([part.values for part in lists])
        assert not isinstance(values, Lists)
        return from_lengths(lengths, values)
    strings = [part for part in parts if isinstance(part, Strings)]
    if strings:
        return _concat_strings(strings)
    return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])


def _concat_strings(parts: Sequence[Strings]) -> Strings:
    first = parts[0]
    if first.fixed or all(part.values is first.values for part in parts):
        codes = np.concatenate([part.codes for part in parts])
        return Strings(codes, first.values, first.fixed)
    index: dict[bytes, int] = {}
    recoded = []
    for part in parts:
        # A code of `part` -> the code of the same value in the whole.
        recode = np.array([index.setdefault(value, len(index)) for value in part.values], np.int32)
        recoded.append(recode[part.codes])
    return Strings(np.concatenate(recoded), as_objects(list(index)))


def as_objects(values: Sequence[bytes]) -> np.ndarray:
    """[n] object array of the byte strings; NumPy's own would cut trailing zero bytes."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
