"""A server process with the flags of a version's life: copies, retries, what is told of it and for how long."""

import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

import grpc
import pytest

from serving_client import PredictionClient
from tests import running, saved_models

_DEADLINE_SECS = 60.0
_CONFIG = """
model_config_list {{
  config {{ name: "m" base_path: "{base}/m" model_platform: "tensorflow" }}
  config {{ name: "n" base_path: "{base}/n" model_platform: "tensorflow" }}
}}
"""


@pytest.fixture(scope="module")
def models_base(tmp_path_factory):
    """Models `m` and `n`, version 1 of each; they multiply by 1 and by 7."""
    path = tmp_path_factory.mktemp("lives")
    saved_models.write_plain_model(path / "m", 1, 1.0)
    saved_models.write_plain_model(path / "n", 1, 7.0)
    (path / "models.txt").write_text(_CONFIG.format(base=path))
    return path


@pytest.fixture(scope="module")
def served(models_base):
    flags = (
        f"--model_config_file={models_base}/models.txt",
        "--rest_api_port=-1",
        "--settle_secs=0.3",
        "--forget_ended_secs=0.2",
        "--enable_model_list",
        "--max_num_load_retries=2",
        "--load_retry_interval_micros=1000",
        "--load_retry_multiplier=2",
        "--num_load_threads=2",
        "--num_unload_threads=1",
        "--noflush_filesystem_caches",
    )
    with running.run_server(models_base / "none", *flags) as process:
        yield process


@pytest.fixture
def base(models_base):
    return models_base / "m"


@pytest.fixture
def client(served):
    with PredictionClient(served.address, "m") as asked:
        yield asked


@pytest.fixture
def rest_client(served):
    with PredictionClient(f"http://{served.host}:{served.rest_port}", "m") as asked:
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


def test_one_call_lists_all_models(client, rest_client):
    for asked in (client, rest_client):
        listed = asked.list_models()
        assert list(listed) == ["m", "n"]
        assert [one.version for one in listed["m"]] == [one.version for one in asked.model_status()]
        assert [(one.version, one.state) for one in listed["n"]] == [(1, "AVAILABLE")]


def test_command_lists_all_models(served, client):
    done = subprocess.run(
        [sys.executable, "-m", "serving_client.main", f"--server={served.address}", "--status"],
        capture_output=True,
        text=True,
        timeout=_DEADLINE_SECS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    ours = [f"m version {one.version}: {one.state}" for one in client.model_status()]
    lines = [line.partition("  error")[0] for line in done.stdout.splitlines()]
    assert lines == [*ours, "n version 1: AVAILABLE"]


def test_official_stubs_read_the_list(served):
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        prediction_service_pb2_grpc,
    )

    with grpc.insecure_channel(served.address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["model_status"])
        response = stub.GetModelMetadata(request, timeout=_DEADLINE_SECS)
        status = get_model_status_pb2.GetModelStatusResponse()
        assert response.metadata["n"].Unpack(status)
        assert status.model_version_status[0].state == status.model_version_status[0].AVAILABLE
        # Of one model it is what the stock server says.
        request.model_spec.name = "n"
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetModelMetadata(request, timeout=_DEADLINE_SECS)
    assert caught.value.details() == "Metadata field model_status is not supported"


def test_list_is_json_over_rest(served):
    with urllib.request.urlopen(f"http://{served.host}:{served.rest_port}/v1/models") as answer:
        listed = json.load(answer)
    assert listed["models"][1] == {
        "name": "n",
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ],
    }
