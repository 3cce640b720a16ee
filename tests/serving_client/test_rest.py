"""The clients over REST against a scripted HTTP server; tests/estimator_app/serving has the real one."""

import asyncio
from concurrent import futures
import contextlib
import gzip
import json
import socket
import ssl
import threading

import grpc
import numpy as np
import pytest

import serving_client
from serving_client import errors, rest_connections, rest_messages, settings, steps, wire
from tests.serving_client import certificates, fake_rest

AVAILABLE = json.dumps(
    {
        "model_version_status": [
            {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK"}}
        ]
    }
).encode()


@pytest.fixture
def script():
    return fake_rest.Script([(200, AVAILABLE)])


@pytest.fixture
def address(script):
    with fake_rest.serve(script) as address:
        yield address


def impatient(address, **values) -> settings.ClientSettings:
    return settings.ClientSettings(address, retry_timeout_secs=0, **values)


def status_step(address="", **spec) -> steps.Send:
    request = wire.GetModelStatusRequest(model_spec=wire.ModelSpec(**spec))
    return steps.Send(address, "GetModelStatus", request, 30, {}, "none", None)


@pytest.mark.parametrize(
    "spec, path",
    [
        ({"name": "census"}, "/v1/models/census"),
        ({"name": "a b/c:d"}, "/v1/models/a%20b%2Fc%3Ad"),
        ({"name": "m", "version": {"value": 3}}, "/v1/models/m/versions/3"),
        ({"name": "m", "version_label": "é"}, "/v1/models/m/labels/%C3%A9"),
    ],
)
def test_paths_name_model_and_version(spec, path):
    assert rest_messages.make_request(status_step(**spec)) == ("GET", path, b"")


def test_one_connection_serves_call_after_call_with_the_headers(script, address):
    with_headers = settings.ClientSettings(address + "/gateway/", headers={"Key": "secret"})
    with serving_client.PredictionClient(with_headers, "m") as client:
        for _ in range(3):
            assert client.model_status() == [serving_client.VersionStatus(7, "AVAILABLE")]
        client.model_status(headers={"trace": "1"})
    assert script.connections == 1
    method, path, headers, _ = script.requests[-1]
    assert (method, path) == ("GET", "/gateway/v1/models/m")
    assert (headers["key"], headers["trace"]) == ("secret", "1")


def test_connection_that_the_server_closed_meanwhile_is_made_anew(script, address):
    script.close_after = True
    with serving_client.PredictionClient(impatient(address), "m") as client:
        for _ in range(3):
            client.model_status()
            assert script.closed.acquire(timeout=30)
    assert len(script.requests) == 3


@pytest.mark.parametrize("retry_timeout_secs, requests", [(5, 3), (0, 2)])
def test_request_that_a_server_took_is_sent_again_only_if_calls_are_repeated(
    script, address, retry_timeout_secs, requests
):
    script.answers = [(200, AVAILABLE), (0, b""), (200, AVAILABLE)]
    some = settings.ClientSettings(address, retry_timeout_secs=retry_timeout_secs)
    with serving_client.PredictionClient(some, "m") as client:
        client.model_status()
        if retry_timeout_secs:
            client.model_status()
        else:
            with pytest.raises(errors.UnavailableError):
                client.model_status()
    assert len(script.requests) == requests


def test_header_of_a_call_replaces_that_of_the_settings_in_any_case(script, address):
    with_headers = settings.ClientSettings(address, headers={"X-Team": "a", "accept": "text/x"})
    with serving_client.PredictionClient(with_headers, "m") as client:
        client.model_status(headers={"x-team": "b"})
    _, _, headers, _ = script.requests[0]
    assert (headers["x-team"], headers["accept"]) == ("b", "text/x")


def test_body_is_packed_if_asked(script, address):
    script.answers = [(200, b'{"results": [1.5]}')]
    with serving_client.PredictionClient(impatient(address, compression="gzip"), "m") as client:
        assert client.regress([{"x": [1.0, 2.0], "n": 3, "s": b"\xff", "none": []}]) == [1.5]
        client.regress([{"x": 1.0}], "r", compression="none")
    packed, plain = script.requests
    assert packed[1] == "/v1/models/m:regress"
    assert packed[2]["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed[3])) == {
        "examples": [{"x": [1.0, 2.0], "n": [3], "s": [{"b64": "/w=="}]}]
    }
    assert plain[3] == b'{"signature_name": "r", "examples": [{"x": [1.0]}]}'


@pytest.mark.parametrize(
    "status, error",
    [
        (400, errors.RefusedError),
        (401, errors.AccessError),
        (403, errors.AccessError),
        (404, errors.NotFoundError),
        (429, errors.OverloadedError),
        (500, errors.ServerError),
        (501, errors.UnsupportedError),
        (503, errors.UnavailableError),
        (504, errors.DeadlineError),
    ],
)
def test_status_becomes_the_error_of_the_tree_with_the_servers_text(script, address, status, error):
    script.answers = [(status, json.dumps({"error": "the reason"}).encode())]
    with serving_client.PredictionClient(impatient(address), "m") as client:
        with pytest.raises(error) as caught:
            client.model_status()
    assert caught.value.details == "the reason"
    assert caught.value.address == address


@pytest.mark.parametrize("body", [b'{"error": "Expected less"}', b"<html>too large</html>"])
def test_body_that_the_server_finds_too_large_is_known_as_such(script, address, body):
    script.answers = [(413, body), (429, body)]
    with serving_client.PredictionClient(impatient(address), "m") as client:
        for large in (True, False):
            with pytest.raises(errors.OverloadedError) as caught:
                client.regress([{"x": 1.0}])
            assert errors.is_too_large(caught.value.code, caught.value.details) is large


def test_page_of_a_gateway_is_shown_with_its_status(script, address):
    script.answers = [(418, b"<html>teapot</html>")]
    with serving_client.PredictionClient(impatient(address), "m") as client:
        with pytest.raises(errors.ServerError, match="HTTP status 418: <html>teapot</html>"):
            client.model_status()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model_version_status": 3}', b"\xff"])
def test_answer_that_says_nothing_sensible_is_the_servers_fault(script, address, body):
    script.answers = [(200, body)]
    with serving_client.PredictionClient(impatient(address), "m") as client:
        with pytest.raises(errors.ServerError, match="its answer cannot be read"):
            client.model_status()


def test_unavailable_is_repeated_and_passed_on(script, address):
    script.answers = [(503, b'{"error": "full"}'), (200, AVAILABLE)]
    other = fake_rest.Script([(503, b"{}")])
    with fake_rest.serve(other) as other_address:
        both = settings.ClientSettings((address, other_address))
        with serving_client.PredictionClient(both, "m") as client:
            assert client.model_status()[0].version == 7
    assert len(script.requests) == 2
    assert len(other.requests) >= 1


def test_dead_port_is_named_as_the_rest_port(dead_address):
    with serving_client.PredictionClient(impatient(f"http://{dead_address}"), "m") as client:
        with pytest.raises(errors.UnavailableError) as caught:
            client.model_status()
    assert str(caught.value).endswith(
        "Connection refused; check that it runs and that this is its REST port, not its gRPC port."
    )


def test_server_that_is_silent_is_left_at_the_deadline_and_close_ends_the_wait():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = serving_client.PredictionClient(address, "m")
        with pytest.raises(errors.DeadlineError):
            client.model_status(timeout_secs=0.1)
        raised = []

        def ask() -> None:
            try:
                client.model_status()
            except errors.ClientError as error:
                raised.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        silent.accept()[0].close()  # of the first call
        with silent.accept()[0] as connection:
            connection.recv(1)
            client.close()
            thread.join(30)
        assert [error.code.name for error in raised] == ["CANCELLED"]


def test_limits_of_messages_are_kept_both_ways(script, address):
    with serving_client.PredictionClient(impatient(address, max_message_bytes=64), "m") as client:
        with pytest.raises(errors.OverloadedError, match="Received message larger than max"):
            client.model_status()
        with pytest.raises(errors.OverloadedError, match="Sent message larger than max"):
            client.classify([{"x": [1.0] * 100}])


def test_calls_that_rest_lacks_say_so(script, address):
    with serving_client.PredictionClient(impatient(address), "m") as client:
        with pytest.raises(errors.UnsupportedError) as caught:
            client.reload_config("model_config_list {}")
    assert str(caught.value) == (
        f"The server at {address} does not support this call for model 'm': TensorFlow Serving has "
        "no HandleReloadConfigRequest over REST."
    )
    assert script.requests == []


def test_https_checks_the_server_and_shows_the_clients_certificate(tmp_path, script):
    certificate = certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    context.load_verify_locations(certificate.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    with fake_rest.serve(script, context) as address:
        own = impatient(address, tls=certificate.tls(with_own=True))
        with serving_client.PredictionClient(own, "m") as client:
            assert client.model_status()[0].version == 7
        with serving_client.PredictionClient(impatient(address), "m") as client:
            with pytest.raises(errors.UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
                client.model_status()


def test_asyncio_has_calls_under_way_at_once(script, address):
    script.answers = [(200, b'{"results": [2.5]}')]
    script.barrier = threading.Barrier(20)  # lets nobody through alone

    async def ask() -> list:
        async with serving_client.AsyncPredictionClient(address, "m") as client:
            return await asyncio.gather(*[client.regress([{"x": 1.0}]) for _ in range(20)])

    assert asyncio.run(ask()) == [[2.5]] * 20
    assert script.connections == 20


def test_wait_for_a_thread_counts_for_the_deadline(script, address, monkeypatch):
    monkeypatch.setattr(rest_connections, "_ASYNC_CALLS", 1)
    script.barrier = threading.Barrier(2)

    async def ask() -> None:
        connections = rest_connections.AsyncRestConnections(settings.ClientSettings(address))
        first = asyncio.ensure_future(connections.send(status_step(address, name="m")))
        late = status_step(address, name="m")._replace(timeout_secs=1e-6)
        second = asyncio.ensure_future(connections.send(late))
        await asyncio.to_thread(script.barrier.wait, 30)
        await first
        with pytest.raises(rest_messages.RestError, match="the time was over") as caught:
            await second
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await connections.close()

    asyncio.run(ask())
    assert len(script.requests) == 1


def test_transports_say_of_themselves_that_they_are_closed(script, address):
    connections = rest_connections.RestConnections(settings.ClientSettings(address))
    connections.close()
    with pytest.raises(steps.ClosedError):
        connections.send(status_step(address, name="m"))

    async def ask() -> None:
        connections = rest_connections.AsyncRestConnections(settings.ClientSettings(address))
        await connections.close()
        with pytest.raises(steps.ClosedError):
            await connections.send(status_step(address, name="m"))

    asyncio.run(ask())
    assert script.requests == []


@pytest.fixture
def silent_address():
    """An address whose machine lets no connection come about, as one that drops packets."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # more than it takes
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_machine_that_is_silent_is_left_for_the_next_with_default_settings(address, silent_address):
    both = settings.ClientSettings((silent_address, address))
    with serving_client.PredictionClient(both, "m") as client:
        assert client.model_status()[0].version == 7


def test_time_that_ends_while_connecting_tells_that_nobody_was_there(silent_address):
    connections = rest_connections.RestConnections(settings.ClientSettings(silent_address))
    step = status_step(silent_address, name="m")._replace(timeout_secs=0.05)
    with pytest.raises(rest_messages.RestError, match="no connection within 0.0") as caught:
        connections.send(step)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_close_while_a_body_comes_cancels_the_call():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        connections = rest_connections.RestConnections(settings.ClientSettings(address))
        with futures.ThreadPoolExecutor(1) as pool:
            call = pool.submit(connections.send, status_step(address, name="m"))
            with server.accept()[0] as connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")
                connections.close()
                assert isinstance(call.exception(30), steps.ClosedError)


def metadata_of(dtype: str) -> bytes:
    """Returns the JSON of a version whose only output is of some dtype."""
    shape = {"dim": [{"size": "-1"}]}
    specs = {"x": {"dtype": "DT_FLOAT", "tensor_shape": shape}}
    outputs = {"y": {"dtype": dtype, "tensor_shape": shape}}
    found = {"inputs": specs, "outputs": outputs, "method_name": "tensorflow/serving/predict"}
    return json.dumps(
        {
            "model_spec": {"name": "m", "version": "7"},
            "metadata": {"signature_def": {"signature_def": {"serving_default": found}}},
        }
    ).encode()


def test_numbers_that_the_known_dtype_would_lose_are_read_by_the_newer_signature(script, address):
    whole, half = (200, b'{"outputs": [2]}'), (200, b'{"outputs": [0.75]}')
    script.answers = [(200, metadata_of("DT_INT64")), whole, half]
    script.answers += [(200, metadata_of("DT_FLOAT")), half]
    with serving_client.PredictionClient(impatient(address), "m") as client:
        assert client.predict({"x": [1]})["y"].tolist() == [2]
        assert client.predict({"x": [1]})["y"].tolist() == [0.75]
        assert client.predict({"x": [1]})["y"].tolist() == [0.75]
    assert [method for method, *_ in script.requests] == "GET POST POST GET POST POST".split()


def test_numbers_that_the_newest_signature_would_lose_are_the_servers_fault(script, address):
    script.answers = [(200, metadata_of("DT_INT64")), (200, b'{"outputs": [0.75]}')]
    with serving_client.PredictionClient(impatient(address), "m") as client:
        with pytest.raises(errors.ServerError, match=r"\(0.75 at \[0\] does not fit\)"):
            client.predict({"x": [1]})


def output(name: str, dtype: str, shape, value) -> np.ndarray:
    """Returns what is read for the only output of a signature from its JSON."""
    spec = serving_client.TensorSpec(name, wire.DATA_TYPES[dtype], shape)
    signature = serving_client.Signature("s", "", {}, {name: spec})
    step = steps.Send("", "Predict", wire.PredictRequest(), 1, {}, "none", signature)
    body = json.dumps({"outputs": value}).encode()
    return wire.to_array(rest_messages.read_answer(step, 200, body).outputs[name])


def test_outputs_take_dtype_and_lost_sizes_from_the_signature():
    assert output("y", "DT_FLOAT", (None, 3), []).shape == (0, 3)
    assert output("y", "DT_INT64", (), 2**62).item() == 2**62
    assert output("y", "DT_UINT64", (None,), [1, 2**63 + 1]).tolist() == [1, 2**63 + 1]
    assert output("y", "DT_BOOL", (None,), [True, False]).dtype == bool
    assert np.isnan(output("y", "DT_DOUBLE", (None,), [float("nan"), 1])).tolist() == [True, False]
    assert output("y_bytes", "DT_STRING", (None,), [{"b64": "/w=="}]).tolist() == [b"\xff"]
    assert output("y", "DT_STRING", (None, 2), [["é", ""]]).tolist() == [["é".encode(), b""]]


def test_ragged_output_is_the_servers_fault():
    with pytest.raises(rest_messages.RestError, match="its answer cannot be read"):
        output("y", "DT_FLOAT", None, [[1], [2, 3]])
