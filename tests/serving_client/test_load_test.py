"""Load tests: what is counted, against a clock that only moves in calls."""

import dataclasses
import threading

import numpy as np
import pytest

from serving_client import errors, load_test


class Clock:
    """A clock of its own for each thread; a call takes 10 ms, and every tenth 100 ms."""

    def __init__(self):
        self._local = threading.local()
        self.calls = 0
        self.asked = []

    def __call__(self):
        return getattr(self._local, "now", 0.0)

    def ask(self, batch):
        self.calls += 1
        self.asked.append(batch)
        self._local.now = self() + (0.1 if self.calls % 10 == 0 else 0.01)


def test_throughput_and_percentiles_are_of_the_calls_in_the_time():
    clock = Clock()
    load = load_test.run(clock.ask, [[1, 2, 3], [4]], 1, 1.9, clock)
    assert clock.asked[:4] == [[1, 2, 3], [1, 2, 3], [4], [1, 2, 3]]  # the first is not counted
    assert (len(load.latencies_secs), load.failed, load.rows) == (100, 0, 200)
    assert np.median(load.latencies_secs) == pytest.approx(0.01)
    printed = load_test.Load(1, 2.0, load.rows, load.latencies_secs, []).text()
    assert printed == (
        "requests     100 answered, 0 failed in 2.0 s, 1 at a time\n"
        "throughput   50.0 QPS, 100.0 rows/s\n"
        "latency, ms  mean 19.00, p50 10.00, p90 19.00, p95 100.00, p99 100.00, p99.9 100.00, "
        "max 100.00"
    )


def test_every_thread_asks():
    barrier = threading.Barrier(3)
    threads = set()
    clock = Clock()

    def ask(batch):
        if threading.current_thread() is not threading.main_thread():
            threads.add(threading.get_ident())
            barrier.wait(timeout=60)
            clock.ask(batch)
            clock._local.now = 1.0

    load = load_test.run(ask, [[1]], 3, 1.0, clock)
    assert (len(threads), len(load.latencies_secs), load.rows) == (3, 3, 3)


def test_failures_are_counted_by_their_sentence_and_have_no_latency():
    clock = Clock()

    def ask(batch):
        clock.ask(batch)
        if clock.calls % 2 == 0:
            raise errors.UnavailableError("nobody listens")

    load = load_test.run(ask, [[1]], 1, 0.9, clock)
    assert len(load.latencies_secs) == load.rows > 10
    assert load.failed in (load.rows, load.rows + 1)  # every second call
    printed = dataclasses.replace(load, secs=1.0).text()
    assert printed.endswith(f"failed       {load.failed} times: UnavailableError: nobody listens")
    with pytest.raises(errors.UnavailableError):  # nothing is measured of what does not work at all
        load_test.run(ask, [[1], [2]], 2, 1.0, clock)
