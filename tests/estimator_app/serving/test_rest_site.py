"""The REST port of a server process: metrics of both ports, headers for browsers, threads."""

import http.client
import json
import re

import grpc
import numpy as np
import pytest

from estimator_app.serving import monitoring, rest, server
from estimator_app.serving import settings as serving_settings
from export import errors
from serving_client import wire
from tests import running

_TIMEOUT_SECS = 30.0


@pytest.fixture(scope="module")
def site(plain_base, tmp_path_factory):
    """A server with everything that the REST port can have, and one thread for it."""
    config = tmp_path_factory.mktemp("monitoring") / "monitoring.config"
    config.write_text("prometheus_config { enable: true }")
    with running.run_server(
        plain_base,
        "--model_name=plain",
        "--rest_api_port=-1",
        "--rest_api_num_threads=1",
        "--rest_api_enable_cors_support",
        f"--monitoring_config_file={config}",
    ) as process:
        yield process


def _ask(site, method, path, body=None, headers=None):
    """Gives the response, read, and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", site.rest_port, timeout=_TIMEOUT_SECS)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, headers or {})
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def _samples(site, path=monitoring.DEFAULT_PATH):
    """The samples of the page, by name and labels."""
    response, text = _ask(site, "GET", path)
    assert (response.status, response.getheader("content-type")) == (200, "text/plain")
    samples = {}
    for line in text.splitlines():
        if re.fullmatch(r"# TYPE :[a-z_:]+ (counter|histogram)", line):
            continue
        found = re.fullmatch(r'(:[a-z_:]+\{(?:[\w]+="[^"]*",?)*\}) ([0-9.e+]+)', line)
        assert found, line
        samples[found[1]] = float(found[2])
    return samples


def _rpc(channel, name, signature="", model="plain", **inputs):
    method = wire.METHODS[name]
    request = method.request()
    request.model_spec.name = model
    if name == "Predict":
        request.model_spec.signature_name = signature
        for alias, value in inputs.items():
            request.inputs[alias].CopyFrom(wire.to_tensor_proto(value))
    call = channel.unary_unary(
        method.path, method.request.SerializeToString, method.response.FromString
    )
    return call(request, timeout=_TIMEOUT_SECS)


def test_grpc_and_rest_are_counted_alike(site):
    before = _samples(site)
    with grpc.insecure_channel(site.address) as channel:
        for _ in range(2):
            _rpc(channel, "Predict", x=np.float32([[1.0]]))
        for model, signature in (("plain", "none"), ("other", "")):
            with pytest.raises(grpc.RpcError):
                _rpc(channel, "Predict", signature, model)
        with pytest.raises(grpc.RpcError):
            _rpc(channel, "Classify")
        _rpc(channel, "GetModelStatus")
    for path, body in (
        ("plain:predict", {"instances": [1.0]}),
        ("plain:predict", {"instances": []}),
        ("plain:regress", {}),
        ("other:predict", {"instances": [1.0]}),
        ("plain:guess", {}),
    ):
        _ask(site, "POST", f"/v1/models/{path}", body)
    _ask(site, "GET", "/v1/models/plain")
    after = _samples(site)
    grown = {key: after[key] - before.get(key, 0) for key in after if "_sum{" not in key}
    prefix = ":tensorflow:serving:request_"
    counts = {key: number for key, number in grown.items() if "request_count" in key}
    assert counts == {
        f'{prefix}count{{model_name="",status="INVALID_ARGUMENT"}}': 1,
        f'{prefix}count{{model_name="other",status="NOT_FOUND"}}': 2,
        f'{prefix}count{{model_name="plain",status="FAILED_PRECONDITION"}}': 1,
        f'{prefix}count{{model_name="plain",status="INVALID_ARGUMENT"}}': 3,
        f'{prefix}count{{model_name="plain",status="OK"}}': 4,
    }
    latencies = {key: number for key, number in grown.items() if "latency_count" in key}
    assert latencies == {
        f'{prefix}latency_count{{model_name="plain",API="",entrypoint="REST"}}': 1,
        f'{prefix}latency_count{{model_name="plain",API="Predict",entrypoint="GRPC"}}': 2,
        f'{prefix}latency_count{{model_name="plain",API="predict",entrypoint="REST"}}': 1,
        ':tensorflow:serving:runtime_latency_count{model_name="plain",API="Predict",runtime="TF1"}': 3,
    }


def test_latencies_are_microseconds_in_33_buckets(site):
    _ask(site, "POST", "/v1/models/plain:predict", {"signature_name": "slow", "inputs": 100_000})
    samples = _samples(site)
    name = ":tensorflow:serving:request_latency"
    labels = 'model_name="plain",API="predict",entrypoint="REST"'
    limits = [
        re.search(r'le="(.*)"', key)[1] for key in samples if f"{name}_bucket{{{labels}" in key
    ]
    assert limits[:4] == ["10", "18", "32.4", "58.32"] and limits[-1] == "+Inf"
    assert len(limits) == 34
    # A hundred thousand steps take more than a millisecond and less than a minute.
    assert 1e3 < samples[f"{name}_sum{{{labels}}}"] < 60e6
    runtime = (
        ':tensorflow:serving:runtime_latency_sum{model_name="plain",API="Predict",runtime="TF1"}'
    )
    assert samples[runtime] > 1e3


def test_query_string_does_not_hide_the_page(site):
    assert _samples(site, monitoring.DEFAULT_PATH + "?name=x")


@pytest.mark.parametrize(
    "method, path, body, status",
    [
        ("GET", "/v1/models/plain", None, 200),
        ("POST", "/v1/models/plain:predict", {"instances": [1]}, 200),
        ("POST", "/v1/models/plain:guess", {}, 400),
        ("OPTIONS", "/v1/models/plain:predict", None, 200),
    ],
)
def test_every_answer_of_the_api_may_be_read_by_other_origins(site, method, path, body, status):
    response, _ = _ask(site, method, path, body, {"Origin": "https://elsewhere"})
    assert response.status == status
    assert response.getheader("access-control-allow-origin") == "*"
    assert response.getheader("access-control-allow-methods") == "POST, GET"
    assert response.getheader("access-control-allow-headers") == "Content-Type"


def test_without_the_flag_no_origin_is_allowed(plain_server):
    response, _ = _ask(
        plain_server, "GET", "/v1/models/plain", None, {"Origin": "https://elsewhere"}
    )
    assert response.status == 200
    assert response.getheader("access-control-allow-origin") is None
    response, text = _ask(plain_server, "GET", monitoring.DEFAULT_PATH)
    assert (response.status, response.getheader("content-type")) == (404, "text/html")
    assert ":tensorflow:" not in text


def test_preflight_of_what_is_no_api_is_not_found(site):
    response, _ = _ask(site, "OPTIONS", "/elsewhere", None, {"Origin": "https://elsewhere"})
    assert response.status == 404
    assert response.getheader("access-control-allow-origin") is None


def test_settings_file_that_is_not_there_ends_the_start_before_the_model_is_loaded(tmp_path):
    with pytest.raises(errors.ServableError) as caught:
        _start(tmp_path, tmp_path / "none.config")
    assert caught.value.code == errors.Code.NOT_FOUND
    assert "none.config" in caught.value.message


def test_settings_file_that_does_not_parse_is_named_and_what_is_wrong_is_logged(tmp_path, caplog):
    path = tmp_path / "monitoring.config"
    path.write_text("prometheus_config { enable: maybe }")
    with pytest.raises(errors.ServableError) as caught:
        _start(tmp_path, path)
    assert str(caught.value) == f"INVALID_ARGUMENT: Invalid protobuf file: '{path}'"
    (line,) = caplog.messages
    assert line.startswith("Error parsing text-format tensorflow.serving.MonitoringConfig: 1:29: ")


@pytest.mark.parametrize(
    "text, path",
    [
        ("", None),
        ("prometheus_config { path: '/metrics' }", None),
        ("prometheus_config { enable: true path: '/metrics' }", "/metrics"),
        ("# on\nprometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
    ],
)
def test_path_of_the_page(tmp_path, text, path):
    config = tmp_path / "monitoring.config"
    config.write_text(text)
    assert monitoring.prometheus_path(str(config)) == path


def _start(base, config):
    settings = serving_settings.ServerSettings(
        port=0,
        rest_api_port=-1,
        model_base_path=str(base / "no_model"),
        monitoring_config_file=str(config),
    )
    server.ModelServer(settings).start()


def test_every_code_has_its_status():
    statuses = {
        code.name: rest.error_answer(errors.ServableError(code, "why")).status
        for code in errors.Code
    }
    assert statuses == {
        "OK": 200,
        "CANCELLED": 499,
        "UNKNOWN": 500,
        "INVALID_ARGUMENT": 400,
        "DEADLINE_EXCEEDED": 504,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "PERMISSION_DENIED": 403,
        "RESOURCE_EXHAUSTED": 429,
        "FAILED_PRECONDITION": 400,
        "ABORTED": 409,
        "OUT_OF_RANGE": 400,
        "UNIMPLEMENTED": 501,
        "INTERNAL": 500,
        "UNAVAILABLE": 503,
        "DATA_LOSS": 500,
        "UNAUTHENTICATED": 401,
    }
