"""Several streams read in turn, by threads if there are any; the order is the same however many."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
import contextlib
import itertools
from typing import Generic, TypeVar

_T = TypeVar("_T")


def interleave(streams: Iterator[Iterator[_T]], cycle: int, threads: int = 0) -> Iterator[_T]:
    """One item of each of `cycle` streams in turn; for one that has ended the next is opened in its place.

    Args:
        streams: what to read; none is begun before it is its turn.
        cycle: how many are open at a time.
        threads: how many of these read ahead, an item each, in threads; 0 reads when an item is asked for.
    """
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(futures.ThreadPoolExecutor(threads)) if threads else None
        places = [_Stream(stream, pool) for stream in itertools.islice(streams, cycle)]
        while places:
            still_open = []
            for place in places:
                item = place.next()
                while item is None and (following := next(streams, None)) is not None:
                    place = _Stream(following, pool)
                    item = place.next()
                if item is not None:
                    still_open.append(place)
                    yield item[0]
            places = still_open


class _Stream(Generic[_T]):
    """A stream of which the next item may be under way."""

    def __init__(self, stream: Iterator[_T], pool: futures.Executor | None) -> None:
        self._stream, self._pool = stream, pool
        self._pending: futures.Future[tuple[_T] | None] | None = (
            pool.submit(self._read) if pool else None
        )

    def next(self) -> tuple[_T] | None:
        """The next item in a tuple, or None at the end."""
        if self._pool is None or self._pending is None:
            return self._read()
        item = self._pending.result()
        if item is not None:
            self._pending = self._pool.submit(self._read)
        return item

    def _read(self) -> tuple[_T] | None:
        for item in self._stream:
            return (item,)
        return None
