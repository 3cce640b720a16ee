"""Several processes on the same ports: they share the calls, come back when they die, and end together."""

import signal
import subprocess
import time
import urllib.request

import grpc
import numpy as np
import psutil
import pytest

from serving_client import wire
from tests import running, saved_models

_DEADLINE_SECS = 60.0
_CALLS = 33


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("plain")
    saved_models.write_plain_model(base, 5)
    return base


def _ask(address):
    """One Predict over a connection of its own; gives the answer."""
    method = wire.METHODS["Predict"]
    request = wire.PredictRequest()
    request.model_spec.name = "default"
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[3.0]])))
    # Channels to one address otherwise share a connection.
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(address, options) as channel:
        call = channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        response = call(request, timeout=_DEADLINE_SECS, wait_for_ready=True)
    return wire.to_array(response.outputs["y"]).tolist()


def _workers(server):
    return [
        child
        for child in psutil.Process(server.process.pid).children()
        if child.status() != psutil.STATUS_ZOMBIE
    ]


def _answered(server):
    """How many requests the process that this connection reaches has answered."""
    url = f"http://{server.host}:{server.rest_port}/monitoring/prometheus/metrics"
    with urllib.request.urlopen(url, timeout=_DEADLINE_SECS) as page:
        lines = page.read().decode().splitlines()
    counts = [line for line in lines if line.startswith(":tensorflow:serving:request_count{")]
    return sum(int(line.rsplit(" ", 1)[1]) for line in counts)


def _eventually(condition):
    deadline = time.monotonic() + _DEADLINE_SECS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_processes_share_the_ports_come_back_and_end_together(base, tmp_path):
    config = tmp_path / "monitoring.txt"
    config.write_text("prometheus_config { enable: true }")
    flags = (
        "--num_processes=2",
        "--rest_api_port=-1",
        f"--monitoring_config_file={config}",
        "--file_system_poll_wait_seconds=0",
    )
    with running.run_server(base, *flags) as server:
        assert ", 2 processes" in server.log.read_text()
        workers = _workers(server)
        assert len(workers) == 2
        # The kernel picks a process by a hash of the connection: of many, both get some. Of an odd number,
        # they get different ones, which tells their pages apart.
        for _ in range(_CALLS):
            assert _ask(server.address) == [[6.0]]
        answered = set()
        _eventually(lambda: answered.add(_answered(server)) or len(answered) == 2)
        assert min(answered) > 0 and sum(answered) == _CALLS
        for _ in range(4):
            url = f"http://{server.host}:{server.rest_port}/v1/models/default"
            with urllib.request.urlopen(url, timeout=_DEADLINE_SECS) as answer:
                assert b'"AVAILABLE"' in answer.read()

        method = wire.METHODS["HandleReloadConfigRequest"]
        with grpc.insecure_channel(server.address) as channel:
            call = channel.unary_unary(
                method.path, method.request.SerializeToString, method.response.FromString
            )
            request = wire.ReloadConfigRequest()
            request.config.model_config_list.SetInParent()
            with pytest.raises(grpc.RpcError) as refused:
                call(request, timeout=_DEADLINE_SECS)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "Expected one process for HandleReloadConfigRequest" in refused.value.details()

        workers[0].kill()
        _eventually(lambda: workers[0] not in _workers(server) and len(_workers(server)) == 2)
        assert _ask(server.address) == [[6.0]]
        assert "ended with exit code -9: starting another in 0 s." in server.log.read_text()
        workers = _workers(server)
        assert server.terminate() == 0
        assert not any(worker.is_running() for worker in workers)


def test_a_start_that_fails_says_once_why(tmp_path):
    saved_models.write_plain_model(tmp_path, 1)
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"no model")
    command = running.serve_command(
        tmp_path, "--num_processes=2", "--max_num_load_retries=0", "--settle_secs=0"
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_SECS)
    assert done.returncode == 255
    assert done.stdout.count("Failed to start server. Error: UNKNOWN: 1 servable(s)") == 1


def test_workers_end_when_the_supervisor_is_killed(base):
    with running.run_server(base, "--num_processes=2") as server:
        workers = _workers(server)
        server.process.send_signal(signal.SIGKILL)
        gone, alive = psutil.wait_procs(workers, _DEADLINE_SECS)
        assert not alive and len(gone) == 2


def test_a_port_that_is_in_use_is_refused_before_a_worker_starts(base):
    with running.run_server(base) as server:
        command = running.serve_command(base, "--num_processes=2", f"--port={server.port}")
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_SECS)
    assert done.returncode == 255
    assert f"Expected port {server.port} of 127.0.0.1 to be free, found it in use." in done.stdout


def test_a_unix_socket_cannot_be_shared(base, tmp_path):
    command = running.serve_command(base, "--num_processes=2", f"--grpc_socket_path={tmp_path}/s")
    done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_SECS)
    assert done.returncode == 255
    assert "Expected no --grpc_socket_path with --num_processes above 1" in done.stdout
