"""Which version is loaded when, without TensorFlow: the loads are faked, the polls are ours."""

import logging
import shutil
import threading

import pytest

from estimator_app.serving import models, version_statuses
from estimator_app.serving.version_policy import VersionPolicy
from export import errors

_BROKEN = errors.ServableError(errors.Code.DATA_LOSS, "no good")


class _FakeServable:
    def __init__(self, path):
        self.path = path
        self.closed = False

    def close(self):
        self.closed = True

    def free(self):
        assert self.closed


class _Loader:
    """Loads fakes; a directory with a file `broken` fails."""

    def __init__(self, base):
        self.base = base
        self.loaded = {}
        self.tries = []

    def __call__(self, path):
        self.tries.append(path.rsplit("/", 1)[1])
        if (self.base / path / "broken").exists():
            raise _BROKEN
        self.loaded[self.tries[-1]] = _FakeServable(path)
        return self.loaded[self.tries[-1]]


@pytest.fixture
def base(tmp_path):
    return tmp_path


@pytest.fixture
def loader(base):
    return _Loader(base)


@pytest.fixture
def model(base, loader):
    return models.ServedModel(
        "m", str(base), max_load_retries=1, load_retry_wait_secs=0, load_fn=loader
    )


def _states(model):
    return {status.version: status.state.name for status in model.statuses()}


def test_newest_version_is_loaded(base, model, loader):
    for name in ("1", "3", "2", "not-a-version"):
        (base / name).mkdir()
    assert model.poll_once()
    assert model.available == [3] and loader.tries == ["3"]
    assert _states(model) == {3: "AVAILABLE"}
    with model.acquire() as (version, servable, _):
        assert version == 3 and servable is loader.loaded["3"]


def test_leading_zeros_are_loaded_from_their_directory(base, model, loader):
    (base / "0007").mkdir()
    model.poll_once()
    assert model.available == [7] and loader.tries == ["0007"]


def test_newer_version_takes_over_and_the_old_one_is_unloaded(base, model, loader):
    (base / "1").mkdir()
    model.poll_once()
    (base / "2").mkdir()
    model.poll_once()
    model.poll_once()
    assert loader.tries == ["1", "2"]
    assert loader.loaded["1"].closed and not loader.loaded["2"].closed
    assert _states(model) == {2: "AVAILABLE", 1: "END"}
    assert [status.version for status in model.statuses()] == [2, 1]
    assert model.statuses(1) == [version_statuses.VersionStatus(1, version_statuses.State.END)]
    assert model.statuses(9) == []


def test_old_version_answers_while_the_new_one_loads(base, loader):
    seen = []

    def load(path):
        if model.available:
            with model.acquire() as (version, _, _):
                seen.append((version, _states(model)))
        return loader(path)

    model = models.ServedModel("m", str(base), load_fn=load)
    (base / "1").mkdir()
    model.poll_once()
    (base / "2").mkdir()
    model.poll_once()
    assert seen == [(1, {2: "LOADING", 1: "AVAILABLE"})]


def test_request_keeps_its_version_to_the_end(base, model, loader):
    (base / "1").mkdir()
    model.poll_once()
    with model.acquire() as (version, servable, _):
        (base / "2").mkdir()
        model.poll_once()
        assert version == 1 and not servable.closed
        assert _states(model) == {2: "AVAILABLE", 1: "UNLOADING"}
        with pytest.raises(errors.ServableError):
            with model.acquire(1):
                pass
        with model.acquire() as (newer, _, _):
            assert newer == 2
    assert servable.closed
    assert _states(model) == {2: "AVAILABLE", 1: "END"}


def test_failed_load_is_retried_then_reported_and_the_old_version_stays(base, model, loader):
    (base / "1").mkdir()
    model.poll_once()
    (base / "2").mkdir()
    (base / "2" / "broken").touch()
    for _ in range(3):
        assert model.poll_once()
    assert loader.tries == ["1", "2", "2"]
    assert model.available == [1]
    assert model.statuses(2) == [
        version_statuses.VersionStatus(2, version_statuses.State.END, _BROKEN)
    ]


def test_failed_version_is_tried_again_once_it_was_gone(base, model, loader):
    (base / "1").mkdir()
    (base / "2").mkdir()
    (base / "2" / "broken").touch()
    model.poll_once()
    shutil.rmtree(base / "2")
    model.poll_once()
    assert model.available == [1]
    (base / "2").mkdir()
    model.poll_once()
    assert model.available == [2]


def test_retries_end_when_a_newer_version_appears(base, loader):
    def load(path):
        if path.endswith("/1"):
            (base / "2").mkdir()
        return loader(path)

    model = models.ServedModel("m", str(base), load_retry_wait_secs=0, load_fn=load)
    (base / "1").mkdir()
    (base / "1" / "broken").touch()
    assert not model.poll_once()
    assert model.poll_once()
    assert loader.tries == ["1", "2"] and model.available == [2]
    assert model.statuses(1)[0].error == _BROKEN


def test_error_of_any_kind_fails_the_load_only(base):
    def load(path):
        raise MemoryError("too big")

    model = models.ServedModel("m", str(base), max_load_retries=0, load_fn=load)
    (base / "1").mkdir()
    assert model.poll_once()
    assert str(model.statuses(1)[0].error) == "INTERNAL: MemoryError: too big"


def test_removed_newest_version_gives_way_to_the_one_before(base, model, loader):
    (base / "1").mkdir()
    (base / "2").mkdir()
    model.poll_once()
    shutil.rmtree(base / "2")
    model.poll_once()
    assert model.available == [1] and _states(model) == {2: "END", 1: "AVAILABLE"}


def test_base_path_that_vanishes_unloads_nothing(base, model, caplog):
    (base / "1").mkdir()
    model.poll_once()
    shutil.rmtree(base)
    with caplog.at_level(logging.WARNING):
        model.poll_once()
    assert model.available == [1]
    assert f"Could not find base path {base} for servable m with error NOT_FOUND" in caplog.text


def test_base_path_that_is_empty_unloads_the_model(base, model, caplog):
    (base / "1").mkdir()
    model.poll_once()
    shutil.rmtree(base / "1")
    with caplog.at_level(logging.WARNING):
        model.poll_once()
    assert model.available == [] and _states(model) == {1: "END"}
    assert f"No versions of servable m found under base path {base}." in caplog.text
    with pytest.raises(errors.ServableError) as caught:
        with model.acquire():
            pass
    assert str(caught.value) == "NOT_FOUND: Servable not found for request: Latest(m)"


def test_newest_version_that_fails_settles_the_start(base, model):
    (base / "1").mkdir()
    (base / "2").mkdir()
    (base / "2" / "broken").touch()
    model.start()
    assert model.wait_until_settled(10)
    assert model.failure == version_statuses.VersionStatus(2, version_statuses.State.END, _BROKEN)
    model.stop()


def test_start_waits_for_a_first_version(base, loader):
    model = models.ServedModel("m", str(base / "later"), poll_wait_secs=0.01, load_fn=loader)
    loader.base = base / "later"
    model.start()
    assert not model.wait_until_settled(0.05) and model.available == []
    (base / "later" / "1").mkdir(parents=True)
    assert model.wait_until_settled(10) and model.available == [1]
    model.stop()
    assert loader.loaded["1"].closed


def _served(base, loader, policy, *on_disk):
    """A model by this policy, after one poll."""
    for version in on_disk:
        (base / str(version)).mkdir()
    model = models.ServedModel("m", str(base), policy, load_retry_wait_secs=0, load_fn=loader)
    model.poll_once()
    return model


def test_several_versions_are_loaded_highest_first(base, loader):
    model = _served(base, loader, VersionPolicy(latest=2), 1, 2, 3)
    assert loader.tries == ["3", "2"] and model.available == [3, 2]
    with model.acquire() as (newest, _, _), model.acquire(2) as (older, _, _):
        assert (newest, older) == (3, 2)
    with pytest.raises(errors.ServableError, match=r"Specific\(m, 1\)"):
        with model.acquire(1):
            pass


def test_newest_versions_move_on(base, loader):
    model = _served(base, loader, VersionPolicy(latest=2), 1, 2)
    (base / "3").mkdir()
    model.poll_once()
    assert model.available == [3, 2]
    assert _states(model) == {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"}


def test_all_versions_are_served_until_they_are_removed(base, loader):
    model = _served(base, loader, VersionPolicy(latest=None), 1, 2, 9)
    assert model.available == [9, 2, 1]
    shutil.rmtree(base / "2")
    model.poll_once()
    assert model.available == [9, 1] and loader.loaded["2"].closed


def test_specific_versions_are_served_and_a_missing_one_is_told_once(base, loader, caplog):
    policy = VersionPolicy(specific=frozenset({1, 3, 7}))
    with caplog.at_level(logging.WARNING):
        model = _served(base, loader, policy, 1, 2, 3, 4)
        model.poll_once()
    assert model.available == [3, 1]
    sentence = (
        "Version 7 of servable m, which was requested to be served as a 'specific' version in the "
        "servable's version policy, was not found in the file system"
    )
    assert caplog.text.count(sentence) == 1


def test_version_that_fails_does_not_hold_up_the_others(base, loader):
    (base / "2").mkdir()
    (base / "2" / "broken").touch()
    model = _served(base, loader, VersionPolicy(latest=None), 1, 3)
    assert model.available == [3, 1] and _states(model)[2] == "LOADING"


def test_another_policy_loads_before_it_unloads(base, loader):
    model = _served(base, loader, VersionPolicy(), 1, 2)
    held = []
    model._load_fn = lambda path: held.append(model.available) or loader(path)
    model.configure(str(base), VersionPolicy(specific=frozenset({1})))
    model.poll_once()
    assert held == [[2]] and model.available == [1]


def test_another_base_path_serves_its_versions(base, loader, tmp_path):
    model = _served(base, loader, VersionPolicy(), 1)
    other = tmp_path / "other"
    (other / "2").mkdir(parents=True)
    model.configure(str(other), VersionPolicy())
    model.poll_once()
    assert model.available == [2] and loader.loaded["2"].path == f"{other}/2"


def test_retired_model_lets_its_request_end_and_can_come_back(base, loader):
    model = _served(base, loader, VersionPolicy(), 1)
    with model.acquire() as (_, first, _):
        model.retire()
        model.poll_once()
        assert model.available == [] and not first.closed
        model.configure(str(base), VersionPolicy())
        assert not model.wait_until_settled(0)
        model.poll_once()
        assert model.wait_until_settled(0) and model.available == [1]
    assert first.closed and not loader.loaded["1"].closed
    assert _states(model) == {1: "AVAILABLE"}


def test_configuration_is_acted_on_at_once_by_a_model_that_looks_only_once(base, loader):
    (base / "1").mkdir()
    model = models.ServedModel("m", str(base), poll_wait_secs=0, load_fn=loader)
    model.start()
    assert model.wait_until_settled(10)
    loaded = threading.Event()
    model._load_fn = lambda path: loaded.set() or loader(path)
    (base / "2").mkdir()
    model.configure(str(base), VersionPolicy(latest=2))
    assert loaded.wait(10)
    model.stop()
    assert _states(model) == {2: "END", 1: "END"}


@pytest.mark.parametrize("poll_wait_secs", [-1, 0, 0.01])
def test_stop_ends_the_wait(base, loader, poll_wait_secs):
    model = models.ServedModel(
        "m", str(base / "never"), poll_wait_secs=poll_wait_secs, load_fn=loader
    )
    model.start()
    assert not model.wait_until_settled(0)
    model.stop()
    assert model.wait_until_settled(0) and model.available == []


def test_stop_ends_the_wait_between_two_tries(base, loader):
    model = models.ServedModel("m", str(base), load_retry_wait_secs=3600, load_fn=loader)
    (base / "1").mkdir()
    (base / "1" / "broken").touch()
    model.start()
    model.stop()
    assert model.available == []


def test_stop_closes_a_version_that_is_in_use(base, model, loader):
    (base / "1").mkdir()
    model.poll_once()
    with model.acquire() as (_, servable, _):
        model.stop()
        assert servable.closed
    assert _states(model) == {1: "END"}


class _Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    "multiplier, dues", [(1.0, [60, 120, 180]), (2.0, [60, 180, 420]), (1e9, [60, 86460, 172860])]
)
def test_waits_between_tries_grow_if_asked_to(base, loader, multiplier, dues):
    clock = _Clock()
    model = models.ServedModel(
        "m",
        str(base),
        max_load_retries=3,
        load_retry_wait_secs=60,
        load_retry_multiplier=multiplier,
        load_fn=loader,
        clock=clock,
    )
    (base / "1").mkdir()
    (base / "1" / "broken").touch()
    model.poll_once()
    for tries, due in enumerate(dues, 1):
        clock.now = 1000 + due - 1
        assert not model.poll_once() and len(loader.tries) == tries
        clock.now = 1000 + due
        model.poll_once()
        assert len(loader.tries) == tries + 1
    assert model.statuses(1)[0].state == version_statuses.State.END


def test_version_that_is_being_copied_is_as_if_it_were_not_there(base, loader):
    clock = _Clock()
    model = models.ServedModel("m", str(base), settle_secs=2, load_fn=loader, clock=clock)
    (base / "1").mkdir()
    (base / "1" / "saved_model.pb").touch()
    assert not model.poll_once()
    clock.now += 2
    assert model.poll_once() and model.available == [1]
    (base / "2").mkdir()
    for _ in range(2):
        clock.now += 2
        model.poll_once()
    assert _states(model) == {1: "AVAILABLE"}
    (base / "2" / "saved_model.pb").touch()
    model.poll_once()
    clock.now += 2
    model.poll_once()
    assert _states(model) == {2: "AVAILABLE", 1: "END"}


def test_model_that_looks_only_once_still_waits_for_what_it_saw(base, loader):
    (base / "1").mkdir()
    (base / "1" / "saved_model.pb").touch()
    model = models.ServedModel("m", str(base), poll_wait_secs=0, settle_secs=0.01, load_fn=loader)
    model.start()
    assert model.wait_until_settled(10) and model.available == [1]
    model.stop()


def test_versions_that_ended_are_forgotten_after_a_while(base, loader):
    clock = _Clock()
    model = models.ServedModel(
        "m",
        str(base),
        VersionPolicy(latest=None),
        max_load_retries=0,
        forget_ended_secs=30,
        load_fn=loader,
        clock=clock,
    )
    for name in ("1", "2", "3"):
        (base / name).mkdir()
    (base / "2" / "broken").touch()
    model.poll_once()
    shutil.rmtree(base / "1")
    model.poll_once()
    clock.now += 29
    assert _states(model) == {3: "AVAILABLE", 2: "END", 1: "END"}
    clock.now += 1
    # What does not load is told of while it stays.
    assert _states(model) == {3: "AVAILABLE", 2: "END"}
    shutil.rmtree(base / "2")
    model.poll_once()
    assert _states(model) == {3: "AVAILABLE"}


def test_load_waits_at_the_gate(base, loader):
    gate = threading.Lock()
    model = models.ServedModel("m", str(base), load_fn=loader, load_gate=gate)
    (base / "1").mkdir()
    with gate:
        model.start()
        assert not model.wait_until_settled(0.05)
        assert _states(model) == {1: "START"} and not loader.tries
    assert model.wait_until_settled(10) and _states(model) == {1: "AVAILABLE"}
    model.stop()


def test_unload_is_left_to_others(base, loader):
    unloads = []
    model = models.ServedModel("m", str(base), load_fn=loader, unload_fn=unloads.append)
    (base / "1").mkdir()
    model.poll_once()
    (base / "2").mkdir()
    with model.acquire():
        model.poll_once()
        assert not unloads
    assert _states(model) == {2: "AVAILABLE", 1: "UNLOADING"}
    assert not loader.loaded["1"].closed
    unloads.pop()()
    assert _states(model) == {2: "AVAILABLE", 1: "END"} and loader.loaded["1"].closed


@pytest.mark.parametrize("error", [MemoryError("too large"), SystemExit(3), AttributeError("x")])
def test_load_that_fails_in_any_way_stands_in_its_status(base, error):
    def load(path):
        if path.endswith("/2"):
            raise error
        return _FakeServable(path)

    for version in (1, 2):
        (base / str(version)).mkdir()
    model = models.ServedModel(
        "m", str(base), VersionPolicy(latest=None), max_load_retries=0, load_fn=load
    )
    model.poll_once()
    assert _states(model) == {2: "END", 1: "AVAILABLE"}
    assert str(model.statuses(2)[0].error) == f"INTERNAL: {type(error).__name__}: {error}"
    model.stop()


def test_only_whole_numbers_in_the_base_path_are_versions(base, loader, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "9").mkdir()
    for name in ("1", "1 ", "..1", "1..", "0x2", "2e1", "1.5", "%32", "\u0663", "--3", "9" * 30):
        (base / name).mkdir()
    (base / "1" / "7").mkdir()
    # A link is followed wherever it leads, as by the stock server: who may make one may put any model there.
    (base / "5").symlink_to(elsewhere / "9")
    (base / "out").symlink_to(elsewhere)
    model = models.ServedModel("m", str(base), VersionPolicy(latest=None), load_fn=loader)
    model.poll_once()
    assert model.available == [5, 1]
    model.stop()


def _watches(name):
    return [thread for thread in threading.enumerate() if thread.name == f"versions-{name}"]


def test_retired_model_keeps_no_thread_until_it_is_configured_again(base, loader):
    model = models.ServedModel("retired", str(base), poll_wait_secs=0.01, load_fn=loader)
    (base / "1").mkdir()
    model.start()
    assert model.wait_until_settled(10)
    (watch,) = _watches("retired")
    model.retire()
    watch.join(10)
    assert not watch.is_alive() and not _watches("retired")
    assert _states(model) == {1: "END"}
    model.configure(str(base), VersionPolicy())
    assert model.wait_until_settled(10) and model.available == [1]
    assert len(_watches("retired")) == 1
    model.stop()
    assert not _watches("retired")


def test_memory_is_given_back_after_a_load_that_failed(base, model, monkeypatch):
    given_back = []
    monkeypatch.setattr(models.memory, "give_back", lambda: given_back.append(_states(model)))
    (base / "1").mkdir()
    (base / "1" / "broken").touch()
    model.poll_once()
    assert given_back == [{1: "LOADING"}]
