"""How many loads and unloads run at once."""

import threading
import time

from estimator_app.serving import load_threads

_DEADLINE_SECS = 30.0
_LOADS = 8


class _Loads:
    """Runs loads through a gate; notes how many were inside at once."""

    def __init__(self, gate, meeting):
        """Each load waits until `meeting` of them are inside."""
        self.most = 0
        self._gate = gate
        self._inside = 0
        self._lock = threading.Lock()
        self._meeting = threading.Barrier(meeting)
        self._start = threading.Barrier(_LOADS)

    def run(self):
        threads = [threading.Thread(target=self._load, daemon=True) for _ in range(_LOADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_DEADLINE_SECS)
            assert not thread.is_alive()
        return self.most

    def _load(self):
        self._start.wait(_DEADLINE_SECS)
        with self._gate:
            with self._lock:
                self._inside += 1
                self.most = max(self.most, self._inside)
            self._meeting.wait(_DEADLINE_SECS)
            for _ in range(100):
                time.sleep(0)  # the turn of another thread, if the gate has let one in
            with self._lock:
                self._inside -= 1


def test_loads_of_the_start_run_side_by_side_and_later_ones_in_turn():
    gate = load_threads.LoadGate(0, first_loads=2)
    assert _Loads(gate, meeting=2).run() == 2
    gate.narrow()
    assert _Loads(gate, meeting=1).run() == 1


def test_threads_say_how_many_loads_run_later():
    gate = load_threads.LoadGate(2, first_loads=1)
    assert _Loads(gate, meeting=1).run() == 1
    gate.narrow()
    assert _Loads(gate, meeting=2).run() == 2


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
