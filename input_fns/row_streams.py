"""Rows of a source as typed blocks, and in which order they come.

Everything here is NumPy; `pipeline` makes a dataset of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from input_fns import blocks, conversion, errors, inference
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

Epoch = Callable[[], Iterator[blocks.Block]]


class Reader:
    """Reads the rows of a source that fit the schema."""

    def __init__(
        self,
        source: sources.Source,
        schema: schema_lib.Schema,
        settings: settings_lib.InputSettings,
        with_label: bool,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        """Makes a reader.

        Args:
            source: the rows.
            schema: what they hold.
            settings: says what becomes of bad rows.
            with_label: whether label and weight are read.
            shard: (index, count): read every count-th part of the source from the index-th on, or every
                count-th row where there are fewer parts than that.
        """
        self._source, self._settings, self._part = source, settings, shard
        self.is_indexed = source.is_indexed
        self._converter = conversion.Converter(schema, with_label)
        index, count = shard
        by_part = count <= len(source.shards)
        self._shards = source.shards[index::count] if by_part else source.shards
        self._row_shard = (0, 1) if by_part else shard

    def read(self, rng: np.random.Generator | None = None) -> Iterator[blocks.Block]:
        """All rows once; the source's parts, or its rows if it is indexed, in an order drawn from `rng`, if given.

        Raises:
            BadRowError: a row does not fit, and the settings do not say to skip it.
        """
        permuted = rng is not None and self.is_indexed
        index, count = (0, 1) if permuted else self._row_shard
        for raw in self._raw_blocks(rng):
            block, bad = self._converter.convert(raw)
            if bad and self._settings.bad_rows == "error":
                raise inference.to_error(bad[0])
            if count > 1:
                # By number and not by position, so that a bad row moves no other.
                block = block[raw.rows % count == index]
            if block.num_rows:
                yield block

    def _raw_blocks(self, rng: np.random.Generator | None) -> Iterator[blocks.RawBlock]:
        if rng is not None and self.is_indexed:
            yield from self._source.read_permuted(rng, self._part)
            return
        count = len(self._shards)
        order = np.arange(count) if rng is None else rng.permutation(count)
        for position in order.tolist():
            yield from self._source.read(self._shards[position])


def rechunk(stream: Iterator[blocks.Block], rows: int) -> Iterator[blocks.Block]:
    """The same rows in blocks of `rows`; only the last may have fewer."""
    pending: list[blocks.Block] = []
    count = 0
    for block in stream:
        pending.append(block)
        count += block.num_rows
        if count < rows:
            continue
        whole = blocks.concat(pending)
        cut = count - count % rows
        for start in range(0, cut, rows):
            yield whole[start : start + rows]
        pending, count = [whole[cut:].compact()], count - cut
    if count:
        yield blocks.concat(pending)


def repeat(read_epoch: Epoch) -> Iterator[blocks.Block]:
    """Epoch after epoch, without end.

    Raises:
        InputError: an epoch has no row.
    """
    while True:
        block = None
        for block in read_epoch():
            yield block
        if block is None:
            raise errors.InputError("There is no row to train on. Give more data or fewer workers.")


def load(
    read_epoch: Epoch, max_rows: int | None, max_bytes: int | None = None
) -> tuple[list[blocks.Block], Iterator[blocks.Block]]:
    """The first rows of an epoch and what is left of it.

    Args:
        read_epoch: gives the rows.
        max_rows: how many rows to take in, up to a block; None means all.
        max_bytes: how many bytes of numbers to take in, likewise.
    """
    stream = read_epoch()
    held, rows, size = [], 0, 0
    for block in stream:
        held.append(block)
        rows += block.num_rows
        size += block.nbytes
        if (max_rows is not None and rows >= max_rows) or (max_bytes and size >= max_bytes):
            break
    return held, stream


def shuffle_held(
    rows: blocks.Block, chunk: int, rng: np.random.Generator
) -> Iterator[blocks.Block]:
    """Endless blocks of `chunk` rows; each row comes once before any comes again."""
    order: list[np.ndarray] = []
    count = 0
    while True:
        while count < chunk:
            order.append(rng.permutation(rows.num_rows))
            count += rows.num_rows
        drawn = np.concatenate(order)
        cut = count - count % chunk
        for start in range(0, cut, chunk):
            yield rows[drawn[start : start + chunk]]
        order, count = [drawn[cut:]], count - cut


def shuffle_window(
    held: list[blocks.Block],
    stream: Iterator[blocks.Block],
    chunk: int,
    window: int,
    rng: np.random.Generator,
) -> Iterator[blocks.Block]:
    """Endless blocks of `chunk` rows drawn from a window that moves over an endless stream.

    Of a full window half is given away in random order; then it is filled again. So memory holds
    the window and a block, whatever the length of the stream.

    Args:
        held: the first rows, already read.
        stream: all further rows.
        chunk: rows a block.
        window: rows among which is drawn.
        rng: draws.
    """
    window = max(window, chunk)
    while True:
        count = sum(block.num_rows for block in held)
        while count < window:
            held.append(next(stream))
            count += held[-1].num_rows
        rows, held = blocks.concat(held), []
        order = rng.permutation(count)
        cut = max(chunk, count // 2 // chunk * chunk)
        for start in range(0, cut, chunk):
            yield rows[order[start : start + chunk]]
        held = [rows[order[cut:]].compact()]
        del rows
