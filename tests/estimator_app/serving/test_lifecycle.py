"""A server process with the flags of a version's life: copies, retries, what is told of it and for how long."""

import pathlib
import shutil
import threading
import time

import pytest

from serving_client import PredictionClient
from tests import running, saved_models

_DEADLINE_SECS = 60.0


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("lives")
    saved_models.write_plain_model(path, 1, 1.0)
    return path


@pytest.fixture(scope="module")
def served(base):
    flags = (
        "--model_name=m",
        "--settle_secs=0.3",
        "--forget_ended_secs=0.2",
        "--max_num_load_retries=2",
        "--load_retry_interval_micros=1000",
        "--load_retry_multiplier=2",
        "--num_load_threads=2",
        "--num_unload_threads=1",
        "--noflush_filesystem_caches",
    )
    with running.run_server(base, *flags) as process:
        yield process


@pytest.fixture
def client(served):
    with PredictionClient(served.address, "m") as asked:
        yield asked


def _states(client):
    return {status.version: status.state for status in client.model_status()}


def _eventually(condition):
    deadline = time.monotonic() + _DEADLINE_SECS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def test_copied_versions_are_loaded_when_they_are_whole_and_old_ones_forgotten(
    base, client, tmp_path
):
    whole = saved_models.write_plain_model(tmp_path, 9, 9.0)
    half = base / "9"
    half.mkdir()
    shutil.copytree(pathlib.Path(whole) / "variables", half / "variables")
    saved_models.write_plain_model(base, 2, 2.0)
    _eventually(lambda: _states(client).get(2) == "AVAILABLE")
    assert client.predict({"x": [[10.0]]})["y"] == 20.0
    assert 9 not in _states(client)
    shutil.copy(pathlib.Path(whole) / "saved_model.pb", half)
    _eventually(lambda: _states(client) == {9: "AVAILABLE"})
    assert client.predict({"x": [[10.0]]})["y"] == 90.0


def test_version_that_does_not_load_is_told_of_while_it_stays(base, client):
    (base / "11").mkdir()
    (base / "11" / "saved_model.pb").write_bytes(b"no protobuf")
    _eventually(lambda: _states(client).get(11) == "END")
    (failed,) = [one for one in client.model_status() if one.version == 11]
    assert failed.error_message == f"Can't parse {base}/11/saved_model.pb as binary proto"
    shutil.rmtree(base / "11")
    _eventually(lambda: 11 not in _states(client))
