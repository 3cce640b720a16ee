"""Calls answered by the threads that take them from gRPC's core."""

from concurrent import futures
import contextlib
import threading
import time

import grpc
import pytest

from estimator_app.serving import call_queue

_METHOD = "/test.Service/Call"
_SECS = 30


def _read(data: bytes) -> str:
    return data.decode("ascii")


@contextlib.contextmanager
def _served(behavior, threads=4):
    """Serves `behavior`, which takes and returns text; gives a channel, the server's stop, and the queue."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(behavior, _read, str.encode)
    assert call_queue.is_possible(server)
    queue = call_queue.CallQueue(server, {_METHOD: handler}, threads)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    queue.start()

    def stop(grace_secs):
        server.stop(grace_secs).wait()
        queue.stop()

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield channel, stop, queue
        finally:
            stop(0)


def _call(channel):
    return channel.unary_unary(_METHOD)


def _check_ended(threads):
    """Of a queue all threads end; gRPC's own, which are daemons without such a name, may live on."""
    for thread in threads:
        if thread.name.startswith("grpc-call"):
            thread.join(_SECS)
            assert not thread.is_alive(), thread.name


def test_call_is_answered_with_its_deadline_known():
    left = []

    def behavior(request, context):
        left.append(context.time_remaining())
        return request * 2

    with _served(behavior) as (channel, _, _):
        assert _call(channel)(b"ab", timeout=_SECS) == b"abab"
        assert 0 < left[0] <= _SECS
        assert _call(channel)(b"x" * 2_000_000, timeout=_SECS) == b"x" * 4_000_000


def test_errors_become_statuses():
    def behavior(request, context):
        if request == "abort":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: \xe9".encode())
        raise ValueError("unforeseen")

    with _served(behavior) as (channel, _, _):
        found = {}
        for request in (b"abort", b"raise", b"\xff"):
            with pytest.raises(grpc.RpcError) as caught:
                _call(channel)(request, timeout=_SECS)
            found[request] = (caught.value.code(), caught.value.details())
    assert found == {
        b"abort": (grpc.StatusCode.NOT_FOUND, "no such thing: \xe9"),
        b"raise": (grpc.StatusCode.UNKNOWN, "Exception calling application: unforeseen"),
        b"\xff": (grpc.StatusCode.INTERNAL, "Exception deserializing request!"),
    }


def test_call_without_a_message_is_refused():
    with _served(lambda request, context: request) as (channel, _, _):
        with pytest.raises(grpc.RpcError) as caught:
            channel.stream_unary(_METHOD)(iter(()), timeout=_SECS)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == f'"{_METHOD}" requires exactly one request message.'


def test_long_calls_compute_side_by_side_up_to_the_limit():
    together = threading.Barrier(4)
    lock, counts = threading.Lock(), {"now": 0, "most": 0}

    def behavior(request, context):
        with lock:
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
        together.wait(_SECS)  # until four are here
        with lock:
            counts["now"] -= 1
        return request

    with _served(behavior, threads=4) as (channel, _, _):
        calls = [_call(channel).future(b"%d" % number, timeout=_SECS) for number in range(12)]
        assert [call.result() for call in calls] == [b"%d" % number for number in range(12)]
    assert counts["most"] == 4


def test_silent_callers_keep_no_thread():
    with _served(lambda request, context: request, threads=1) as (channel, _, _):
        done = threading.Event()

        def nothing():
            done.wait()
            yield from ()

        silent = [channel.stream_unary(_METHOD).future(nothing()) for _ in range(20)]
        try:
            assert _call(channel)(b"me", timeout=_SECS) == b"me"
        finally:
            for call in silent:
                call.cancel()
            done.set()


def test_caller_that_goes_away_is_seen_while_all_compute():
    running, go_on, seen = threading.Event(), threading.Event(), []

    def behavior(request, context):
        if request == "hold":
            running.set()
            go_on.wait(_SECS)
        seen.append((request, context.is_active()))
        return request

    with _served(behavior, threads=1) as (channel, _, queue):
        held = _call(channel).future(b"hold", timeout=_SECS)
        running.wait(_SECS)
        gone = _call(channel).future(b"gone", timeout=_SECS)
        after = _call(channel).future(b"after", timeout=_SECS)
        deadline = time.monotonic() + _SECS
        while len(queue._ready) < 2:
            assert time.monotonic() < deadline, "the calls did not arrive"
            time.sleep(0.01)
        gone.cancel()
        while all(call.is_active() for call in queue._ready):
            assert time.monotonic() < deadline, "nobody heard of it"
            time.sleep(0.01)
        go_on.set()
        assert (held.result(), after.result()) == (b"hold", b"after")
    assert sorted(seen) == [("after", True), ("gone", False), ("hold", True)]


def test_stop_lets_calls_end_and_leaves_no_thread():
    before = set(threading.enumerate())
    running, go_on = threading.Event(), threading.Event()

    def behavior(request, context):
        running.set()
        go_on.wait(_SECS)
        return request

    with _served(behavior) as (channel, stop, _):
        call = _call(channel).future(b"last", timeout=_SECS)
        running.wait(_SECS)
        stopping = threading.Thread(target=stop, args=[_SECS])
        stopping.start()
        with pytest.raises(grpc.RpcError):
            while True:  # until the server takes no more
                _call(channel)(b"late", timeout=0.05)
        go_on.set()
        assert call.result() == b"last"
        stopping.join(_SECS)
        assert not stopping.is_alive()
    _check_ended(set(threading.enumerate()) - before)


def test_call_that_outlives_the_server_does_no_harm():
    before = set(threading.enumerate())
    running, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def behavior(request, context):
        running.set()
        go_on.wait(_SECS)
        ended.set()
        return request

    with _served(behavior) as (channel, stop, _):
        call = _call(channel).future(b"slow", timeout=_SECS)
        running.wait(_SECS)
        started = time.monotonic()
        stop(0)
        assert time.monotonic() - started < _SECS / 2
        with pytest.raises(grpc.RpcError):
            call.result()
        go_on.set()
        assert ended.wait(_SECS)
    _check_ended(set(threading.enumerate()) - before)
