"""A source whose blocks are shown to somebody on their way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from input_fns import blocks, sources


class WatchedSource(sources.Source):
    """The same source; each block has been seen when it is asked for the next one."""

    def __init__(self, source: sources.Source, see: Callable[[blocks.RawBlock], None]) -> None:
        """Makes a source.

        Args:
            source: what is read.
            see: is called with each block after it was used.
        """
        vars(self).update(vars(source))  # its files are open to it already
        self._see = see

    def read(self, shard: blocks.Shard) -> Iterator[blocks.RawBlock]:
        """See `sources.Source`."""
        for raw in super().read(shard):
            yield raw
            self._see(raw)


def count_rows(source: sources.Source, add: Callable[[int], None]) -> sources.Source:
    """The source; `add` is called with the number of each block's rows."""
    return WatchedSource(source, lambda raw: add(len(raw.rows)))
