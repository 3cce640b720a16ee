"""Rows of a source as typed blocks, and in which order they come.

Everything here is NumPy; `pipeline` makes a dataset of it.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import hashlib

import numpy as np

from input_fns import balance, blocks, conversion, errors, files, inference, interleave
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

# Settings that say what becomes of rows once they are read.
_NOT_OF_THE_ROWS = {
    field.name: field.default
    for field in dataclasses.fields(settings_lib.InputSettings)
    if field.name
    in ("batch_size", "shuffle_buffer", "cache", "cache_dir", "cache_limit_gb", "seed")
    + ("read_threads", "class_balance")
    + ("augment_flip", "augment_crop", "augment_rotation", "augment_color")
}
_CYCLE = 4  # parts of the source that are read in turn when rows are shuffled


class Reader:
    """Reads the rows of a source that fit the schema.

    Attributes:
        part: (index, count), which part of the source it reads.
        is_indexed: whether any row can be read at any time.
    """

    def __init__(
        self,
        source: sources.Source,
        schema: schema_lib.Schema,
        settings: settings_lib.InputSettings,
        with_label: bool,
        part: tuple[int, int] = (0, 1),
        weights: balance.Weights | None = None,
    ) -> None:
        """Makes a reader.

        Args:
            source: the rows.
            schema: what they hold.
            settings: says what becomes of bad rows, and how many threads read.
            with_label: whether label and weight are read.
            part: (index, count): read every count-th part of the source from the index-th on, or every
                count-th row where there are fewer parts than that.
            weights: gives rows the weight of their class.
        """
        self._source, self._schema, self._settings = source, schema, settings
        self._with_label, self._weights = with_label, weights
        self.part, self.is_indexed = part, source.is_indexed
        self._converter = conversion.Converter(schema, with_label)
        index, count = part
        by_part = count <= len(source.shards)
        self._shards = source.shards[index::count] if by_part else source.shards
        self._row_part = (0, 1) if by_part else part

    def read(self, rng: np.random.Generator | None = None) -> Iterator[blocks.Block]:
        """All rows once; the source's parts, or its rows if it is indexed, in an order drawn from `rng`, if given.

        Of parts in drawn order some are read in turn, so that rows of different files meet.

        Raises:
            BadRowError: a row does not fit, and the settings do not say to skip it.
        """
        if rng is None:
            for shard in self._shards:
                yield from self._convert(self._source.read(shard), self._row_part)
        elif self.is_indexed:
            yield from self._convert(self._source.read_permuted(rng, self.part), (0, 1))
        else:
            order = rng.permutation(len(self._shards)).tolist()
            streams = (
                self._convert(self._source.read(self._shards[position]), self._row_part)
                for position in order
            )
            yield from interleave.interleave(streams, _CYCLE, self._settings.num_read_threads)

    @property
    def place(self) -> str:
        """A name for what is read, whatever it means: files, part, with or without label."""
        return _digest(self._source.files, self._source.role, self.part, self._with_label)

    @property
    def fingerprint(self) -> str | None:
        """A name for the rows themselves; None where nothing tells whether the files changed."""
        versions = [files.version(path) for path in self._source.files]
        if None in versions:
            return None
        settings = dataclasses.replace(self._settings, **_NOT_OF_THE_ROWS)  # type: ignore[arg-type]
        return _digest(self.place, versions, settings, self._schema, self._weights)

    def _convert(
        self, stream: Iterator[blocks.RawBlock], part: tuple[int, int]
    ) -> Iterator[blocks.Block]:
        index, count = part
        for raw in stream:
            block, bad = self._converter.convert(raw)
            if bad and self._settings.bad_rows == "error":
                raise inference.to_error(bad[0])
            if count > 1:
                # By number and not by position, so that a bad row moves no other.
                block = block[raw.rows % count == index]
            if block.num_rows:
                yield block if self._weights is None else self._weights.apply(block)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def rechunk(stream: Iterator[blocks.Block], rows: int) -> Iterator[blocks.Block]:
    """The same rows in blocks of `rows`; only the last may have fewer. Of a block that is larger, rows are not copied
    but where two meet."""
    pending: list[blocks.Block] = []
    count = 0
    for block in stream:
        if count + block.num_rows < rows:
            pending.append(block)
            count += block.num_rows
            continue
        start = (rows - count) % rows
        if pending:
            yield blocks.concat([*pending, block[:start]])
        cut = start + (block.num_rows - start) // rows * rows
        for begin in range(start, cut, rows):
            yield block[begin : begin + rows]
        count = block.num_rows - cut
        pending = [block[cut:].compact()] if count else []
    if count:
        yield blocks.concat(pending)


def require_rows(count: int) -> None:
    """Raises InputError if there is no row to learn from."""
    if not count:
        raise errors.InputError("There is no row to train on. Give more data or fewer workers.")


def load(
    stream: Iterator[blocks.Block], max_rows: int, max_bytes: int
) -> tuple[list[blocks.Block], Iterator[blocks.Block]]:
    """The first rows of a stream and what is left of it.

    Args:
        stream: gives the rows.
        max_rows: how many rows to take in, up to a block.
        max_bytes: how many bytes to take in, likewise.
    """
    held, rows, size = [], 0, 0
    for block in stream:
        held.append(block)
        rows += block.num_rows
        size += block.nbytes
        if rows >= max_rows or size >= max_bytes:
            break
    return held, stream


def take_chunks(
    rows: blocks.Block, epochs: Iterator[np.ndarray], chunk: int
) -> Iterator[blocks.Block]:
    """Rows of one block, by number, in blocks of `chunk` that cross from one epoch into the next.

    Args:
        rows: all rows.
        epochs: [m] the rows' numbers in the order of an epoch, without end.
        chunk: rows a block.
    """
    order: list[np.ndarray] = []
    count = 0
    for numbers in epochs:
        order.append(numbers)
        count += len(numbers)
        if count < chunk:
            continue
        drawn = np.concatenate(order)
        cut = count - count % chunk
        for start in range(0, cut, chunk):
            yield rows[drawn[start : start + chunk]]
        order, count = [drawn[cut:]], count - cut
