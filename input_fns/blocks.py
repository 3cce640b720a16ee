"""Rows held as columns: as read (`RawBlock`), and typed by a schema (`Block`)."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import pyarrow as pa


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
            text that may stand for a number, as cells of CSV; others are of the type that the file gives them.
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
    """

    codes: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: np.ndarray | slice) -> Strings:
        return Strings(self.codes[index], self.values)

    def decode(self) -> np.ndarray:
        """[n] object array of bytes."""
        return self.values[self.codes]


Column = np.ndarray | Strings


@dataclasses.dataclass(frozen=True)
class Block:
    """Rows that fit a schema.

    Attributes:
        num_rows: n.
        columns: column name -> [n, ...] int64 or float32 array, or `Strings`. The label, if read,
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
        """What the columns take in memory, the values of text left out."""
        return sum(
            column.codes.nbytes if isinstance(column, Strings) else column.nbytes
            for column in self.columns.values()
        )

    def compact(self) -> Block:
        """The same rows without the strings that none of them has, when those are many."""
        columns = {
            name: _compact(column) if isinstance(column, Strings) else column
            for name, column in self.columns.items()
        }
        return Block(self.num_rows, columns)


def concat(blocks: Sequence[Block]) -> Block:
    """The rows of all blocks, in order."""
    if len(blocks) == 1:
        return blocks[0]
    columns: dict[str, Column] = {}
    for name in blocks[0].columns:
        parts = [block.columns[name] for block in blocks]
        strings = [part for part in parts if isinstance(part, Strings)]
        arrays = [part for part in parts if not isinstance(part, Strings)]
        columns[name] = _concat_strings(strings) if strings else np.concatenate(arrays)
    return Block(sum(block.num_rows for block in blocks), columns)


def _concat_strings(parts: Sequence[Strings]) -> Strings:
    if all(part.values is parts[0].values for part in parts):
        return Strings(np.concatenate([part.codes for part in parts]), parts[0].values)
    index: dict[bytes, int] = {}
    codes = []
    for part in parts:
        # A code of `part` -> the code of the same value in the whole.
        recode = np.array([index.setdefault(value, len(index)) for value in part.values], np.int32)
        codes.append(recode[part.codes])
    return Strings(np.concatenate(codes), as_objects(list(index)))


def _compact(column: Strings) -> Strings:
    if len(column.values) <= max(1024, len(column.codes)):
        return column
    used, codes = np.unique(column.codes, return_inverse=True)
    return Strings(codes.astype(np.int32), column.values[used])


def as_objects(values: Sequence[bytes]) -> np.ndarray:
    """[n] object array of the byte strings; NumPy's own would cut trailing zero bytes."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
