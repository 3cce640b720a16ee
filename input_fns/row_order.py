"""In which order the rows come, epoch after epoch, and where in it a training stands.

An epoch's order depends on the seed, the epoch's number and the data alone: not on threads, nor on how often the
training was interrupted. So a place in it is three numbers, `Position`, and can be gone on from.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
import dataclasses

import numpy as np

from input_fns import balance, blocks, row_cache, row_streams
from input_fns import settings as settings_lib
from input_fns import shuffle_window

HELD_BYTES = 1 << 30  # of rows that are held to be shuffled


@dataclasses.dataclass(frozen=True)
class Position:
    """A place in the endless order of the training rows; it can be kept as JSON.

    Attributes:
        seed: what the order is drawn from.
        epoch: 0-based number of the pass.
        rows: rows of that pass that were given.
    """

    seed: int
    epoch: int = 0
    rows: int = 0


class RowOrder:
    """The rows of one mode, in blocks of some whole batches."""

    def __init__(
        self,
        reader: row_streams.Reader,
        settings: settings_lib.InputSettings,
        training: bool,
        super_batch: int,
        start: Position | None = None,
        repeats: balance.Repeats | None = None,
    ) -> None:
        """Makes an order; nothing is read yet.

        Args:
            reader: gives the rows.
            settings: batch size, shuffling, seed, cache.
            training: whether rows repeat without end, shuffled.
            super_batch: batches a block.
            start: where to go on; None begins.
            repeats: how often a row comes in an epoch of training; None for once.
        """
        self._reader, self._settings, self._training = reader, settings, training
        self.super_batch = super_batch
        self._chunk = super_batch * settings.batch_size
        if start is None:
            drawn = np.random.SeedSequence().entropy if settings.seed is None else settings.seed
            start = Position(drawn)  # type: ignore[arg-type]
        self._start, self._repeats = start, repeats
        self._cached: blocks.Block | None = None
        # (epoch, rows given before it, since the start); those between two of them are of one size
        self._epochs = [(start.epoch, -start.rows)]

    def super_batches(self) -> Iterator[blocks.Block]:
        """Blocks for one iteration over the dataset."""
        if not self._training:
            return row_streams.rechunk(self._rows_once(), self._chunk)
        self._epochs = self._epochs[:1]
        return self._repeat(self._start)

    def position(self, batches: int) -> Position:
        """Where the training stands that has taken so many batches of the iteration that began last."""
        rows = batches * self._settings.batch_size
        epochs = list(self._epochs)  # a thread of tf.data may be adding some
        index = bisect.bisect_right(epochs, rows, key=lambda pair: pair[1]) - 1
        epoch, before = epochs[index]
        if index + 1 < len(epochs):
            following, end = epochs[index + 1]
            size = (end - before) // (following - epoch)
            passed = (rows - before) // size
            epoch, before = epoch + passed, before + passed * size
        return Position(self._start.seed, epoch, rows - before)

    def cut(self, block: blocks.Block) -> Iterator[blocks.Block]:
        """The block itself or, if it is not of whole batches, its whole ones and what is left."""
        batch = self._settings.batch_size
        whole = block.num_rows // batch * batch
        if whole:
            yield block[:whole]
        if whole < block.num_rows:
            yield block[whole:]

    def batch_of(self, block: blocks.Block) -> int:
        """How many rows a batch of a block from `cut` has."""
        return min(self._settings.batch_size, block.num_rows)

    def _rows_once(self) -> Iterator[blocks.Block]:
        if self._settings.cache == "none":
            return self._reader.read()
        if self._cached is None:
            self._cached, rest = row_cache.hold(self._reader, self._settings)
            if self._cached is None:
                return rest
        return iter((self._cached,))

    def _repeat(self, start: Position) -> Iterator[blocks.Block]:
        """Blocks of `_chunk` rows without end."""
        held = self._hold()
        if held is None:
            return row_streams.rechunk(self._stream_epochs(start), self._chunk)
        return row_streams.take_chunks(held, self._index_epochs(held, start), self._chunk)

    def _hold(self) -> blocks.Block | None:
        """All rows, if they are to be held."""
        settings = self._settings
        if settings.cache != "none":
            if self._cached is None:
                self._cached, _ = row_cache.hold(self._reader, settings)
            return self._cached
        if not settings.shuffle_buffer:
            return None
        # In the order of the first epoch, wherever the training stands: what is drawn is drawn from that.
        parts, rest = row_streams.load(
            self._reader.read(self._rng(0, "files")),
            settings.shuffle_buffer,
            HELD_BYTES,
        )
        return blocks.concat(parts) if parts and next(rest, None) is None else None

    def _index_epochs(self, held: blocks.Block, start: Position) -> Iterator[np.ndarray]:
        """The held rows' numbers, epoch by epoch."""
        epoch, skip = start.epoch, start.rows
        while True:
            rng = self._rng(epoch, "rows")
            index = np.arange(held.num_rows)
            if self._repeats is not None:
                index = self._repeats.draw(held, rng)
            if self._settings.shuffle_buffer:
                index = rng.permutation(index)
            self._end_epoch(epoch, len(index))
            yield index[skip:]
            epoch, skip = epoch + 1, 0

    def _stream_epochs(self, start: Position) -> Iterator[blocks.Block]:
        epoch, skip = start.epoch, start.rows
        while True:
            count = 0
            # Rows given before the epoch, or of a resumed one where it would have begun: that number below 0.
            before = self._epochs[-1][1]
            for block in self._stream_epoch(epoch, -before % self._chunk):
                count += block.num_rows
                if count > skip:
                    yield block[max(0, block.num_rows - (count - skip)) :]
            row_streams.require_rows(count)
            self._end_epoch(epoch, count)
            epoch, skip = epoch + 1, 0

    def _stream_epoch(self, epoch: int, first: int) -> Iterator[blocks.Block]:
        """The rows of an epoch; `first` of them fill the last block of the epoch before."""
        window, rng = self._settings.shuffle_buffer, self._rng(epoch, "rows")
        stream = self._reader.read(self._rng(epoch, "files") if window else None)
        if self._repeats is not None:
            stream = (block[self._repeats.draw(block, rng)] for block in stream)
        if not window or self._reader.is_indexed:
            return stream  # indexed rows come in random order, so none has to be held
        return shuffle_window.shuffle_window(stream, self._chunk, window, HELD_BYTES, rng, first)

    def _end_epoch(self, epoch: int, count: int) -> None:
        end = self._epochs[-1][1] + count
        if len(self._epochs) > 1:
            (first, begin), (last, before) = self._epochs[-2:]
            # A table of ten rows has millions of epochs.
            if before - begin == count * (last - first):
                self._epochs[-1] = (epoch + 1, end)
                return
        self._epochs.append((epoch + 1, end))

    def _rng(self, epoch: int, what: str) -> np.random.Generator:
        key = (epoch, ("files", "rows").index(what))
        return np.random.default_rng(np.random.SeedSequence(self._start.seed, spawn_key=key))
