"""The server's life: ports, a new version under load, a stop that lets calls end."""

from concurrent import futures
import contextlib
import pathlib
import socket
import threading
import time

import grpc
import numpy as np
import pytest

from estimator_app.serving import server
from estimator_app.serving import settings as serving_settings
from export import errors, versions
from serving_client import wire
from tests import saved_models

_DEADLINE_SECS = 30.0


def _settings(base, **changes):
    changes = {"port": 0, "max_num_load_retries": 0, **changes}
    return serving_settings.ServerSettings(model_base_path=str(base), **changes)


@contextlib.contextmanager
def _calls(port):
    """A function that sends one Predict and gives the response."""
    method = wire.METHODS["Predict"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )

        def predict(signature="", **inputs):
            request = wire.PredictRequest()
            request.model_spec.name = "default"
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(wire.to_tensor_proto(value))
            return stub(request, timeout=_DEADLINE_SECS)

        yield predict


def _eventually(condition):
    deadline = time.monotonic() + _DEADLINE_SECS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def _in_use(running):
    """Whether a request is under way."""
    loaded = running._table._models["default"]._loaded
    return any(version.users for version in loaded.values())


@pytest.fixture
def staged_versions(tmp_path):
    """Versions 1 to 4 of a model, beside the base path `model` that holds only the first."""
    staged = tmp_path / "staged"
    for version in range(1, 5):
        saved_models.write_plain_model(staged, version, factor=float(version))
    base = tmp_path / "model"
    base.mkdir()
    (staged / "1").rename(base / "1")
    return staged, base


def test_new_versions_take_over_under_load_without_a_failure(staged_versions):
    staged, base = staged_versions
    done = threading.Event()

    def ask(predict):
        seen = set()
        while not done.is_set():
            response = predict(x=np.float32([[10.0]]))
            version = response.model_spec.version.value
            # The answer is that of the version it names.
            assert response.outputs["y"].float_val[0] == 10.0 * version
            seen.add(version)
        return seen

    with server.ModelServer(_settings(base)) as running:
        with _calls(running.port) as predict, futures.ThreadPoolExecutor(4) as pool:
            askers = [pool.submit(ask, predict) for _ in range(4)]
            try:
                for version in range(2, 5):
                    versions.publish(str(staged / str(version)), str(base), version)
                    _eventually(lambda wanted=version: running.available() == {"default": [wanted]})
                predict(x=np.float32([[1.0]]))
            finally:
                done.set()
            seen = set().union(*(asker.result() for asker in askers))
    assert 1 in seen and seen <= {1, 2, 3, 4}


def test_broken_new_version_leaves_the_old_one_serving(staged_versions):
    _, base = staged_versions
    with server.ModelServer(_settings(base)) as running:
        (base / "2").mkdir()
        method = wire.METHODS["GetModelStatus"]
        with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
            call = channel.unary_unary(
                method.path, method.request.SerializeToString, method.response.FromString
            )
            request = wire.GetModelStatusRequest()
            request.model_spec.name = "default"

            def states():
                entries = call(request, timeout=_DEADLINE_SECS).model_version_status
                return [(entry.version, entry.state) for entry in entries]

            _eventually(lambda: states() == [(2, 50), (1, 30)])
            failed = call(request, timeout=_DEADLINE_SECS).model_version_status[0].status
        assert failed.error_code == errors.Code.NOT_FOUND
        assert failed.error_message == (
            "Specified file path does not appear to contain a SavedModel bundle (should have a "
            f"file called `saved_model.pb`)\nSpecified file path: {base}/2"
        )
        with _calls(running.port) as predict:
            assert predict(x=np.float32([[3.0]])).model_spec.version.value == 1


def test_port_in_use_is_refused_before_the_model_loads(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # The base path is missing: a server that loaded first would wait for ever.
        with pytest.raises(errors.ServableError) as caught:
            server.ModelServer(_settings(tmp_path / "none", port=port)).start()
        assert str(caught.value) == (
            f"UNAVAILABLE: Expected port {port} of 127.0.0.1 to be free, found it in use. "
            "Stop the program that uses it, or choose another --port."
        )
        with pytest.raises(errors.ServableError, match="choose another --rest_api_port"):
            server.ModelServer(_settings(tmp_path / "none", rest_api_port=port)).start()


def test_second_server_on_one_port_is_refused(plain_server, plain_base):
    with pytest.raises(errors.ServableError, match="found it in use"):
        server.ModelServer(_settings(plain_base, port=plain_server.port)).start()


def test_address_that_is_not_ours_is_refused(plain_base):
    with pytest.raises(errors.ServableError, match="found Cannot assign requested address"):
        server.ModelServer(_settings(plain_base, host="192.0.2.1")).start()


def test_start_fails_with_a_model_that_does_not_load(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises(errors.ServableError) as caught:
        server.ModelServer(_settings(tmp_path)).start()
    assert str(caught.value) == (
        "UNKNOWN: 1 servable(s) did not become available: {{{name: default version: 1} due to "
        f"error: DATA_LOSS: Can't parse {tmp_path}/1/saved_model.pb as binary proto}}, }}"
    )


def test_port_opens_only_when_the_model_is_there(tmp_path, staged_versions):
    _, base = staged_versions
    hidden = pathlib.Path(tmp_path, "hidden")
    base.rename(hidden)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    waiting = server.ModelServer(_settings(base, port=port))
    starter = threading.Thread(target=waiting.start)
    starter.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
    hidden.rename(base)
    starter.join(_DEADLINE_SECS)
    with _calls(port) as predict:
        assert predict(x=np.float32([[3.0]])).outputs["y"].float_val == [3.0]
    waiting.stop()


def test_stop_ends_a_start_that_waits(tmp_path):
    waiting = server.ModelServer(_settings(tmp_path / "none"))
    answers = []
    starter = threading.Thread(target=lambda: answers.append(waiting.start()))
    starter.start()
    waiting.stop()
    starter.join(_DEADLINE_SECS)
    waiting.wait()
    assert answers == [False] and waiting.port is None


def test_stop_lets_calls_end_and_takes_no_more(plain_base):
    running = server.ModelServer(_settings(plain_base))
    running.start()
    with _calls(running.port) as predict, futures.ThreadPoolExecutor(1) as pool:
        steps = np.array(200_000, np.int64)
        call = pool.submit(predict, "slow", n=steps)
        _eventually(lambda: _in_use(running) or call.done())
        running.stop(grace_secs=_DEADLINE_SECS)
        assert call.result().outputs["steps"].int64_val == [steps]
        with pytest.raises(grpc.RpcError) as caught:
            predict(x=np.float32([[1.0]]))
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    running.stop()


def test_stop_cancels_calls_after_the_grace(plain_base):
    running = server.ModelServer(_settings(plain_base))
    running.start()
    with _calls(running.port) as predict, futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(predict, "slow", n=np.array(10**12, np.int64))
        _eventually(lambda: _in_use(running))
        running.stop(grace_secs=0.05)
        with pytest.raises(grpc.RpcError) as caught:
            call.result()
        assert caught.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
