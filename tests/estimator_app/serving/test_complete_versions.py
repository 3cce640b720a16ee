"""Which versions count as all there."""

import os

import pytest

from estimator_app.serving import complete_versions


class _Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return _Clock()


@pytest.fixture
def complete(clock):
    return complete_versions.CompleteVersions(5.0, clock)


def _write(base, file, text="x"):
    path = base / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_seconds_every_version_is_complete(tmp_path, clock):
    (tmp_path / "1").mkdir()
    complete = complete_versions.CompleteVersions(0, clock)
    assert complete.among(str(tmp_path), [1]) == [1] and complete.due == float("inf")


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "saved_model.pbtxt", "saved_model.cpb", "model.tflite"]
)
def test_version_is_complete_when_two_looks_agree(tmp_path, clock, complete, name):
    _write(tmp_path, f"0007/{name}")
    assert complete.among(str(tmp_path), [7]) == [] and complete.due == 105.0
    clock.now = 104.0
    assert complete.among(str(tmp_path), [7]) == [] and complete.due == 105.0
    clock.now = 105.0
    assert complete.among(str(tmp_path), [7]) == [7] and complete.due == float("inf")


def test_directory_without_a_model_is_never_complete(tmp_path, clock, complete):
    _write(tmp_path, "1/variables/variables.index")
    for _ in range(3):
        assert complete.among(str(tmp_path), [1]) == []
        assert complete.due == clock.now + 5
        clock.now += 10


@pytest.mark.parametrize("change", ["grows", "appears", "vanishes", "is touched"])
def test_change_begins_the_wait_again(tmp_path, clock, complete, change):
    _write(tmp_path, "1/saved_model.pb")
    _write(tmp_path, "1/variables/data")
    assert complete.among(str(tmp_path), [1]) == []
    clock.now += 10
    data = tmp_path / "1/variables/data"
    if change == "grows":
        data.write_text("xx")
    elif change == "appears":
        _write(tmp_path, "1/variables/more")
    elif change == "vanishes":
        data.unlink()
    else:
        os.utime(data, ns=(1, 1))
    assert complete.among(str(tmp_path), [1]) == [] and complete.due == 115.0
    clock.now += 5
    assert complete.among(str(tmp_path), [1]) == [1]


def test_version_stays_complete_until_it_is_gone(tmp_path, clock, complete):
    _write(tmp_path, "1/saved_model.pb")
    complete.among(str(tmp_path), [1])
    clock.now += 5
    assert complete.among(str(tmp_path), [1]) == [1]
    _write(tmp_path, "1/saved_model.pb", "changed")
    assert complete.among(str(tmp_path), [1]) == [1]
    assert complete.among(str(tmp_path), []) == []
    assert complete.among(str(tmp_path), [1]) == []


def test_another_base_path_begins_anew(tmp_path, clock, complete):
    for base in ("a", "b"):
        _write(tmp_path, f"{base}/1/saved_model.pb")
    complete.among(str(tmp_path / "a"), [1])
    clock.now += 5
    assert complete.among(str(tmp_path / "b"), [1]) == []
