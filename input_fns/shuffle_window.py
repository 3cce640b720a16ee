"""A window that moves over a stream of rows, of which they are drawn in random order.

A row keeps its place in the window until it is drawn, and the next one of the stream takes that place: so it is copied
twice, in and out, however large the window is.
"""

from __future__ import annotations

from collections.abc import Iterator
import itertools

import numpy as np

from input_fns import blocks


def shuffle_window(
    stream: Iterator[blocks.Block],
    chunk: int,
    window: int,
    max_bytes: int,
    rng: np.random.Generator,
    first: int = 0,
) -> Iterator[blocks.Block]:
    """The stream's rows, drawn from a window that moves over it.

    Of a full window half is given away in random order; then it is filled again. So memory holds the window and a
    block, whatever the length of the stream.

    Args:
        stream: the rows.
        chunk: rows a block, and the number by which rows are given away.
        window: rows among which is drawn.
        max_bytes: of the window, which has fewer rows if those of the first block say that it would take more.
        rng: draws.
        first: rows of the first block, up to `chunk`; 0 for `chunk`. The others follow on it, so that a stream may go
            on where another has left off; the order of the rows is the same whatever it is.
    """
    stream = (block for block in stream if block.num_rows)
    begin = next(stream, None)
    if begin is None:
        return
    row_bytes = max(1, begin.nbytes // begin.num_rows)
    window = max(chunk, min(window, max_bytes // row_bytes))
    cut = max(chunk, window // 2 // chunk * chunk)
    places = {name: _make(column, window) for name, column in begin.columns.items()}

    def take(chosen: np.ndarray) -> blocks.Block:
        return blocks.Block(
            len(chosen), {name: column.take(chosen) for name, column in places.items()}
        )

    free = np.arange(window)
    for block in itertools.chain([begin], stream):
        while block.num_rows:
            now, free = free[: block.num_rows], free[block.num_rows :]
            for name, column in block.columns.items():
                places[name].put(now, column[: len(now)])
            block = block[len(now) :]
            if not len(free):
                order = rng.permutation(window)
                free = order[:cut]
                yield from map(take, _split(free, first, chunk))
    taken = np.ones(window, bool)
    taken[free] = False
    yield from map(take, _split(rng.permutation(np.flatnonzero(taken)), first, chunk))


def _split(order: np.ndarray, first: int, chunk: int) -> Iterator[np.ndarray]:
    """The numbers in parts of `chunk`, but the first one, which has `first` if that is not 0, and the last one."""
    starts = range(first - chunk if first else 0, len(order), chunk)
    for start in starts:
        yield order[max(start, 0) : start + chunk]


def _make(column: blocks.Column, window: int) -> _Column:
    if isinstance(column, blocks.Lists):
        return _ListColumn(window)
    if isinstance(column, blocks.Strings):
        return _TextColumn(column, window)
    return _NumberColumn(column, window)


class _NumberColumn:
    """Numbers in their places."""

    def __init__(self, like: np.ndarray, window: int) -> None:
        self._values = np.empty((window, *like.shape[1:]), like.dtype)

    def put(self, places: np.ndarray, column: blocks.Column) -> None:
        """Gives the values of `column` those places."""
        self._values[places] = column

    def take(self, places: np.ndarray) -> np.ndarray:
        """The values that stand there."""
        # "clip" leaves out a check, which takes a third of the time; the places are our own.
        return self._values.take(places, axis=0, mode="clip")


class _TextColumn:
    """Text in its places, as codes into one table of all values."""

    def __init__(self, like: blocks.Strings, window: int) -> None:
        self._codes = np.zeros(window, np.int32)
        self._table, self._fixed = like.values, like.fixed
        self._index = {value: code for code, value in enumerate(like.values)}
        self._most = max(1024, 2 * window)

    def put(self, places: np.ndarray, column: blocks.Column) -> None:
        """Gives the texts of `column` those places."""
        assert isinstance(column, blocks.Strings)
        codes = column.codes
        if not self._fixed:
            if len(self._index) + len(column.values) > self._most:
                self._forget()
            index = self._index
            recode = [index.setdefault(value, len(index)) for value in column.values]
            codes = np.array(recode, np.int32)[codes]
        self._codes[places] = codes

    def take(self, places: np.ndarray) -> blocks.Strings:
        """The texts that stand there."""
        codes = self._codes.take(places, mode="clip")
        return blocks.Strings(codes, self._values(), self._fixed)

    def _values(self) -> np.ndarray:
        """[m] the value of each code."""
        if len(self._index) > len(self._table):
            self._table = blocks.as_objects(list(self._index))
        return self._table

    def _forget(self) -> None:
        """Drops the values that stand nowhere."""
        used, codes = np.unique(self._codes, return_inverse=True)
        self._codes = codes.astype(np.int32)
        self._table = self._values()[used]
        self._index = {value: code for code, value in enumerate(self._table)}


class _ListColumn:
    """Lists of any length, which fit into no place: beside the window, each place with the number of its list."""

    def __init__(self, window: int) -> None:
        self._rows = np.zeros(window, np.int64)
        self._lists: blocks.Lists | None = None
        self._new: list[tuple[np.ndarray, blocks.Lists]] = []

    def put(self, places: np.ndarray, column: blocks.Column) -> None:
        """Gives the lists of `column` those places."""
        assert isinstance(column, blocks.Lists)
        self._new.append((places, column))

    def take(self, places: np.ndarray) -> blocks.Lists:
        """The lists that stand there."""
        if self._new:
            self._lists = self._gather()
        assert self._lists is not None
        return self._lists[self._rows[places]]

    def _gather(self) -> blocks.Lists:
        """The lists that have a place, those of before first."""
        placed, parts = zip(*self._new, strict=True)
        new = np.concatenate(placed)
        old = np.ones(len(self._rows), bool)
        old[new] = False
        if self._lists is not None:
            parts = (self._lists[self._rows[old]].compact(), *parts)
        lists = blocks.concat_columns(parts)
        assert isinstance(lists, blocks.Lists)
        first = len(lists) - len(new)
        self._rows[old] = np.arange(first) if first else 0
        self._rows[new] = np.arange(first, len(lists))
        self._new = []
        return lists


_Column = _NumberColumn | _TextColumn | _ListColumn
