"""Lets the interpreter end while a dataset of ours is still open.

tf.data enters Python in a thread of its own. Where one is in there when the interpreter ends, it waits for the
interpreter's lock, which it never gets again, and what deletes the dataset's iterator at the end waits for that thread:
the process hangs. (So it is with any `from_generator` of TensorFlow, 2.15 to 2.21.) Nobody takes batches any more when
the exit functions run; so the thread's buffer fills, it leaves Python, and comes back no more.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
import threading
import time
from typing import TypeVar

_T = TypeVar("_T")

_QUIET_SECS = 0.05  # between two calls of a thread that has room in its buffer lie microseconds
_PATIENCE_SECS = 30.0


class _Calls:
    """How many threads are inside a generator, and when the last one left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._left = 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1

    def __exit__(self, *unused: object) -> None:
        with self._lock:
            self._inside -= 1
            self._left = time.monotonic()

    def are_over(self) -> bool:
        with self._lock:
            return not self._inside and time.monotonic() - self._left > _QUIET_SECS


_calls = _Calls()


def watched(items: Iterator[_T]) -> Iterator[_T]:
    """The same items; while one is being made the interpreter does not end."""
    while True:
        with _calls:
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


def _wait() -> None:
    end = time.monotonic() + _PATIENCE_SECS
    while not _calls.are_over() and time.monotonic() < end:
        time.sleep(_QUIET_SECS / 5)


atexit.register(_wait)
