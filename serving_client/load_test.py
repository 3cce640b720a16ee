"""How many requests a server answers at a given concurrency, and how long each takes.

A closed loop: each of some threads asks as soon as it has its last answer. So a server that slows down
is asked less, and the latencies are those at that load, not at a fixed rate of arrivals.
"""

import collections
import dataclasses
import threading
import time
from typing import Callable, Sequence

import numpy as np

from serving_client import errors

PERCENTILES = (50, 90, 95, 99, 99.9)


@dataclasses.dataclass(frozen=True)
class Load:
    """What a load test found.

    Attributes:
        concurrency: Requests that were under way at the same time.
        secs: How long it took, in seconds.
        rows: Rows in the requests that were answered.
        latencies_secs: How long each request that was answered took, in seconds; float64 [requests].
        failures: How often each error came, by its class and sentence, most frequent first.
    """

    concurrency: int
    secs: float
    rows: int
    latencies_secs: np.ndarray
    failures: Sequence[tuple[str, int]]

    @property
    def failed(self) -> int:
        """Requests that were not answered."""
        return sum(count for _, count in self.failures)

    def text(self) -> str:
        """Returns the figures as lines to read."""
        answered = len(self.latencies_secs)
        lines = [
            f"requests     {answered} answered, {self.failed} failed in {self.secs:.1f} s, "
            f"{self.concurrency} at a time",
            f"throughput   {answered / self.secs:.1f} QPS, {self.rows / self.secs:.1f} rows/s",
        ]
        if answered:
            milliseconds = self.latencies_secs * 1000
            found = np.percentile(milliseconds, PERCENTILES)
            shown = [f"p{name:g} {value:.2f}" for name, value in zip(PERCENTILES, found)]
            lines.append(
                f"latency, ms  mean {milliseconds.mean():.2f}, {', '.join(shown)}, "
                f"max {milliseconds.max():.2f}"
            )
        lines += [f"failed       {count} times: {sentence}" for sentence, count in self.failures]
        return "\n".join(lines)


def run(
    ask: Callable[[Sequence], object],
    batches: Sequence[Sequence],
    concurrency: int,
    secs: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Load:
    """Asks for some time and returns what it found.

    A few requests go before, so that the connection and the model are warm.

    Args:
        ask: Asks the rows of a batch, or raises errors.ClientError.
        batches: What is asked, in turn and again from the beginning.
        concurrency: Threads that ask.
        secs: How long new requests begin, in seconds.
        clock: Returns the time in seconds.

    Raises:
        errors.ClientError: One of those that go before fails.
    """
    for batch in batches[:concurrency]:
        ask(batch)
    start_line = threading.Barrier(concurrency + 1)
    workers = [
        _Worker(ask, batches, number, start_line, secs, clock) for number in range(concurrency)
    ]
    for worker in workers:
        worker.start()
    start_line.wait()
    start = clock()
    for worker in workers:
        worker.join()
    taken_secs = clock() - start
    failures: collections.Counter[str] = collections.Counter()
    for worker in workers:
        failures.update(worker.failures)
    return Load(
        concurrency,
        taken_secs,
        sum(worker.rows for worker in workers),
        np.concatenate([np.asarray(worker.latencies_secs, np.float64) for worker in workers]),
        failures.most_common(),
    )


class _Worker(threading.Thread):
    """Asks one request after the other."""

    def __init__(
        self,
        ask: Callable[[Sequence], object],
        batches: Sequence[Sequence],
        number: int,
        start_line: threading.Barrier,
        secs: float,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(name=f"load-{number}", daemon=True)
        self.latencies_secs: list[float] = []
        self.failures: collections.Counter[str] = collections.Counter()
        self.rows = 0
        self._ask = ask
        self._batches = batches
        self._next = number
        self._start_line = start_line
        self._secs = secs
        self._clock = clock

    def run(self) -> None:
        """Asks until the time is over."""
        self._start_line.wait()
        end = self._clock() + self._secs
        while (before := self._clock()) < end:
            batch = self._batches[self._next % len(self._batches)]
            self._next += 1
            try:
                self._ask(batch)
            except errors.ClientError as error:
                self.failures[f"{type(error).__name__}: {error}"] += 1
            else:
                self.latencies_secs.append(self._clock() - before)
                self.rows += len(batch)
