"""How many loads, and how many unloads, run at once in the whole server.

The threads of the stock server's manager (TF Serving: aspired_versions_manager.cc). Here each model has a
thread of its own, which waits at a `LoadGate` before it loads; unloads have threads of theirs, so that no
request spends its time on one.
"""

from concurrent import futures
import os
import threading
from typing import Callable

# How many models load side by side before the ports open (TF Serving: server_core.h).
FIRST_LOADS = 4 * (os.cpu_count() or 1)


class LoadGate:
    """Lets some loads through at once; a context manager around each load."""

    def __init__(self, threads: int, first_loads: int = FIRST_LOADS) -> None:
        """Begins with `first_loads` at once.

        Args:
            threads: how many from `narrow` on; 0 for one after the other.
            first_loads: how many until then.
        """
        self._limit = first_loads
        self._threads = max(threads, 1)
        self._running = 0
        self._changed = threading.Condition()

    def narrow(self) -> None:
        """Says that the models of the start are there."""
        with self._changed:
            self._limit = self._threads
            self._changed.notify_all()

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._running < self._limit)
            self._running += 1

    def __exit__(self, *exc_info: object) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify()


class UnloadThreads:
    """Runs unloads; called with a function that does one, it returns at once."""

    def __init__(self, threads: int) -> None:
        """Begins without any.

        Args:
            threads: how many unloads at once; 0 for one after the other.
        """
        self._pool = futures.ThreadPoolExecutor(max(threads, 1), "unload")

    def __call__(self, unload: Callable[[], None]) -> None:
        try:
            self._pool.submit(unload)
        except RuntimeError:  # It has stopped, and this is of a request that outlived it.
            unload()

    def stop(self) -> None:
        """Waits until all that was asked for is done."""
        self._pool.shutdown()
