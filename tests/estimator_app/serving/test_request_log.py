"""Logs of requests: what is written, what is dropped, and a log that a new version warms up with."""

import http.client
import pathlib
import re
import shutil
import time

import grpc
import numpy as np
import pytest

from estimator_app.serving import metrics, request_log
from export import errors, warmup_file
from serving_client import wire
from tests import running, saved_models

_TIMEOUT_SECS = 60.0
_EXAMPLES = saved_models.serialized((1.0, 2.0), (-4.0, 1.0))


def _count():
    return metrics.Counter("/tensorflow/serving/request_log_count", ("model_name", "status"))


def _request(value):
    request = wire.PredictRequest()
    request.model_spec.name = "plain"
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[value]])))
    return request


def _response():
    response = wire.PredictResponse()
    response.model_spec.name = "plain"
    response.model_spec.version.value = 5
    return response


def _read(path):
    return [wire.PredictionLog.FromString(record) for record in warmup_file.read(str(path))]


@pytest.fixture
def prefix(tmp_path):
    return tmp_path / "logs" / "plain"


def _files(prefix):
    return sorted(prefix.parent.glob("*.tfrecord"))


def _write(prefix, values, rate=1.0, **limits):
    """Logs a request a value; gives the count by status."""
    prefix.parent.mkdir(exist_ok=True)
    count = _count()
    log = request_log.RequestLog("plain", request_log.LogConfig(str(prefix), rate), count, **limits)
    for value in values:
        log.offer("predict_log", _request(value), _response())
    log.start()
    log.close()
    return {status: number for (_, status), number in count.cells().items()}


def test_a_record_has_the_request_its_answer_and_what_is_known_of_it(prefix):
    before = int(time.time())
    assert _write(prefix, [3.0]) == {"OK": 1}
    (file,) = _files(prefix)
    assert re.fullmatch(r"plain-\d{8}T\d{6}Z-\d+-00001\.tfrecord", file.name)
    (log,) = _read(file)
    assert log.predict_log.request == _request(3.0)
    assert log.predict_log.response == _response()
    assert log.log_metadata.model_spec.version.value == 5
    assert log.log_metadata.sampling_config.sampling_rate == 1.0
    assert before <= log.log_metadata.timestamp_secs <= time.time()


def test_files_are_small_enough_to_warm_up_with_and_old_ones_go(prefix):
    assert _write(prefix, range(3500), max_files=2) == {"OK": 3500}
    files = _files(prefix)
    assert [file.name[-14:-9] for file in files] == ["00003", "00004"]
    assert [len(_read(file)) for file in files] == [1000, 500]


@pytest.mark.parametrize("rate, least, most", [(0.0, 0, 0), (0.25, 150, 350), (1.0, 1000, 1000)])
def test_the_sample_has_its_share(prefix, rate, least, most):
    written = _write(prefix, range(1000), rate).get("OK", 0)
    assert least <= written <= most  # Six standard deviations and more from 250.


def test_what_waits_is_limited_and_the_rest_is_counted(prefix):
    counted = _write(prefix, range(100), max_waiting_bytes=10_000)
    assert counted["OK"] + counted["RESOURCE_EXHAUSTED"] == 100
    assert 2 <= counted["OK"] <= 10


def test_a_file_that_cannot_be_written_fails_no_call(prefix, caplog):
    count = _count()
    log = request_log.RequestLog("plain", request_log.LogConfig(f"{prefix}/none/plain", 1.0), count)
    log.start()
    for value in range(3):
        log.offer("predict_log", _request(value), _response())
    log.close()
    # The second and third do not try again so soon.
    assert count.cells() == {("plain", "NOT_FOUND"): 1, ("plain", "UNAVAILABLE"): 2}
    assert f"Logging requests to {prefix}/none/plain failed: " in caplog.text


def test_a_record_that_cannot_be_made_is_counted_and_the_log_goes_on(prefix, caplog):
    prefix.parent.mkdir()
    count = _count()
    log = request_log.RequestLog("plain", request_log.LogConfig(str(prefix), 1.0), count)
    for answer in (_response(), b"no message", _response()):
        log.offer("predict_log", _request(1.0), answer)
    log.start()
    log.close()
    assert count.cells() == {("plain", "OK"): 2, ("plain", "INTERNAL"): 1}
    (file,) = _files(prefix)
    assert len(_read(file)) == 2
    assert f"A record for {prefix} cannot be made: " in caplog.text


def test_a_record_larger_than_what_may_wait_is_refused(prefix):
    assert _write(prefix, [1.0], max_waiting_bytes=1000) == {"RESOURCE_EXHAUSTED": 1}


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("no directory")
    logs = request_log.RequestLogs(max_files=0)
    with pytest.raises(errors.ServableError) as caught:
        logs.configure({"m": request_log.LogConfig(f"{tmp_path}/file/m", 1.0)})
    assert caught.value.message.startswith(
        f"Expected the log's filename_prefix {tmp_path}/file/m to lie in a directory that is there "
        "or can be made: "
    )


def test_a_log_that_stays_in_the_config_goes_on(prefix):
    logs = request_log.RequestLogs(max_files=0)
    config = request_log.LogConfig(str(prefix), 1.0)
    call = logs.logged_rpcs({"Predict": lambda request, timeout_ms: _response()})["Predict"]
    call(_request(0.0), 0)
    logs.configure({"plain": config})
    call(_request(1.0), 0)
    logs.configure({"plain": config, "other": config})
    call(_request(2.0), 0)
    logs.configure({})
    call(_request(3.0), 0)
    (file,) = _files(prefix)
    assert [log.predict_log.request for log in _read(file)] == [_request(1.0), _request(2.0)]


# ------------------------------------------------------------------------------- a server process


def _rpc(channel, name, request):
    method = wire.METHODS[name]
    return channel.unary_unary(
        method.path, method.request.SerializeToString, method.response.FromString
    )(request, timeout=_TIMEOUT_SECS)


def _requests():
    """A request of each kind that is logged, by the RPC's name."""
    requests = {}
    for name, signature in (("Classify", "classification"), ("Regress", "regression")):
        requests[name] = wire.METHODS[name].request()
        requests[name].model_spec.name = "m"
        requests[name].model_spec.signature_name = signature
    requests["MultiInference"] = wire.MultiInferenceRequest()
    task = requests["MultiInference"].tasks.add(method_name=saved_models.REGRESS)
    task.model_spec.name = "m"
    task.model_spec.signature_name = "regression"
    for request in requests.values():
        request.input.example_list.examples.extend(map(wire.Example.FromString, _EXAMPLES))
    requests["Predict"] = wire.PredictRequest()
    requests["Predict"].model_spec.name = "m"
    examples = np.array(_EXAMPLES, object)
    requests["Predict"].inputs["examples"].CopyFrom(wire.to_tensor_proto(examples))
    return requests


def _samples(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=_TIMEOUT_SECS)
    connection.request("GET", "/monitoring/prometheus/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_a_new_version_warms_up_with_the_log_of_the_old_one(tmp_path):
    """And the model is found by its tags, the session has its options: every flag of loading in one server."""
    base = tmp_path / "m"
    saved_models.write_examples_model(base, 1)
    config = tmp_path / "monitoring.txt"
    config.write_text("prometheus_config { enable: true }")
    flags = (
        "--model_name=m",
        "--rest_api_port=-1",
        f"--monitoring_config_file={config}",
        f"--request_log_prefix={tmp_path}/logs/m",
        "--num_request_iterations_for_warmup=2",
        "--saved_model_tags=serve",
        "--tensorflow_intra_op_parallelism=1",
        "--tensorflow_inter_op_parallelism=2",
        "--skip_initialize_tpu",
        "--file_system_poll_wait_seconds=1",
    )
    with running.run_server(base, *flags) as server:
        with grpc.insecure_channel(server.address) as channel:
            for name, request in _requests().items():
                _rpc(channel, name, request)
            missing = wire.PredictRequest()
            missing.model_spec.name = "m"
            missing.model_spec.signature_name = "none"
            with pytest.raises(grpc.RpcError):
                _rpc(channel, "Predict", missing)  # A call that fails is not logged.
        assert server.terminate() == 0
        assert (
            "--skip_initialize_tpu has no effect: no TPU is initialized." in server.log.read_text()
        )
    (file,) = _files(tmp_path / "logs" / "m")
    requests = _requests()
    logged = {log.WhichOneof("log_type"): log for log in _read(file)}
    assert len(logged) == len(requests)
    assert logged["classify_log"].classify_log.request == requests["Classify"]
    predicted = logged["predict_log"].predict_log.response
    assert predicted.outputs["logits"].float_val == [5.0, -2.0]
    assert len(logged["classify_log"].classify_log.response.result.classifications) == 2
    assert logged["multi_inference_log"].log_metadata.model_spec.version.value == 1

    second = pathlib.Path(shutil.copytree(base / "1", base / "2"))
    (second / "assets.extra").mkdir()
    shutil.copy(file, warmup_file.path_of(str(second)))
    with running.run_server(base, *flags) as server:
        samples = _samples(server)
        pair = f'{{model_path="{second}",status="OK"}}'
        assert samples[f":tensorflow:serving:model_warmup_records_read{pair}"] == "4"
        assert samples[f":tensorflow:serving:model_warmup_latency_count{pair}"] == "1"
