"""How many loads and unloads run at once."""

import threading

from estimator_app.serving import load_threads

_DEADLINE_SECS = 30.0


class _Loads:
    """Threads that hold the gate until they are let go."""

    def __init__(self, gate):
        self.go = threading.Event()
        self.entered = threading.Semaphore(0)
        self._gate = gate
        self._threads = []

    def begin(self, count):
        for _ in range(count):
            self._threads.append(threading.Thread(target=self._load))
            self._threads[-1].start()

    def end(self):
        self.go.set()
        for thread in self._threads:
            thread.join(_DEADLINE_SECS)
            assert not thread.is_alive()

    def _load(self):
        with self._gate:
            self.entered.release()
            self.go.wait(_DEADLINE_SECS)


def test_loads_of_the_start_run_side_by_side_and_later_ones_in_turn():
    gate = load_threads.LoadGate(0, first_loads=2)
    first = _Loads(gate)
    first.begin(3)
    assert all(first.entered.acquire(timeout=_DEADLINE_SECS) for _ in range(2))
    assert not first.entered.acquire(timeout=0.05)
    gate.narrow()
    first.end()
    later = _Loads(gate)
    later.begin(2)
    assert later.entered.acquire(timeout=_DEADLINE_SECS)
    assert not later.entered.acquire(timeout=0.05)
    later.end()


def test_threads_say_how_many_loads_run_later():
    gate = load_threads.LoadGate(2, first_loads=1)
    gate.narrow()
    loads = _Loads(gate)
    loads.begin(2)
    assert all(loads.entered.acquire(timeout=_DEADLINE_SECS) for _ in range(2))
    loads.end()


def test_load_that_fails_lets_the_next_one_in():
    gate = load_threads.LoadGate(0, first_loads=1)
    for _ in range(2):
        try:
            with gate:
                raise MemoryError
        except MemoryError:
            pass


def test_unloads_run_elsewhere_and_are_waited_for_by_the_stop():
    unloads = load_threads.UnloadThreads(0)
    go = threading.Event()
    done = []
    unloads(lambda: done.append((go.wait(_DEADLINE_SECS), threading.get_ident())))
    assert not done
    go.set()
    unloads.stop()
    assert done[0][0] and done[0][1] != threading.get_ident()


def test_unload_after_the_stop_runs_at_once():
    unloads = load_threads.UnloadThreads(2)
    unloads.stop()
    done = []
    unloads(lambda: done.append(threading.get_ident()))
    assert done == [threading.get_ident()]
