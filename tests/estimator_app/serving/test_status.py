"""Our errors as gRPC statuses."""

from concurrent import futures
import threading
from unittest import mock

import grpc
import pytest

from estimator_app.serving import status
from export import errors


@pytest.mark.parametrize("code", errors.Code)
def test_codes_have_the_same_name_and_number(code):
    assert status.status_code(code).name == code.name
    assert status.status_code(code).value[0] == code.value


def test_text_is_cut_after_1024_bytes():
    assert status.details("x" * 1024) == b"x" * 1024
    assert status.details("x" * 1025) == b"x" * 1024 + b"...TRUNCATED"
    assert status.details("ü" * 600) == "ü".encode() * 512 + b"...TRUNCATED"


def test_bytes_that_are_no_text_are_kept():
    assert status.details(b"\xff".decode("utf-8", "surrogateescape")) == b"\xff"


@pytest.mark.parametrize(
    "left_secs, expected",
    [(None, 0), (1.5, 1500), (0.0001, 1), (-3.0, 1), (1e30, 2**31 - 1)],
)
def test_deadline_becomes_milliseconds(left_secs, expected):
    context = mock.create_autospec(grpc.ServicerContext)
    context.time_remaining.return_value = left_secs
    assert status.timeout_ms(context) == expected


class _Aborted(Exception):
    pass


def _abort_of(error):
    context = mock.create_autospec(grpc.ServicerContext)
    context.time_remaining.return_value = None
    context.abort.side_effect = _Aborted
    with pytest.raises(_Aborted):
        status.behavior(mock.Mock(side_effect=error))(object(), context)
    return context.abort.call_args.args


def test_error_ends_the_call():
    assert _abort_of(errors.ServableError(errors.Code.ABORTED, "so")) == (
        grpc.StatusCode.ABORTED,
        b"so",
    )


def test_own_mistake_is_internal_and_logged(caplog):
    assert _abort_of(KeyError("k")) == (grpc.StatusCode.INTERNAL, b"KeyError: 'k'")
    assert "A call failed unexpectedly" in caplog.text


@pytest.mark.parametrize("leave", ["cancel", "deadline"])
def test_a_call_without_its_caller_is_not_run(leave):
    """With one thread: the second call waits behind the first one, and its caller leaves."""
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def method(request, timeout_ms):
        seen.append(request)
        begun.set()
        assert go_on.wait(30)
        return b""

    handler = grpc.unary_unary_rpc_method_handler(status.behavior(method))
    server = grpc.server(
        futures.ThreadPoolExecutor(1),
        [grpc.method_handlers_generic_handler("test", {"Call": handler})],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/test/Call")

        def wait_until_the_server_has_read_all():
            # Calls of one connection come in their order, and one that is not there needs no thread.
            with pytest.raises(grpc.RpcError):
                channel.unary_unary("/no/such")(b"", timeout=30)

        first = call.future(b"first")
        assert begun.wait(30)
        second = call.future(b"second", timeout=30 if leave == "cancel" else 0.5)
        wait_until_the_server_has_read_all()
        if leave == "cancel":
            second.cancel()
        else:
            assert second.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
        wait_until_the_server_has_read_all()
        go_on.set()
        assert first.result() == b""
        assert call(b"third") == b""
    server.stop(None)
    assert seen == [b"first", b"third"]
