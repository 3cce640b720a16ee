"""A server process with a model config file: what it serves, and how that changes while it runs."""

from collections.abc import Iterator
import contextlib
import http.client
import json
import os
import threading
import time

import grpc
import numpy as np
import pytest

from estimator_app.serving import server
from estimator_app.serving import settings as serving_settings
from export import errors
from serving_client import wire
from tests import running, saved_models

_DEADLINE_SECS = 30.0
_START = """
model_config_list {{
  config {{
    name: "a" base_path: "{base}/a" model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
  }}
  config {{
    name: "b" base_path: "{base}/b" model_platform: "tensorflow"
    version_labels {{ key: "stable" value: 5 }}
  }}
}}
"""


@pytest.fixture(scope="module")
def models_base(tmp_path_factory):
    """Models `a` (versions 1 to 3), `b` (5) and `c` (1); each multiplies by its version."""
    base = tmp_path_factory.mktemp("several")
    for name, number in (("a", 1), ("a", 2), ("a", 3), ("b", 5), ("c", 1)):
        saved_models.write_plain_model(base / name, number, float(number))
    (base / "models.txt").write_text(_START.format(base=base))
    return base


@pytest.fixture(scope="module")
def several(models_base) -> Iterator[running.RunningServer]:
    """A server of `a` and `b`."""
    flags = (
        f"--model_config_file={models_base}/models.txt",
        "--allow_version_labels_for_unavailable_models",
        "--rest_api_port=-1",
        "--max_num_load_retries=0",
    )
    # The base path counts for nothing beside a config file.
    with running.run_server(models_base / "none", *flags) as process:
        yield process


@contextlib.contextmanager
def _caller(process):
    """A function (RPC, request) -> response."""
    with grpc.insecure_channel(process.address) as channel:

        def call(name, request, timeout=_DEADLINE_SECS):
            method = wire.METHODS[name]
            stub = channel.unary_unary(
                method.path, method.request.SerializeToString, method.response.FromString
            )
            return stub(request, timeout=timeout)

        yield call


@pytest.fixture
def call(several):
    with _caller(several) as function:
        yield function


def _answer(call, name, version=None, label=""):
    """(version, answer to 10) of a model, or the words of its refusal."""
    request = wire.PredictRequest()
    request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[10.0]])))
    try:
        response = call("Predict", request)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return response.model_spec.version.value, response.outputs["y"].float_val[0]


def _reload(call, base, *entries, timeout=_DEADLINE_SECS):
    """The answer to a reload with these models: (name, more text)."""
    request = wire.ReloadConfigRequest()
    for name, labels in entries:
        config = request.config.model_config_list.config.add(
            name=name, base_path=f"{base}/{name}", model_platform="tensorflow"
        )
        for label, version in labels.items():
            config.version_labels[label] = version
    try:
        return call("HandleReloadConfigRequest", request, timeout)
    except grpc.RpcError as error:
        return error.code().name, error.details()


def _eventually(condition):
    deadline = time.monotonic() + _DEADLINE_SECS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def _ask_rest(process, method, path, body=None):
    connection = http.client.HTTPConnection(process.host, process.rest_port, timeout=_DEADLINE_SECS)
    with contextlib.closing(connection):
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def test_models_versions_and_labels_of_the_file(several, call):
    assert "Serving a version" in several.log.read_text()
    assert _answer(call, "a") == (3, 30.0)
    _eventually(lambda: _answer(call, "a", 2) == (2, 20.0))
    assert _answer(call, "a", 1) == (
        "NOT_FOUND",
        "Servable not found for request: Specific(a, 1)",
    )
    assert _answer(call, "b") == _answer(call, "b", label="stable") == (5, 50.0)
    assert _answer(call, "b", label="canary") == (
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: canary",
    )
    status, body = _ask_rest(several, "GET", "/v1/models/a")
    versions = [(entry["version"], entry["state"]) for entry in body["model_version_status"]]
    assert (status, versions) == (200, [("3", "AVAILABLE"), ("2", "AVAILABLE")])


def test_label_in_a_path(several):
    body = json.dumps({"instances": [1.0]})
    path = "/v1/models/b/labels/{}:predict"
    assert _ask_rest(several, "POST", path.format("stable"), body) == (200, {"predictions": [5.0]})
    assert _ask_rest(several, "POST", path.format("canary"), body) == (
        400,
        {"error": "Unrecognized servable version label: canary"},
    )
    status, found = _ask_rest(several, "GET", "/v1/models/b/labels/stable/metadata")
    assert status == 200 and found["model_spec"]["version"] == "5"


def test_reload_replaces_the_models(several, call, models_base):
    response = _reload(call, models_base, ("b", {"first": 5}), ("c", {}))
    assert response.HasField("status") and response.status.error_code == 0
    # It has answered, so the new model answers too.
    assert _answer(call, "c") == (1, 10.0)
    assert _answer(call, "a") == ("NOT_FOUND", "Servable not found for request: Latest(a)")
    assert _answer(call, "b", label="first") == (5, 50.0)
    assert _answer(call, "b", label="stable")[0] == "INVALID_ARGUMENT"

    request = wire.GetModelStatusRequest()
    request.model_spec.name = "a"

    def states():
        entries = call("GetModelStatus", request).model_version_status
        return [(entry.version, entry.state, entry.status.error_code) for entry in entries]

    _eventually(lambda: states() == [(3, 50, 0), (2, 50, 0)])


def test_reload_that_is_refused_changes_nothing(several, call, models_base):
    assert _reload(call, models_base, ("c", {})).status.error_code == 0
    assert _reload(call, models_base, ("c", {}), ("c", {})) == (
        "INVALID_ARGUMENT",
        "Illegal to list model c multiple times in config list",
    )
    with pytest.raises(grpc.RpcError) as caught:
        call("HandleReloadConfigRequest", wire.ReloadConfigRequest())
    assert (caught.value.code().name, caught.value.details()) == (
        "INVALID_ARGUMENT",
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList "
        "is currently supported",
    )
    assert _answer(call, "c") == (1, 10.0)


def test_reload_tells_of_a_model_that_does_not_load_and_the_others_serve(
    several, call, models_base
):
    (models_base / "empty" / "7").mkdir(parents=True)
    code, text = _reload(call, models_base, ("c", {}), ("empty", {}))
    assert code == "UNKNOWN"
    assert text == (
        "1 model(s) did not become available: {{{name: empty version: 7} due to error: NOT_FOUND: "
        "Specified file path does not appear to contain a SavedModel bundle (should have a file "
        f"called `saved_model.pb`)\nSpecified file path: {models_base}/empty/7}}, }}"
    )
    assert _answer(call, "c") == (1, 10.0)


def test_reload_under_load_fails_no_request(several, call, models_base):
    assert _reload(call, models_base, ("c", {})).status.error_code == 0
    done = threading.Event()
    answers = set()

    def ask():
        while not done.is_set():
            answers.add(_answer(call, "c"))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for entries in ([("c", {}), ("b", {})], [("c", {"stable": 1})], [("a", {}), ("c", {})]):
            assert _reload(call, models_base, *entries).status.error_code == 0
    finally:
        done.set()
        asker.join()
    assert answers == {(1, 10.0)}


def _write(path, text):
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, path)


def test_file_is_read_again_and_a_wrong_one_changes_nothing(models_base, tmp_path):
    entry = 'config {{ name: "{0}" base_path: "{1}/{0}" model_platform: "tensorflow" {2} }}'
    path = tmp_path / "models.txt"

    def listed(*entries):
        texts = [entry.format(name, models_base, more) for name, more in entries]
        return f"model_config_list {{ {' '.join(texts)} }}"

    _write(path, listed(("c", "")))
    flags = (f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1")
    with running.run_server(models_base / "none", *flags) as process, _caller(process) as call:
        assert _answer(call, "c") == (1, 10.0)
        _write(path, "model_config_list { config { nam: 'c' } }")
        _eventually(lambda: "Invalid protobuf file: '" in process.log.read_text())
        assert (
            "Error parsing text-format tensorflow.serving.ModelServerConfig: 1:30: "
            in process.log.read_text()
        )
        assert _answer(call, "c") == (1, 10.0)
        # A label may be in the same file as the change that brings its version: it is refused
        # until the version is there, which here takes one change more.
        labelled = listed(("b", 'version_labels { key: "stable" value: 5 }'), ("c", ""))
        _write(path, labelled)
        _eventually(lambda: "assign label to version 5 of model b" in process.log.read_text())
        _write(path, listed(("b", ""), ("c", "")))
        _eventually(lambda: _answer(call, "b") == (5, 50.0))
        _write(path, labelled)
        _eventually(lambda: _answer(call, "b", label="stable") == (5, 50.0))
        assert process.terminate() == 0


@pytest.mark.parametrize(
    "text, message",
    [
        (
            'model_config_list { config { name: "b" base_path: "/b" model_platform: "tensorflow" '
            'version_labels { key: "stable" value: 5 } } }',
            "FAILED_PRECONDITION: Request to assign label to version 5 of model b, which is not "
            "currently available for inference",
        ),
        ("model_config", "INVALID_ARGUMENT: Invalid protobuf file: '{path}'"),
        (None, "NOT_FOUND: {path}; No such file or directory"),
    ],
)
def test_start_with_a_wrong_file(tmp_path, text, message):
    path = tmp_path / "models.txt"
    if text is not None:
        path.write_text(text)
    settings = serving_settings.ServerSettings(port=0, model_config_file=str(path))
    with pytest.raises(errors.ServableError) as caught:
        server.ModelServer(settings).start()
    assert str(caught.value) == message.format(path=path)
