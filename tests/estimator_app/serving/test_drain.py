"""SIGTERM while everything is under way at once: calls in threads, calls in the queue, a silent caller, a load."""

import os
import signal
import time

import grpc
import numpy as np
import pytest

from serving_client import wire
from tests import running, saved_models

_DEADLINE_SECS = 60.0
_STEPS = np.array(10_000, np.int64)
_QUEUED = 20


def _write_endless_load(base, version):
    """A version whose vocabulary never comes: a pipe that nobody writes to."""
    path = saved_models.write_examples_model(base, version)
    vocabulary = path / "assets" / "labels.txt"
    vocabulary.unlink()
    os.mkfifo(vocabulary)


def _futures(channel, name, requests):
    method = wire.METHODS[name]
    call = channel.unary_unary(
        method.path, method.request.SerializeToString, method.response.FromString
    )
    return [call.future(request, timeout=_DEADLINE_SECS) for request in requests]


def _slow(steps):
    request = wire.PredictRequest()
    request.model_spec.name = "default"
    request.model_spec.signature_name = "slow"
    request.inputs["n"].CopyFrom(wire.to_tensor_proto(steps))
    return request


def _states(channel):
    request = wire.GetModelStatusRequest()
    request.model_spec.name = "default"
    (future,) = _futures(channel, "GetModelStatus", [request])
    return {entry.version: entry.state for entry in future.result().model_version_status}


def test_calls_end_and_neither_a_load_nor_a_caller_holds_up_the_exit(tmp_path):
    base, staged = tmp_path / "model", tmp_path / "staged"
    saved_models.write_plain_model(base, 1)
    _write_endless_load(staged, 2)
    with running.run_server(base, "--grpc_max_threads=1", "--grace_secs=1000") as server:
        with grpc.insecure_channel(server.address) as channel:
            os.rename(staged / "2", base / "2")
            deadline = time.monotonic() + _DEADLINE_SECS
            while _states(channel) != {1: 30, 2: 20}:
                assert time.monotonic() < deadline, "version 2 is not being loaded"
                time.sleep(0.01)
            calls = _futures(channel, "Predict", [_slow(_STEPS)] * _QUEUED)
            # Calls of one connection come in their order, and one that is not there needs no thread: when it
            # has been refused, the others are all in the queue.
            with pytest.raises(grpc.RpcError):
                channel.unary_unary("/no/such", bytes, bytes)(b"", timeout=_DEADLINE_SECS)
            assert server.terminate(_DEADLINE_SECS) == 0
            answers = [call.result().outputs["steps"].int64_val for call in calls]
        assert answers == [[_STEPS]] * _QUEUED
        with grpc.insecure_channel(server.address) as channel:
            (refused,) = _futures(channel, "Predict", [_slow(_STEPS)])
            with pytest.raises(grpc.RpcError) as caught:
                refused.result()
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert "Traceback" not in server.log.read_text()


def test_second_signal_ends_it_at_once(tmp_path):
    saved_models.write_plain_model(tmp_path, 1)
    with running.run_server(tmp_path, "--grace_secs=1000") as server:
        with grpc.insecure_channel(server.address) as channel:
            (endless,) = _futures(channel, "Predict", [_slow(np.array(2**62, np.int64))])
            assert _states(channel) == {1: 30}
            server.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + _DEADLINE_SECS
            while "Got SIGTERM" not in server.log.read_text():
                assert time.monotonic() < deadline, "the signal did not arrive"
                time.sleep(0.01)
            assert server.process.poll() is None
            assert server.terminate() == 128 + signal.SIGTERM
            assert endless.exception() is not None
