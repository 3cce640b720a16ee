"""What is fuzzed, and what must hold whatever comes: each target takes bytes and raises AssertionError."""

from collections.abc import Callable, Iterator
from concurrent import futures
import contextlib
import dataclasses
import functools
import http.client
import json
import pathlib
import socket
import tempfile
from typing import Any

import grpc
from hypothesis import strategies as st

from estimator_app.serving import credentials, model_config, text_files
from export import errors
import serving_client
from serving_client import wire
from tests import running
from tests.fuzz import cases

_DEADLINE_SECS = 20.0
_REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED"}
_RELOAD_REFUSALS = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNKNOWN", "DEADLINE_EXCEEDED"}
_UNREADABLE = "Exception deserializing request!"
_STATUSES = {200, 400, 404, 413, 501}


@dataclasses.dataclass(frozen=True)
class Target:
    """One thing to fuzz.

    Attributes:
        name: such as `grpc.Predict`.
        cases: strategy of bytes.
        check: raises AssertionError if something does not hold for a case.
    """

    name: str
    cases: st.SearchStrategy
    check: Callable[[bytes], None]


# ------------------------------------------------------------------------------------- the server


def server_targets(server: running.RunningServer, channel: grpc.Channel) -> Iterator[Target]:
    """Those of a running server with the models `plain` version 5 and `examples` version 3."""
    for name, seeds in cases.real_requests().items():
        check = functools.partial(_check_call, channel, name, _REFUSALS, _DEADLINE_SECS)
        yield Target(f"grpc.{name}", cases.grpc_requests(name, seeds), check)
    yield Target("rest", cases.rest_requests(), functools.partial(_check_rest, server))
    for port, name in ((server.port, "grpc"), (server.rest_port, "rest")):
        yield Target(f"bytes.{name}", cases.RAW_BYTES, functools.partial(_send, server.host, port))


def reload_target(channel: grpc.Channel, real: Any) -> Target:
    """HandleReloadConfigRequest; `real` is the config that is put back after each one that is taken."""
    name = "HandleReloadConfigRequest"
    request = wire.ReloadConfigRequest(config=real).SerializeToString()

    def check(data: bytes) -> None:
        _check_call(channel, name, _RELOAD_REFUSALS, 0.2, data)
        _check_call(channel, name, set(), _DEADLINE_SECS, request)

    return Target(f"grpc.{name}", cases.grpc_requests(name, [request]), check)


def _check_call(
    channel: grpc.Channel, name: str, refusals: set[str], deadline_secs: float, data: bytes
) -> None:
    call = channel.unary_unary(
        wire.METHODS[name].path, None, wire.METHODS[name].response.FromString
    )
    try:
        call(data, timeout=deadline_secs)
    except grpc.RpcError as error:
        code, details = error.code().name, error.details()
        unreadable = code == "INTERNAL" and details == _UNREADABLE
        assert unreadable or code in refusals, f"{code}: {details}"


def _check_rest(server: running.RunningServer, data: bytes) -> None:
    head, _, body = data.partition(b"\n")
    method, _, path = head.decode("latin-1").partition(" ")
    connection = http.client.HTTPConnection(server.host, server.rest_port, timeout=_DEADLINE_SECS)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        text = response.read()
        assert response.status in _STATUSES, f"{response.status} {text[:500]!r}"
        if (
            response.status == 400
            and text
            and response.getheader("content-type") == "application/json"
        ):
            assert json.loads(text.decode("utf-8", "replace"), strict=False)["error"]
    finally:
        connection.close()


def _send(host: str, port: int, data: bytes) -> None:
    """Sends bytes and hangs up; that the server serves on is seen by the next request."""
    with socket.create_connection((host, port), _DEADLINE_SECS) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.05)
            while connection.recv(65536):
                pass


# ---------------------------------------------------------------------------- files of its settings


def file_targets(folder: pathlib.Path) -> Iterator[Target]:
    """Text files of the server's settings."""
    path = folder / "settings.txt"
    yield Target("files", cases.TEXT_FILES, functools.partial(_check_file, path))


def _check_file(path: pathlib.Path, data: bytes) -> None:
    path.write_bytes(data)
    for cls in (
        text_files.ModelServerConfig,
        text_files.MonitoringConfig,
        text_files.BatchingParameters,
    ):
        with contextlib.suppress(errors.ServableError):
            message = text_files.read(str(path), cls)
            if cls is text_files.ModelServerConfig:
                model_config.check_base_paths(message.model_config_list.config)
                model_config.from_messages(message.model_config_list.config)
    with contextlib.suppress(errors.ServableError):
        credentials.read(str(path))


# ------------------------------------------------------------------------------------- the client


@contextlib.contextmanager
def client_targets() -> Iterator[list[Target]]:
    """The client's decoders, alone and behind servers that answer anything."""
    answer = _Answer()
    with _hostile_grpc(answer) as address, _hostile_rest(answer) as rest_address:
        settings = {"timeout_secs": 2.0, "retry_timeout_secs": 0.0}
        names = {
            "grpc": serving_client.ClientSettings(address=address, **settings),
            "rest": serving_client.ClientSettings(address=rest_address, **settings),
        }
        targets = [Target("client.tensor", cases.TENSORS, _check_tensor)]
        for name, chosen in names.items():
            answers = _GRPC_ANSWERS if name == "grpc" else _REST_ANSWERS
            check = functools.partial(_check_client, answer, chosen)
            targets.append(Target(f"client.{name}", answers, check))
        yield targets


def _check_tensor(data: bytes) -> None:
    try:
        tensor = wire.TensorProto.FromString(data)
    except Exception:  # protobuf's own; whose class is another in each of its versions
        return
    with contextlib.suppress(serving_client.TensorError):
        wire.to_array(tensor)


@dataclasses.dataclass
class _Answer:
    """What the hostile servers say next."""

    data: bytes = b""


def _metadata_answer() -> bytes:
    response = wire.GetModelMetadataResponse()
    definition = wire.SignatureDef(method_name="tensorflow/serving/predict")
    for infos in (definition.inputs, definition.outputs):
        infos["x"].name = "x:0"
        infos["x"].dtype = 1
        infos["x"].tensor_shape.dim.add(size=-1)
    wire.pack_signatures(response, {"serving_default": definition})
    response.model_spec.name = "m"
    response.model_spec.version.value = 1
    return response.SerializeToString()


_GRPC_ANSWERS = (
    cases.mutated([_metadata_answer()])
    | cases.messages(wire.GetModelMetadataResponse)
    | cases.messages(wire.GetModelStatusResponse)
    | cases.messages(wire.ClassificationResponse)
    | st.binary(max_size=60)
)
_REST_ANSWERS = cases.mutated(
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 58\r\n\r\n{"model_version_status": [{"version": "1", "state": "END"}]}',
        b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"results": [1.0, "NaN"]}',
        b'HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n{"results": [[["a", 1.0], ["b"]]]}',
        b'HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\n{"error": "x"}',
        b'HTTP/1.1 200 OK\r\nContent-Length: 120\r\n\r\n{"model_spec": {"version": "1"}, "metadata": '
        b'{"signature_def": {"signature_def": {"serving_default": {"inputs": {}, "outputs": {}}}}}}',
    ]
) | st.binary(max_size=80)


def _check_client(answer: _Answer, settings: serving_client.ClientSettings, data: bytes) -> None:
    """Every call ends with an answer or with an error of the client's own."""
    answer.data = data
    with serving_client.PredictionClient(settings, "m") as client:
        for call in (
            lambda: client.model_metadata(),
            lambda: client.model_status(),
            lambda: client.predict({"x": [1.0]}),
            lambda: client.classify([{"x": 1.0}]),
            lambda: client.regress([{"x": 1.0}]),
        ):
            with contextlib.suppress(serving_client.ClientError):
                call()


@contextlib.contextmanager
def _hostile_grpc(answer: _Answer) -> Iterator[str]:
    """Answers every call with the bytes of `answer`."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda request, context: answer.data)

    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@contextlib.contextmanager
def _hostile_rest(answer: _Answer) -> Iterator[str]:
    """Reads a little of each request, answers with the bytes of `answer`, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening, futures.ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(answer.data)

        pool.submit(serve)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def all_targets(folder: pathlib.Path, config: pathlib.Path) -> Iterator[tuple[Any, list[Target]]]:
    """Starts a server with the models of a config file; gives it and everything there is to fuzz."""
    real = text_files.read(str(config), text_files.ModelServerConfig)
    flags = (f"--model_config_file={config}", "--rest_api_port=-1", "--max_num_load_retries=0")
    flags += ("--rest_api_enable_browser_page",)
    with running.run_server(folder, *flags) as server, client_targets() as of_client:
        with grpc.insecure_channel(
            server.address
        ) as channel, tempfile.TemporaryDirectory() as files:
            targets = [
                *server_targets(server, channel),
                reload_target(channel, real),
                *file_targets(pathlib.Path(files)),
                *of_client,
            ]
            yield server, targets
