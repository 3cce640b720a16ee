"""Batching in a server process: a batch of 2 rows runs when it is full, and not before."""

import base64
from collections.abc import Iterator
from concurrent import futures
import contextlib
import http.client
import json
import re

import grpc
import numpy as np
import pytest

from estimator_app.serving import server
from estimator_app.serving import settings as serving_settings
from export import checks, errors
from serving_client import wire
from tests import running, saved_models

_ROWS = saved_models.serialized((1.0, 2.0), (-4.0, 1.0))
_DEADLINE_SECS = 60.0
_PARAMETERS = """
max_batch_size { value: 2 }
batch_timeout_micros { value: 3600000000 }
"""


def _texts(folder) -> list[str]:
    """Flags of a server with batching and a page of metrics, whose files are in `folder`."""
    (folder / "batching.txt").write_text(_PARAMETERS)
    (folder / "monitoring.txt").write_text("prometheus_config { enable: true }")
    return [
        "--enable_batching",
        f"--batching_parameters_file={folder / 'batching.txt'}",
        f"--monitoring_config_file={folder / 'monitoring.txt'}",
        "--rest_api_port=-1",
        "--model_name=m",
    ]


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Iterator[running.RunningServer]:
    """Serves saved_models.write_examples_model."""
    base = tmp_path_factory.mktemp("base")
    saved_models.write_examples_model(base)
    with running.run_server(base, *_texts(tmp_path_factory.mktemp("texts"))) as process:
        yield process


def _call(address, name, request):
    method = wire.METHODS[name]
    with grpc.insecure_channel(address) as channel:
        stub = channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        return stub(request, timeout=_DEADLINE_SECS)


def _post(process, verb, body):
    with contextlib.closing(
        http.client.HTTPConnection(process.host, process.rest_port, timeout=_DEADLINE_SECS)
    ) as connection:
        connection.request("POST", f"/v1/models/m:{verb}", json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def _page(process):
    with contextlib.closing(
        http.client.HTTPConnection(process.host, process.rest_port, timeout=_DEADLINE_SECS)
    ) as connection:
        connection.request("GET", "/monitoring/prometheus/metrics")
        return connection.getresponse().read().decode()


def _number(process, name, labels=""):
    pattern = f"^:tensorflow:serving:batching_session:{name}{{{re.escape(labels)}}} (.*)$"
    found = re.search(pattern, _page(process), re.MULTILINE)
    return float(found[1]) if found else 0.0


def _both(*calls):
    """Makes two calls at the same time: neither ends before the other has come."""
    with futures.ThreadPoolExecutor(2) as pool:
        return [asked.result(_DEADLINE_SECS) for asked in [pool.submit(*call) for call in calls]]


def _examples_request(message, row, signature):
    request = message()
    request.model_spec.name = "m"
    request.model_spec.signature_name = signature
    request.input.example_list.examples.add().MergeFromString(row)
    return request


def _features(x):
    return {"signature_name": "regression", "examples": [{"x": x}]}


def test_regress_of_grpc_and_rest_runs_once(examples):
    runs = _number(examples, "wrapped_run_count")
    request = _examples_request(wire.RegressionRequest, _ROWS[0], "regression")
    answer, (status, body) = _both(
        (_call, examples.address, "Regress", request),
        (_post, examples, "regress", _features([-4.0, 1.0])),
    )
    assert answer.result.regressions[0].value == 5.0
    assert (status, body) == (200, {"results": [-2.0]})
    assert _number(examples, "wrapped_run_count") == runs + 1


def test_predict_of_grpc_and_rest_runs_once(examples):
    runs = _number(examples, "wrapped_run_count")
    request = wire.PredictRequest()
    request.model_spec.name = "m"
    rows = np.array(_ROWS[:1], object)
    request.inputs["examples"].CopyFrom(wire.to_tensor_proto(rows))
    body = {"instances": [{"b64": base64.b64encode(_ROWS[1]).decode()}]}
    answer, (status, found) = _both(
        (_call, examples.address, "Predict", request), (_post, examples, "predict", body)
    )
    assert list(answer.outputs["logits"].float_val) == [5.0]
    assert status == 200 and found["predictions"][0]["logits"] == [-2.0]
    assert _number(examples, "wrapped_run_count") == runs + 1


def test_classify_and_multi_inference_run_in_batches(examples):
    runs = _number(examples, "wrapped_run_count")
    requests = [
        _examples_request(wire.ClassificationRequest, row, "classification") for row in _ROWS
    ]
    for answer in _both(*[(_call, examples.address, "Classify", request) for request in requests]):
        labels = [found.label for found in answer.result.classifications[0].classes]
        assert labels == ["no", "yes"]
    requests = []
    for row in _ROWS:
        request = wire.MultiInferenceRequest()
        request.input.example_list.examples.add().MergeFromString(row)
        for signature, method in (
            ("regression", checks.REGRESS_METHOD),
            ("classification", checks.CLASSIFY_METHOD),
        ):
            task = request.tasks.add(method_name=method)
            task.model_spec.name = "m"
            task.model_spec.signature_name = signature
        requests.append(request)
    answers = _both(*[(_call, examples.address, "MultiInference", request) for request in requests])
    values = [answer.results[0].regression_result.regressions[0].value for answer in answers]
    assert values == [5.0, -2.0]
    assert _number(examples, "wrapped_run_count") == runs + 2


def test_error_of_the_queue_reaches_both_kinds_of_caller(examples):
    sentence = "Task size 3 is larger than maximum input batch size 2"
    request = _examples_request(wire.RegressionRequest, _ROWS[0], "regression")
    for _ in range(2):
        request.input.example_list.examples.add().MergeFromString(_ROWS[0])
    with pytest.raises(grpc.RpcError) as caught:
        _call(examples.address, "Regress", request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == sentence
    body = _features([1.0, 2.0])
    assert _post(examples, "regress", {**body, "examples": body["examples"] * 3}) == (
        400,
        {"error": sentence},
    )


def test_batches_are_on_the_page(examples):
    request = _examples_request(wire.RegressionRequest, _ROWS[0], "regression")
    request.input.example_list.examples.add().MergeFromString(_ROWS[1])
    _call(examples.address, "Regress", request)
    page = _page(examples)
    name = ":tensorflow:serving:batching_session"
    assert f"# TYPE {name}:wrapped_run_count counter\n{name}:wrapped_run_count{{}} " in page
    for histogram, labels in (
        ("queuing_latency", 'thread_pool_name="",'),
        ("padding_size", 'execution_batch_size="2",'),
        ("input_batch_size", ""),
        ("processed_batch_size", ""),
    ):
        assert f"# TYPE {name}:{histogram} histogram\n" in page
        assert f'\n{name}:{histogram}_bucket{{{labels}le="+Inf"}} ' in page
    assert 'runtime_latency_count{model_name="m",API="Regress",runtime="TF1"}' in page


def test_stop_answers_what_waits(tmp_path, plain_base):
    with running.run_server(plain_base, *_texts(tmp_path)) as process:
        request = wire.PredictRequest()
        request.model_spec.name = "m"
        request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[3.0]])))
        with futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(_call, process.address, "Predict", request)
            while not _number(process, "input_batch_size_count"):
                assert not asked.done()
            assert process.terminate() == 0
            assert list(asked.result().outputs["y"].float_val) == [6.0]


def test_version_that_is_wanted_no_more_answers_what_waits(tmp_path, plain_base):
    path = tmp_path / "batching.txt"
    path.write_text("batch_timeout_micros { value: 300000 }")
    settings = serving_settings.ServerSettings(
        port=0,
        model_name="m",
        model_base_path=str(plain_base),
        enable_batching=True,
        batching_parameters_file=str(path),
    )
    request = wire.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[3.0]])))
    with server.ModelServer(settings) as serving, futures.ThreadPoolExecutor(1) as pool:
        address = f"127.0.0.1:{serving.port}"
        asked = pool.submit(_call, address, "Predict", request)
        while not serving._counted.batching.input_batch_size.cells():
            assert not asked.done()
        reload = wire.ReloadConfigRequest()
        reload.config.model_config_list.SetInParent()
        _call(address, "HandleReloadConfigRequest", reload)
        with pytest.raises(grpc.RpcError, match="Servable not found for request: Latest"):
            _call(address, "Predict", request)
        assert list(asked.result().outputs["y"].float_val) == [6.0]


def _start(base, **fields):
    settings = serving_settings.ServerSettings(
        port=0, model_name="m", model_base_path=str(base), max_num_load_retries=0, **fields
    )
    with server.ModelServer(settings):
        raise AssertionError("It serves.")


@pytest.mark.parametrize(
    "text, message",
    [
        ("max_batch_size: 2", "INVALID_ARGUMENT: Invalid protobuf file: '{path}'"),
        (
            "num_batch_threads { value: 0 }",
            "INVALID_ARGUMENT: num_batch_threads must be positive; was 0",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]",
            "UNKNOWN: 1 servable(s) did not become available: {{{{{{name: m version: 5}} due to "
            "error: INVALID_ARGUMENT: Last entry in allowed_batch_sizes must match max_batch_size; "
            "last entry was 4; expected 8}}, }}",
        ),
    ],
)
def test_wrong_parameters_fail_the_start(tmp_path, plain_base, text, message):
    path = tmp_path / "batching.txt"
    path.write_text(text)
    with pytest.raises(errors.ServableError) as caught:
        _start(plain_base, enable_batching=True, batching_parameters_file=str(path))
    assert str(caught.value) == message.format(path=path)


def test_missing_file_fails_the_start(tmp_path, plain_base):
    path = str(tmp_path / "none.txt")
    with pytest.raises(errors.ServableError) as caught:
        _start(plain_base, enable_batching=True, batching_parameters_file=path)
    assert str(caught.value) == f"NOT_FOUND: {path}; No such file or directory"
