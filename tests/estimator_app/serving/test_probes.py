"""Health, reflection and profiler of servers: in this process, and of one with the flags on."""

from concurrent import futures
import glob
import os
import subprocess
import sys

from google.protobuf import descriptor_pb2
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
import pytest

from estimator_app.serving import probes, profiler, server
from estimator_app.serving import settings as serving_settings
from tests import running

_DEADLINE_SECS = 30.0


@pytest.fixture(scope="module")
def probed(plain_base):
    """A process with the health service."""
    with running.run_server(plain_base, "--enable_grpc_healthcheck_service") as process:
        yield process


@pytest.fixture(scope="module")
def channel(probed):
    with grpc.insecure_channel(probed.address) as channel:
        yield channel


# ---------------------------------------------------------------------------------------- health


@pytest.mark.parametrize("name", ["", "ModelService", "PredictionService"])
def test_health(channel, name):
    stub = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=name), _DEADLINE_SECS)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_another_name(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="tensorflow.serving.PredictionService")
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(request, _DEADLINE_SECS)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_no_health_without_the_flag(plain_channel):
    stub = health_pb2_grpc.HealthStub(plain_channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(), _DEADLINE_SECS)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_watchers_are_told_of_the_end_and_do_not_hold_it_up(plain_base):
    settings = serving_settings.ServerSettings(
        port=0,
        model_base_path=str(plain_base),
        enable_grpc_healthcheck_service=True,
        grace_secs=1000.0,  # More than a test may take.
    )
    with server.ModelServer(settings) as running_server:
        with grpc.insecure_channel(f"127.0.0.1:{running_server.port}") as channel:
            watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
            running_server.stop()
            states = [answer.status for answer in watched]
    assert states == [health_pb2.HealthCheckResponse.NOT_SERVING]


# ------------------------------------------------------------------------------------ reflection


def _reflect(channel, **question):
    request = reflection_pb2.ServerReflectionRequest(**question)
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=_DEADLINE_SECS)
    return answer


def _services(channel):
    answer = _reflect(channel, list_services="")
    return {service.name for service in answer.list_services_response.service}


_ALWAYS = {
    "grpc.reflection.v1alpha.ServerReflection",
    "tensorflow.ProfilerService",
    "tensorflow.serving.ModelService",
    "tensorflow.serving.PredictionService",
}


def test_services_are_listed(channel, plain_channel):
    assert _services(plain_channel) == _ALWAYS
    assert _services(channel) == _ALWAYS | {"grpc.health.v1.Health"}


@pytest.mark.parametrize(
    "service, call",
    [
        ("tensorflow.serving.PredictionService", "MultiInference"),
        ("tensorflow.serving.ModelService", "HandleReloadConfigRequest"),
        ("tensorflow.ProfilerService", "Profile"),
        ("grpc.health.v1.Health", "Check"),
        ("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo"),
    ],
)
def test_services_are_described_with_all_that_they_import(channel, service, call):
    answer = _reflect(channel, file_containing_symbol=service).file_descriptor_response
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(data) for data in answer.file_descriptor_proto
    ]
    known = {file.name for file in files}
    assert all(set(file.dependency) <= known for file in files)
    methods = [
        method.name
        for file in files
        for found in file.service
        if f"{file.package}.{found.name}" == service
        for method in found.method
    ]
    assert call in methods


def test_an_unknown_symbol(channel):
    answer = _reflect(channel, file_containing_symbol="tensorflow.serving.SessionService")
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


# -------------------------------------------------------------------------------------- profiler


def _call(channel, name, request):
    """Begins a call of the profiler service and gives its future."""
    answer = {"Profile": profiler.ProfileResponse, "Terminate": profiler.TerminateResponse}[name]
    call = channel.unary_unary(
        f"/{profiler.SERVICE}/{name}", type(request).SerializeToString, answer.FromString
    )
    return call.future(request, timeout=_DEADLINE_SECS)


def test_tensorflows_own_client_gets_a_trace(probed, tmp_path):
    program = (
        "import sys\n"
        "import tensorflow as tf\n"
        "tf.profiler.experimental.client.trace(sys.argv[1], sys.argv[2], duration_ms=100)\n"
    )
    address = f"grpc://{probed.address}"
    subprocess.run([sys.executable, "-c", program, address, str(tmp_path)], check=True)
    (path,) = glob.glob(f"{tmp_path}/plugins/profile/*/*.xplane.pb")
    assert os.path.getsize(path) > 0


def _begin(channel, session):
    """Begins a session of ten minutes, and gives the future of its call once it has begun."""
    request = profiler.ProfileRequest(duration_ms=600_000, session_id=session, emit_xspace=True)
    call = _call(channel, "Profile", request)
    while _profile_briefly(channel) is None:
        if call.done():  # A brief one came first.
            call = _call(channel, "Profile", request)
    return call


def _profile_briefly(channel):
    """The error of a profile that takes no time, None if there was none."""
    request = profiler.ProfileRequest(duration_ms=1, session_id="brief", emit_xspace=True)
    error = _call(channel, "Profile", request).exception()
    return error and (error.code(), error.details())


def test_a_session_can_be_ended_and_another_must_wait(channel):
    call = _begin(channel, "ended")
    assert _profile_briefly(channel) == (
        grpc.StatusCode.INTERNAL,
        "Another profiler session is active.",
    )
    _call(channel, "Terminate", profiler.TerminateRequest(session_id="ended")).result()
    assert call.result().xspace


def test_a_caller_that_goes_ends_its_session(channel):
    _begin(channel, "left").cancel()
    while _profile_briefly(channel) is not None:
        pass


@pytest.mark.parametrize(
    "wrong, message",
    [
        (
            {"repository_root": ""},
            "Expected repository_root to be a directory, found ''. Set it, or emit_xspace.",
        ),
        (
            {"session_id": ".."},
            "Expected session_id to be a name without '/', found '..'. Choose another one.",
        ),
        (
            {"host_name": "../host"},
            "Expected host_name to be a name without '/', found '../host'. Choose another one.",
        ),
    ],
)
def test_a_profile_without_a_place_is_refused(channel, tmp_path, wrong, message):
    place = {"repository_root": str(tmp_path), "session_id": "s", "host_name": "h", **wrong}
    with pytest.raises(grpc.RpcError) as caught:
        _call(channel, "Profile", profiler.ProfileRequest(duration_ms=1, **place)).result()
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == message
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------- what is no message


_GARBAGE = {
    "/grpc.health.v1.Health/Check": lambda channel, path: channel.unary_unary(path)(b"\xff"),
    "/grpc.health.v1.Health/Watch": lambda channel, path: list(channel.unary_stream(path)(b"\xff")),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": lambda channel, path: list(
        channel.stream_stream(path)(iter([b"\xff"]))
    ),
}


@pytest.mark.parametrize("path", _GARBAGE)
def test_what_is_no_message_is_refused_before_grpc_keeps_the_call(path, caplog):
    probed = grpc.server(futures.ThreadPoolExecutor(2))
    probes.HealthService().add_to(probed)
    probes.add_reflection(probed, [])
    port = probed.add_insecure_port("localhost:0")
    probed.start()
    try:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            with pytest.raises(grpc.RpcError) as caught:
                _GARBAGE[path](channel, path)
    finally:
        probed.stop(None).wait()
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert caught.value.details() == "Exception deserializing request!"
    # gRPC logs each exception of a deserializer, and never frees the call of one.
    assert not caplog.records
