"""Models that are loaded when they are first asked, and go when others need the room. The loads are faked."""

from concurrent import futures
import threading

import pytest

from estimator_app.serving import loaded_versions, models
from estimator_app.serving.version_policy import VersionPolicy
from export import errors

_DEADLINE_SECS = 30.0
_DEADLINE_MS = 30_000
_MIB = 2**20


class _FakeServable:
    def __init__(self, path):
        self.path = path
        self.closed = threading.Event()

    def close(self):
        self.closed.set()

    def free(self):
        pass


class _Loader:
    """Loads fakes, when `go` is set; a path in `broken` fails."""

    def __init__(self):
        self.loaded = []
        self.broken = set()
        self.began = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()

    def __call__(self, path):
        self.began.release()
        assert self.go.wait(_DEADLINE_SECS)
        if path in self.broken:
            raise errors.ServableError(errors.Code.DATA_LOSS, "no good")
        self.loaded.append(_FakeServable(path))
        return self.loaded[-1]


@pytest.fixture
def loader():
    return _Loader()


@pytest.fixture
def make_model(tmp_path, loader):
    """Makes models that watch, and stops them in the end; they share a limit in MiB."""
    made = []
    limits = {}

    def make(name, *versions, policy=VersionPolicy(), limit_mib=0, **more):
        for version, size in versions:
            _write(tmp_path / name, version, size)
        shared = limits.setdefault(limit_mib, loaded_versions.LoadedVersions(limit_mib))
        kwargs = {"poll_wait_secs": 0.01, "max_load_retries": 0, "load_fn": loader, **more}
        model = models.ServedModel(
            name, str(tmp_path / name), policy, loaded_on_demand=shared, **kwargs
        )
        made.append(model)
        model.start()
        assert model.wait_until_settled(_DEADLINE_SECS)
        return model

    yield make
    loader.go.set()
    for model in made:
        model.stop()


def _write(base, version, size=1):
    folder = base / str(version)
    folder.mkdir(parents=True)
    with open(folder / "saved_model.pb", "wb") as file:
        file.truncate(size)


def _ask(model, version=None, timeout_ms=_DEADLINE_MS):
    with model.acquire(version, timeout_ms) as (answering, _, _):
        return answering


def _states(model):
    return {status.version: status.state.name for status in model.statuses()}


def _eventually(condition):
    waiting = threading.Event()
    for _ in range(int(_DEADLINE_SECS / 0.01)):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not happen in time")


def test_version_is_loaded_by_the_first_request(make_model, loader):
    model = make_model("m", (1, 1), (2, 1))
    assert _states(model) == {2: "START"} and model.available == [] and model.answering == [2]
    assert _ask(model) == 2 and _ask(model) == 2
    assert _states(model) == {2: "AVAILABLE"} and len(loader.loaded) == 1
    with pytest.raises(errors.ServableError) as caught:
        _ask(model, 1)
    assert str(caught.value) == "NOT_FOUND: Servable not found for request: Specific(m, 1)"


def test_missing_base_path_opens_the_ports_too(make_model):
    model = make_model("nothing")
    with pytest.raises(errors.ServableError, match=r"Latest\(nothing\)"):
        _ask(model)


def test_each_version_is_loaded_by_itself(make_model):
    model = make_model("m", (1, 1), (2, 1), policy=VersionPolicy(latest=None))
    assert _ask(model, 1) == 1
    assert _states(model) == {2: "START", 1: "AVAILABLE"}
    assert _ask(model) == 2
    assert model.available == [2, 1]


def test_requests_wait_for_one_load(make_model, loader):
    model = make_model("m", (1, 1))
    loader.go.clear()
    with futures.ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(_ask, model) for _ in range(4)]
        assert loader.began.acquire(timeout=_DEADLINE_SECS)
        loader.go.set()
        assert [answer.result(_DEADLINE_SECS) for answer in answers] == [1] * 4
    assert len(loader.loaded) == 1


def test_request_waits_no_longer_than_its_deadline_and_the_load_goes_on(make_model, loader):
    model = make_model("m", (1, 1))
    loader.go.clear()
    with pytest.raises(errors.ServableError) as caught:
        _ask(model, timeout_ms=10)
    assert str(caught.value) == (
        "DEADLINE_EXCEEDED: Version 1 of model m was not loaded in time; it goes on loading"
    )
    loader.go.set()
    _eventually(lambda: model.available == [1])


def test_stop_lets_waiting_requests_go(make_model):
    gate = threading.Lock()
    model = make_model("m", (1, 1), load_gate=gate)
    with gate, futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_ask, model)
        _eventually(lambda: model._asked)
        model.begin_stop()
        with pytest.raises(errors.ServableError, match="not found"):
            answer.result(_DEADLINE_SECS)


def test_request_gets_the_error_of_the_load(make_model, loader, tmp_path):
    loader.broken.add(f"{tmp_path}/m/2")
    model = make_model("m", (2, 1), max_load_retries=1, load_retry_wait_secs=3600)
    raised = []
    for _ in range(3):  # the second one does not wait for the next try
        with pytest.raises(errors.ServableError) as caught:
            _ask(model)
        assert str(caught.value) == "DATA_LOSS: no good"
        raised.append(caught.value)
    # Raised again and again, one exception would hold the frames of all requests.
    assert raised[1] is not raised[2]
    given_up = make_model("n", (2, 1))
    loader.broken.add(f"{tmp_path}/n/2")
    with pytest.raises(errors.ServableError, match="no good"):
        _ask(given_up)
    with pytest.raises(errors.ServableError, match="not found"):
        _ask(given_up)
    assert _states(given_up) == {2: "END"}


def test_version_in_memory_answers_until_the_newer_one_is_loaded(make_model, loader, tmp_path):
    model = make_model("m", (1, 1))
    assert _ask(model) == 1
    loader.go.clear()
    _write(tmp_path / "m", 2)
    assert loader.began.acquire(timeout=_DEADLINE_SECS)
    _eventually(lambda: 2 in _states(model))
    assert _ask(model) == 1
    loader.go.set()
    _eventually(lambda: _states(model) == {2: "AVAILABLE", 1: "END"})
    assert _ask(model) == 2


def test_newer_version_of_a_model_that_nobody_asks_is_not_loaded(make_model, tmp_path):
    model = make_model("m", (1, 1))
    _write(tmp_path / "m", 2)
    _eventually(lambda: _states(model) == {2: "START", 1: "END"})
    assert model.available == []


def test_version_that_was_asked_longest_ago_makes_room(make_model, loader):
    # 1.2 times the size: two of them fit, three do not.
    first, second, third = (make_model(name, (1, 3 * _MIB), limit_mib=8) for name in "abc")
    for model in (first, second, first, third):
        assert _ask(model) == 1
    assert (first.available, second.available, third.available) == ([1], [], [1])
    assert _states(second) == {1: "START"} and loader.loaded[1].closed.is_set()
    assert _ask(second) == 1
    assert first.available == [] and third.available == [1]


def test_version_that_is_answering_goes_last(make_model, loader):
    first, second, third = (make_model(name, (1, 3 * _MIB), limit_mib=8) for name in "abc")
    with first.acquire(None, _DEADLINE_MS):
        assert _ask(second) == 1 and _ask(third) == 1
        assert first.available == [1] and second.available == []


def test_version_larger_than_the_limit_is_refused(make_model):
    model = make_model("m", (1, 10 * _MIB), limit_mib=8)
    with pytest.raises(errors.ServableError) as caught:
        _ask(model)
    assert str(caught.value) == (
        "RESOURCE_EXHAUSTED: Expected version 1 of model m to need at most --model_memory_limit_mb=8 "
        "of memory, found about 12 MiB. Raise the limit."
    )


def test_unloaded_version_makes_room_for_others(make_model):
    first, second = (make_model(name, (1, 5 * _MIB), limit_mib=8) for name in "ab")
    assert _ask(first) == 1
    first.retire()
    _eventually(lambda: first.available == [])
    assert _ask(second) == 1
    _eventually(lambda: _states(first) == {1: "END"})


class _Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_run_has_what_the_load_left_of_the_time(make_model, loader):
    clock = _Clock()

    def load(path):
        clock.now += 2.0
        return loader(path)

    model = make_model("m", (1, 1), load_fn=load, clock=clock)
    with model.acquire(None, 3000) as (_, _, left_ms):
        assert left_ms == 1000
    with model.acquire(None, 3000) as (_, _, left_ms):
        assert left_ms == 3000
    with model.acquire() as (_, _, left_ms):
        assert left_ms == 0  # without limit


def test_run_whose_time_the_load_has_used_up_has_a_limit_all_the_same(make_model, loader):
    clock = _Clock()

    def load(path):
        clock.now += 5.0
        return loader(path)

    model = make_model("m", (1, 1), load_fn=load, clock=clock)
    with model.acquire(None, 3000) as (_, _, left_ms):
        assert left_ms == 1


def test_look_at_a_version_neither_loads_nor_uses_it(make_model, loader):
    clock = _Clock()
    model = make_model("m", (1, 1), clock=clock)
    assert model.peek(1) is None and not loader.loaded
    _ask(model)
    used = model.last_used(1)
    clock.now += 1
    assert model.peek(1) is loader.loaded[0]
    assert model.last_used(1) == used
