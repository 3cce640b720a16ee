"""What callers may do to a running server, by mistake or on purpose: it goes on serving, as quickly and as small."""

from concurrent import futures
import contextlib
import http.client
import itertools
import json
import random
import resource
import socket
import threading
import time

import grpc
import numpy as np
import psutil
import pytest

from serving_client import wire
from tests import running

_DEADLINE_SECS = 30.0
# Far more than a good request takes, even on a machine that does other things.
_QUICKLY_SECS = 5.0
_MOST_GROWTH_BYTES = 100 * 2**20
_CONNECTIONS = 1000
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"


@pytest.fixture(scope="module")
def server(plain_base):
    """A server with defaults, but for two threads on each port."""
    flags = (
        "--model_name=plain",
        "--rest_api_port=-1",
        "--rest_api_num_threads=2",
        "--grpc_max_threads=2",
        "--rest_api_enable_browser_page",
        "--enable_grpc_healthcheck_service",
    )
    with running.run_server(plain_base, *flags) as process:
        _good(process)
        yield process


def _request(value=3.0):
    request = wire.PredictRequest()
    request.model_spec.name = "plain"
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[value]])))
    return request


def _predict(channel, request, timeout_secs=_DEADLINE_SECS):
    method = wire.METHODS["Predict"]
    call = channel.unary_unary(
        method.path, method.request.SerializeToString, method.response.FromString
    )
    return call(request, timeout=timeout_secs)


def _ask(server, method, path, body=b"", timeout_secs=_DEADLINE_SECS):
    connection = http.client.HTTPConnection(server.host, server.rest_port, timeout=timeout_secs)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _good(server):
    """Asks both ports for what they must answer, in time."""
    with grpc.insecure_channel(server.address) as channel:
        response = _predict(channel, _request(), _QUICKLY_SECS)
    assert response.outputs["y"].float_val == [6.0]
    body = b'{"instances": [[3.0]]}'
    status, text = _ask(server, "POST", "/v1/models/plain:predict", body, _QUICKLY_SECS)
    assert (status, json.loads(text)) == (200, {"predictions": [[6.0]]})


def _names(server):
    """The models that the page for people shows."""
    return [model["name"] for model in json.loads(_ask(server, "GET", "/models.json")[1])]


def _eventually(condition):
    deadline = time.monotonic() + _DEADLINE_SECS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@contextlib.contextmanager
def _goes_on(server):
    """Holds the server to its memory, its log and its answers over what is done inside."""
    process = psutil.Process(server.process.pid)
    memory, log = process.memory_info().rss, server.log.stat().st_size
    yield
    _good(server)
    assert process.memory_info().rss - memory < _MOST_GROWTH_BYTES
    assert server.log.stat().st_size - log < 10_000, server.log.read_text()[-3000:]
    assert "Traceback" not in server.log.read_text()


def _garbage():
    """Name -> bytes that are no request, or not a whole one."""
    noise = random.Random(5)
    return {
        "noise": noise.randbytes(100_000),
        "zeros": bytes(100_000),
        "lines": b"\r\n" * 50_000,
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise.randbytes(500),
        "HTTP/1 without an end": b"POST /v1/models/plain:predict HTTP/1.1\r\nHost: a\r\n",
        "HTTP/1 with too many headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 50_000,
        "HTTP/1 with a long line": b"GET /" + b"a" * 1_000_000,
        "HTTP/1 with two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1 with a negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1 with bad chunks": (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"
        ),
        "HTTP/1 upgrade": (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        ),
        "HTTP/2 preface alone": _HTTP2_PREFACE,
        "HTTP/2 half a frame": _HTTP2_PREFACE + _SETTINGS[:5],
        "HTTP/2 frame of 16 MB": _HTTP2_PREFACE
        + _SETTINGS
        + b"\xff\xff\xff\0\0\0\0\0\1"
        + b"x" * 1000,
        "HTTP/2 headers of noise": (
            _HTTP2_PREFACE + _SETTINGS + b"\0\0\x40\1\4\0\0\0\1" + noise.randbytes(64)
        ),
        "HTTP/2 ten thousand pings": (
            _HTTP2_PREFACE + _SETTINGS + b"\0\0\x08\6\0\0\0\0\0abcdefgh" * 10_000
        ),
        "HTTP/2 ten thousand resets": _HTTP2_PREFACE
        + _SETTINGS
        + b"".join(
            b"\0\0\4\3\0" + stream.to_bytes(4, "big") + b"\0\0\0\0"
            for stream in range(1, 20_001, 2)
        ),
    }


@pytest.mark.parametrize("kind", _garbage())
def test_garbage_on_either_port(server, kind):
    with _goes_on(server):
        for port in (server.port, server.rest_port):
            with socket.create_connection((server.host, port), _DEADLINE_SECS) as connection:
                with contextlib.suppress(OSError):  # the server may have had enough
                    connection.sendall(_garbage()[kind])
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass


def test_a_thousand_idle_connections_on_each_port(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with _goes_on(server), contextlib.ExitStack() as stack:
            for _ in range(_CONNECTIONS):
                for port in (server.port, server.rest_port):
                    address = (server.host, port)
                    stack.enter_context(socket.create_connection(address, _DEADLINE_SECS))
            _good(server)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_calls_whose_message_never_comes_leave_threads_for_others(server):
    method = wire.METHODS["Predict"]
    done = threading.Event()

    def never():
        done.wait(_DEADLINE_SECS)
        return iter(())

    def no_message():
        yield from never()

    with _goes_on(server), grpc.insecure_channel(server.address) as channel:
        call = channel.stream_unary(method.path, lambda text: text, method.response.FromString)
        half = [call.future(no_message()) for _ in range(10)]
        reflection = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )
        silent = [reflection(no_message()) for _ in range(10)]
        _good(server)
        done.set()
        for each in (*half, *silent):
            each.cancel()


def test_reloads_that_wait_for_ever_leave_threads_for_others(server, plain_base, tmp_path):
    method = wire.METHODS["HandleReloadConfigRequest"]
    request = wire.ReloadConfigRequest()
    configs = request.config.model_config_list.config
    configs.add(name="plain", base_path=str(plain_base), model_platform="tensorflow")
    with _goes_on(server), grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        good = method.request.FromString(request.SerializeToString())
        waiting = []
        for index in range(5):
            path = str(tmp_path / "none")
            configs.add(name=f"none {index}", base_path=path, model_platform="tensorflow")
            waiting.append(call.future(request))
            _eventually(lambda name=f"none {index}": name in _names(server))
        _good(server)
        assert not any(each.done() for each in waiting)
        call(good, timeout=_DEADLINE_SECS)
        for each in waiting:
            each.cancel()


_TENSOR_CLAIMS = {
    "more bytes than a message holds": ((2**40,), [1.0]),
    "more elements than an integer counts": ((2**40, 2**40), [1.0]),
    "more than 256 MiB": ((2**26 + 1,), [1.0]),
    "a negative size": ((-1,), [1.0]),
    "three hundred dimensions": ((1,) * 300, [1.0]),
}


@pytest.mark.parametrize("claim", _TENSOR_CLAIMS)
def test_tensor_that_claims_more_than_it_has(server, claim):
    shape, values = _TENSOR_CLAIMS[claim]
    request = _request()
    tensor = wire.TensorProto(dtype=1, float_val=values)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    request.inputs["x"].CopyFrom(tensor)
    with _goes_on(server), grpc.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            _predict(channel, request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "tensor parsing error: x"


def test_large_messages(server):
    request = _request()
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.ones([1_000_000, 1], np.float32)))
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(server.address, options) as channel:
        # What the allocator keeps for the next such message comes with the first ones.
        for _ in range(4):
            _predict(channel, request)
        with _goes_on(server):
            for _ in range(4):
                assert len(_predict(channel, request).outputs["y"].float_val) == 1_000_000


_WRONG_BODIES = (
    b"",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"instances": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"instances": [1' + b"0" * 400 + b"]}",
    b'{"instances": [1' + b"0" * 5000 + b"]}",
    b'{"instances": ["' + b'\\"' * 100_000,
    b'{"instances": [{"b64": "!"}]}',
    b'{"instances": [[1.0], [1.0, 2.0]]}',
    b'{"signature_name": "\\ud800", "instances": [1]}',
)


def test_flood_of_wrong_requests(server):
    method = wire.METHODS["Predict"]
    noise = random.Random(7)
    messages = [noise.randbytes(50) for _ in range(20)] + [b"", b"\x0a\x07\x0a\x05plain"]
    paths = ["/v1/models/plain:predict", "/v1/models/none:predict", "/v1/models/plain:classify"]

    def ask_rest(_):
        return {_ask(server, "POST", path, body)[0] for path in paths for body in _WRONG_BODIES}

    def ask_grpc(channel):
        call = channel.unary_unary(method.path, None, None)
        codes = set()
        for message in messages * 5:
            with pytest.raises(grpc.RpcError) as caught:
                call(message, timeout=_DEADLINE_SECS)
            codes.add(caught.value.code().name)
        return codes

    with _goes_on(server), grpc.insecure_channel(server.address) as channel:
        with futures.ThreadPoolExecutor(8) as pool:
            rest = [pool.submit(ask_rest, index) for index in range(4)]
            calls = [pool.submit(ask_grpc, channel) for _ in range(4)]
            assert set().union(*(each.result() for each in rest)) <= {400, 404}
            codes = set().union(*(each.result() for each in calls))
        assert codes <= {"INVALID_ARGUMENT", "INTERNAL", "NOT_FOUND"}


_UNARY_PATHS = [wire.METHODS["GetModelStatus"].path, "/grpc.health.v1.Health/Check"]


@pytest.mark.parametrize("path", _UNARY_PATHS)
def test_messages_that_are_none_leave_nothing_behind(server, path):
    with _goes_on(server), grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(path)
        # gRPC itself would keep 16 KiB of each.
        for _ in range(8000):
            with pytest.raises(grpc.RpcError) as caught:
                call(b"\xff\xff", timeout=_DEADLINE_SECS)
        assert caught.value.code() == grpc.StatusCode.INTERNAL
        assert caught.value.details() == "Exception deserializing request!"


_NAMES = (
    "..",
    "../plain",
    "plain/..",
    "plain/versions/1/../../..",
    "%2e%2e",
    "%2e%2e%2fplain",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2fetc",
    "plain%00",
    "plain/versions/5%2f..",
    "plain/versions/..",
    "plain/versions/5/..%00",
)


@pytest.mark.parametrize("name", _NAMES)
def test_names_in_paths_lead_nowhere(server, name):
    for method, path in itertools.product(("GET", "POST"), ("", ":predict", "/metadata")):
        body = b'{"instances": [1]}' if method == "POST" else b""
        status, _ = _ask(server, method, f"/v1/models/{name}{path}", body)
        assert status in (400, 404)
    for path in (f"/{name}", f"/page.js/{name}", f"/models.json/{name}", f"//{name}"):
        assert _ask(server, "GET", path)[0] == 404


@pytest.mark.parametrize("name", ["..", "../plain", "/etc", "plain\0", "plain/../plain", "plain/5"])
def test_names_in_messages_lead_nowhere(server, name):
    request = _request()
    request.model_spec.name = name
    with grpc.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            _predict(channel, request)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_it_listens_on_loopback_alone(server):
    listening = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for connection in psutil.Process(server.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", server.port), ("127.0.0.1", server.rest_port)}


def test_it_raises_its_limit_of_open_files(server):
    soft, hard = psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == hard


def test_no_connection_stays_open(server):
    process = psutil.Process(server.process.pid)
    _eventually(lambda: process.num_fds() < 500)
