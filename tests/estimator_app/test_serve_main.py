"""`estimator-serve` as a process: start, answers, refusals, signals."""

import dataclasses
import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

from absl import flags
import grpc
import numpy as np
import pytest

from estimator_app import serve_flags
from estimator_app.serving import settings as serving_settings
from serving_client import wire
from tests import running, saved_models

_TIMEOUT_SECS = 90.0


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("served")
    saved_models.write_plain_model(path, 7)
    return path


def _run(*args):
    command = [sys.executable, "-m", "estimator_app.serve_main", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECS)


def _predict(address, signature, model="default", **inputs):
    """Sends one Predict and gives the future of its response."""
    request = wire.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(wire.to_tensor_proto(value))
    method = wire.METHODS["Predict"]
    channel = grpc.insecure_channel(address)
    call = channel.unary_unary(
        method.path, method.request.SerializeToString, method.response.FromString
    )
    return call.future(request, timeout=_TIMEOUT_SECS)


def test_every_setting_has_a_flag_with_its_default():
    for field in dataclasses.fields(serving_settings.ServerSettings):
        assert flags.FLAGS[field.name].default == field.default
        assert any(field.name in names for names in serve_flags.GROUPS.values())


def test_help_needs_no_tensorflow():
    program = (
        "import sys\n"
        "from estimator_app import serve_main\n"
        "sys.argv = ['estimator-serve', '--help']\n"
        "try:\n"
        "    serve_main.cli()\n"
        "except SystemExit as end:\n"
        "    heavy = {'tensorflow', 'grpc', 'numpy', 'uvicorn'} & set(sys.modules)\n"
        "    print('exit', end.code, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "--model_base_path=..." in done.stdout
    assert done.stdout.splitlines()[-1] == "exit 0 set()", done.stderr


def test_version_names_both():
    done = _run("--version")
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("TensorFlow ModelServer: ")
    assert second.startswith("TensorFlow Library: 2.")


@pytest.mark.parametrize(
    "args, error",
    [
        (
            [],
            "INVALID_ARGUMENT: Both server_options.model_base_path and "
            "server_options.model_config_file are empty!",
        ),
        (
            ["--model_base_path=models/census", "--model_name=census"],
            "INVALID_ARGUMENT: Expected model census to have an absolute path or URI; "
            "got base_path()=models/census",
        ),
        (
            ["--model_base_path=/models", "--port=70000"],
            "INVALID_ARGUMENT: Expected --port to be 0 to 65535, found 70000.",
        ),
    ],
)
def test_wrong_settings_are_refused(args, error):
    done = _run(*args)
    assert done.returncode == 255
    assert done.stdout == f"Failed to start server. Error: {error}\n"


def test_value_that_does_not_parse_shows_the_usage():
    done = _run("--port=many")
    assert done.returncode == 255
    assert "flag --port=many" in done.stdout and "--model_base_path=..." in done.stdout
    assert "Traceback" not in done.stderr


def test_place_of_the_port_file_is_checked_before_the_model_is_loaded(tmp_path):
    path = tmp_path / "none" / "port.json"
    done = _run(f"--model_base_path={tmp_path}/no_model", "--port=0", f"--port_file={path}")
    assert done.returncode == 255
    assert done.stdout == (
        f"Failed to start server. Error: INVALID_ARGUMENT: Expected --port_file={path} to be a file "
        "that can be written: No such file or directory. Choose a path in a directory that exists.\n"
    )
    done = _run(f"--model_base_path={tmp_path}/no_model", "--port=0", f"--port_file={tmp_path}")
    assert done.returncode == 255
    assert "to be a file that can be written: Is a directory." in done.stdout
    assert "Traceback" not in done.stderr


def test_port_file_that_cannot_be_written_ends_the_server(base):
    done = _run(f"--model_base_path={base}", "--port=0", "--port_file=/proc/port.json")
    assert done.returncode == 255
    assert "INVALID_ARGUMENT: Expected --port_file=/proc/port.json to be a file" in done.stdout
    assert "Traceback" not in done.stderr


def test_broken_model_fails_the_start(tmp_path):
    (tmp_path / "1").mkdir()
    done = _run(*running.serve_command(tmp_path, "--max_num_load_retries=0")[3:])
    assert done.returncode == 255
    assert done.stdout == (
        "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: {{{name: "
        "default version: 1} due to error: NOT_FOUND: Specified file path does not appear to "
        "contain a SavedModel bundle (should have a file called `saved_model.pb`)\n"
        f"Specified file path: {tmp_path}/1}}, }}\n"
    )
    assert "Traceback" not in done.stderr


def test_port_in_use_is_named(base):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run(f"--model_base_path={base}", f"--port={port}")
    assert done.returncode == 255
    assert done.stdout == (
        f"Failed to start server. Error: UNAVAILABLE: Expected port {port} of 127.0.0.1 to be "
        "free, found it in use. Stop the program that uses it, or choose another --port.\n"
    )


# All that a server may write, where nothing is wrong; in 2.18 to 2.20 the last is under no log level.
ALL_THAT_A_SERVER_SAYS = re.compile(
    r"Serving plain version 7: gRPC 127\.0\.0\.1:\d+, REST 127\.0\.0\.1:\d+"
    r"|Got SIGTERM: taking no more calls\."
    r"|I\d{4} .* (?:models|model_table|server|warm_up)\.py:\d+\] .*"
    r"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    r"|I0000 .* MLIR V1 optimization pass is not enabled"
)


def test_serves_says_what_is_its_own_and_lets_a_call_end_at_sigterm(base, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")  # which the tests themselves set to have quiet logs
    flags = ("--model_name=plain", "--rest_api_port=-1", "--grace_secs=60")
    with running.run_server(base, *flags) as server:
        response = _predict(server.address, "", "plain", x=np.float32([[2.0]])).result()
        assert response.outputs["y"].float_val == [4.0]
        assert server.rest_port not in (None, server.port)

        steps = np.array(1_000_000, np.int64)
        _predict(server.address, "slow", "plain", n=np.array(1, np.int64)).result()  # warm
        call = _predict(server.address, "slow", "plain", n=steps)
        _wait_until_busy(server)
        assert server.terminate() == 0
        assert call.result().outputs["steps"].int64_val == [steps]
        lines = server.log.read_text().splitlines()
    serving = f"gRPC {server.address}, REST 127.0.0.1:{server.rest_port}"
    assert f"Serving plain version 7: {serving}" in lines
    assert "Got SIGTERM: taking no more calls." in lines
    assert [line for line in lines if not ALL_THAT_A_SERVER_SAYS.fullmatch(line)] == []


def test_sigint_ends_a_server_that_waits_for_its_model_and_has_said_what_flag_it_does_not_know(
    tmp_path,
):
    command = running.serve_command(tmp_path / "none", "--foo=bar")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        lines = itertools.takewhile(
            lambda line: b"Could not find base path" not in line, process.stdout
        )
        assert b"unknown argument: --foo=bar\n" in list(lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(_TIMEOUT_SECS) == 0


def test_needs_neither_estimators_nor_compat(base):
    program = (
        "import sys, threading\n"
        "from estimator_app.serving import server, settings\n"
        "chosen = settings.ServerSettings(port=0, rest_api_port=-1, model_base_path=sys.argv[1])\n"
        "with server.ModelServer(chosen): pass\n"
        "print(sorted(name for name in sys.modules if name.startswith(\n"
        "    ('tensorflow_estimator', 'estimator_app.compat', 'estimator_app.training'))))\n"
    )
    command = [sys.executable, "-c", program, str(base)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def _wait_until_busy(server):
    """Waits until the process computes: a call has arrived in it."""
    ticks = os.sysconf("SC_CLK_TCK")

    def cpu_secs():
        fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1]
        return sum(int(field) for field in fields.split()[11:13]) / ticks

    before, deadline = cpu_secs(), time.monotonic() + _TIMEOUT_SECS
    while cpu_secs() < before + 0.1:
        assert time.monotonic() < deadline, "the call did not arrive"
        time.sleep(0.01)
