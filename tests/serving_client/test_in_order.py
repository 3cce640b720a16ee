"""Calls side by side whose results come in order."""

import threading

import pytest

from serving_client import in_order


def test_results_come_in_order_though_the_first_is_the_last_to_be_ready():
    others = threading.Semaphore(0)

    def slow_first(item):
        if item == 0:
            for _ in range(5):
                assert others.acquire(timeout=60)
        else:
            others.release()
        return item * 10

    assert list(in_order.results(slow_first, range(20), concurrency=2)) == list(range(0, 200, 10))


def test_so_many_calls_are_under_way_and_no_more():
    barrier = threading.Barrier(3)
    under_way, most, lock = 0, 0, threading.Lock()

    def call(item):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        barrier.wait(timeout=60)
        with lock:
            under_way -= 1
        return item

    assert list(in_order.results(call, range(12), concurrency=3)) == list(range(12))
    assert most == 3


def test_items_are_taken_only_as_results_are():
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    results = in_order.results(lambda item: item, items(), concurrency=2)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(taken) < 10 + 3 * 2 + 1
    results.close()


def test_errors_come_in_their_turn():
    def items():
        yield from (1, 0, 2)
        raise OSError("torn")

    results = in_order.results(lambda item: 1 / item, items(), concurrency=2)
    assert next(results) == 1.0
    with pytest.raises(ZeroDivisionError):
        next(results)
    torn = in_order.results(lambda item: item, items(), concurrency=2)
    assert [next(torn) for _ in range(3)] == [1, 0, 2]
    with pytest.raises(OSError, match="torn"):
        next(torn)
