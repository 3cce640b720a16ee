"""Which tasks share a batch, when it runs, and what is refused. Nothing here waits for time to pass."""

import sys
import threading

import pytest

from estimator_app.serving import batch_scheduler, batching_parameters
from export import errors

_LONG_MICROS = 3_600_000_000
_WAIT_SECS = 30


class _Task:
    def __init__(self, name, rows=1):
        self.name = name
        self.rows = rows

    def split(self, sizes):
        return [_Task(f"{self.name}{number}", rows) for number, rows in enumerate(sizes)]


class _Owner:
    """Notes its batches; each waits for `gate` before it ends."""

    def __init__(self, **parameters):
        self.parameters = batching_parameters.BatchingParameters(**parameters)
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)

    def process(self, key, tasks):
        self.batches.append((key, [task.name for task in tasks]))
        self.begun.release()
        assert self.gate.wait(_WAIT_SECS)

    def wait_for(self, batches):
        for _ in range(batches):
            assert self.begun.acquire(timeout=_WAIT_SECS)


@pytest.fixture
def scheduler():
    made = batch_scheduler.BatchScheduler(1, "test_batches")
    yield made
    made.stop()


def _occupy(scheduler):
    """Lets a batch run until the returned event is set, so that no other one may."""
    owner = _Owner()
    owner.gate.clear()
    threading.Thread(target=scheduler.submit, args=[owner, "k", _Task("occupied")]).start()
    owner.wait_for(1)
    return owner.gate


def test_full_batch_does_not_wait(scheduler):
    owner = _Owner(max_batch_size=3, batch_timeout_micros=_LONG_MICROS)
    for name in "abcd":
        scheduler.submit(owner, "k", _Task(name))
    owner.wait_for(1)
    assert owner.batches == [("k", ["a", "b", "c"])]
    scheduler.hurry()
    owner.wait_for(1)
    assert owner.batches[1:] == [("k", ["d"])]


def test_batch_that_the_next_task_does_not_fit_into_is_closed(scheduler):
    owner = _Owner(max_batch_size=3, batch_timeout_micros=_LONG_MICROS)
    scheduler.submit(owner, "k", _Task("a", 2))
    scheduler.submit(owner, "k", _Task("b", 2))
    owner.wait_for(1)
    assert owner.batches == [("k", ["a"])]


def test_batch_waits_no_longer_than_its_time(scheduler):
    owner = _Owner(batch_timeout_micros=1)
    slow = _Owner(batch_timeout_micros=_LONG_MICROS)
    scheduler.submit(slow, "k", _Task("slow"))
    scheduler.submit(owner, "k", _Task("a"))
    owner.wait_for(1)
    assert owner.batches == [("k", ["a"])] and slow.batches == []


def test_without_a_time_a_batch_is_what_came_while_the_threads_were_busy(scheduler):
    gate = _occupy(scheduler)
    owner = _Owner()
    for name in "abc":
        scheduler.submit(owner, "k", _Task(name))
    gate.set()
    owner.wait_for(1)
    assert owner.batches == [("k", ["a", "b", "c"])]


def test_other_key_and_other_owner_are_other_batches_and_take_turns(scheduler):
    gate = _occupy(scheduler)
    first, second = _Owner(max_batch_size=1), _Owner(max_batch_size=1)
    # One list for both, so that the order can be seen.
    second.batches = first.batches
    for owner, key, name in (
        (first, "k", "a"),
        (first, "k", "b"),
        (first, "l", "c"),
        (second, "k", "d"),
        (second, "k", "e"),
    ):
        scheduler.submit(owner, key, _Task(name))
    gate.set()
    first.wait_for(3)
    second.wait_for(2)
    names = [names[0] for _, names in first.batches]
    assert names == ["a", "c", "d", "b", "e"]


def test_where_nothing_waits_a_task_runs_in_its_own_thread(scheduler):
    owner = _Owner(max_batch_size=2, batch_timeout_micros=_LONG_MICROS)
    threads = []
    owner.process = lambda key, tasks: threads.append(threading.current_thread())
    scheduler.submit(owner, "k", _Task("a", 2))
    assert threads == [threading.current_thread()]


def test_task_without_rows_runs(scheduler):
    owner = _Owner()
    scheduler.submit(owner, "k", _Task("a", 0))
    owner.wait_for(1)


def test_two_threads_run_two_batches_at_once():
    scheduler = batch_scheduler.BatchScheduler(2, "test_batches")
    owner = _Owner(max_batch_size=1)
    owner.gate.clear()
    asking = [
        threading.Thread(target=scheduler.submit, args=[owner, "k", _Task(name)]) for name in "abc"
    ]
    for thread in asking:
        thread.start()
    owner.wait_for(2)
    assert not owner.begun.acquire(blocking=False)
    owner.gate.set()
    owner.wait_for(1)
    for thread in asking:
        thread.join()
    scheduler.stop()


def test_large_task_is_refused(scheduler):
    owner = _Owner(max_batch_size=4)
    with pytest.raises(errors.ServableError) as caught:
        scheduler.submit(owner, "k", _Task("a", 5))
    assert str(caught.value) == (
        "INVALID_ARGUMENT: Task size 5 is larger than maximum input batch size 4"
    )


def test_full_queue_refuses(scheduler):
    gate = _occupy(scheduler)
    owner = _Owner(max_batch_size=2, max_enqueued_batches=2)
    for name in "abcd":
        scheduler.submit(owner, "k", _Task(name))
    with pytest.raises(errors.ServableError) as caught:
        scheduler.submit(owner, "k", _Task("e"))
    assert str(caught.value) == (
        "UNAVAILABLE: The batch scheduling queue to which this task was submitted is full; "
        "currently 2 batches enqueued and max_enqueued_batches is 2"
    )
    scheduler.submit(owner, "l", _Task("f"))
    gate.set()
    owner.wait_for(3)


def test_no_enqueued_batches_are_one(scheduler):
    gate = _occupy(scheduler)
    owner = _Owner(max_batch_size=1, max_enqueued_batches=0)
    scheduler.submit(owner, "k", _Task("a"))
    with pytest.raises(errors.ServableError, match="currently 1 batches enqueued and max_enq"):
        scheduler.submit(owner, "k", _Task("b"))
    gate.set()


def test_large_task_is_split(scheduler):
    gate = _occupy(scheduler)
    owner = _Owner(max_batch_size=20, max_execution_batch_size=4, enable_large_batch_splitting=True)
    scheduler.submit(owner, "k", _Task("a", 1))
    parts = scheduler.submit(owner, "k", _Task("b", 9))
    assert [(part.name, part.rows) for part in parts] == [("b0", 3), ("b1", 4), ("b2", 2)]
    assert [part.name for part in scheduler.submit(owner, "k", _Task("c", 2))] == ["c"]
    gate.set()
    owner.wait_for(3)
    assert [names for _, names in owner.batches] == [["a", "b0"], ["b1"], ["b2", "c"]]


def test_full_queue_refuses_a_large_task(scheduler):
    gate = _occupy(scheduler)
    owner = _Owner(
        max_batch_size=9,
        max_execution_batch_size=4,
        enable_large_batch_splitting=True,
        max_enqueued_batches=2,
    )
    scheduler.submit(owner, "k", _Task("a", 3))
    with pytest.raises(errors.ServableError) as caught:
        scheduler.submit(owner, "k", _Task("b", 6))
    assert str(caught.value) == (
        "UNAVAILABLE: The batch scheduling queue to which this task was submitted is full; "
        "task size is 6 but scheduling capacity is only 5 (num_enqueued_batches=1, "
        "max_enqueued_batches=2, open_batch_size=3, max_execution_batch_size=4)"
    )
    with pytest.raises(errors.ServableError, match="Task size 10 is larger than .* size 9$"):
        scheduler.submit(owner, "k", _Task("c", 10))
    gate.set()


def test_withdrawn_tasks_do_not_run(scheduler):
    owner = _Owner(batch_timeout_micros=_LONG_MICROS)
    other = _Owner(batch_timeout_micros=_LONG_MICROS)
    for name in "ab":
        scheduler.submit(owner, name, _Task(name))
    scheduler.submit(other, "k", _Task("c"))
    assert sorted(task.name for task in scheduler.withdraw(owner)) == ["a", "b"]
    scheduler.stop()
    assert owner.batches == [] and other.batches == [("k", ["c"])]


def test_stop_runs_what_waits_and_takes_no_more():
    scheduler = batch_scheduler.BatchScheduler(1, "test_batches")
    owner = _Owner(batch_timeout_micros=_LONG_MICROS)
    scheduler.submit(owner, "k", _Task("a"))
    scheduler.stop()
    assert owner.batches == [("k", ["a"])]
    assert not any(thread.name.startswith("test_batches") for thread in threading.enumerate())
    with pytest.raises(errors.ServableError, match="CANCELLED"):
        scheduler.submit(owner, "k", _Task("b"))
    scheduler.stop()


def test_stop_ends_every_thread_whenever_it_wakes():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            stop = threading.Thread(
                target=batch_scheduler.BatchScheduler(8, "test_batches").stop, daemon=True
            )
            stop.start()
            stop.join(_WAIT_SECS)
            assert not stop.is_alive()
    finally:
        sys.setswitchinterval(interval)
