"""Servers for tests: `run_server` starts `estimator-serve` as a process of its own."""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

_POLL_SECS = 0.05


@dataclasses.dataclass(frozen=True)
class RunningServer:
    """A server process that serves.

    Attributes:
        process: the process; its standard output and error go to `log`.
        host: address that it listens on.
        port: gRPC port.
        rest_port: REST port, or None.
        log: path of what it has printed.
    """

    process: subprocess.Popen
    host: str
    port: int
    rest_port: int | None
    log: pathlib.Path

    @property
    def address(self) -> str:
        """`host:port` for gRPC clients."""
        return f"{self.host}:{self.port}"

    def terminate(self, timeout_secs: float = 30.0) -> int:
        """Sends SIGTERM and gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_secs)


def serve_command(model_base_path: str | pathlib.Path, *flags: str) -> list[str]:
    """The command line of a server on a free port; `flags` may override what it says."""
    module = [sys.executable, "-m", "estimator_app.serve_main"]
    return [*module, "--port=0", f"--model_base_path={model_base_path}", *flags]


@contextlib.contextmanager
def run_server(
    model_base_path: str | pathlib.Path, *flags: str, timeout_secs: float = 90.0
) -> Iterator[RunningServer]:
    """Starts `estimator-serve`, waits until it serves, and kills it at the end.

    Args:
        model_base_path: the directory that holds the versions.
        *flags: more flags, such as `--model_name=census` or `--rest_api_port=-1`.
        timeout_secs: how long the start may take, in seconds.

    Raises:
        RuntimeError: it ended or did not serve in time; the message holds what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="server-") as folder:
        log = pathlib.Path(folder, "log.txt")
        port_file = pathlib.Path(folder, "ports.json")
        command = serve_command(model_base_path, f"--port_file={port_file}", *flags)
        with open(log, "wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + timeout_secs
            while not port_file.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"Expected {' '.join(command)} to serve within {timeout_secs} s, found "
                        f"exit code {process.poll()}. It printed:\n{log.read_text()}"
                    )
                time.sleep(_POLL_SECS)
            chosen = json.loads(port_file.read_text())
            yield RunningServer(process, chosen["host"], chosen["port"], chosen["rest_port"], log)
        finally:
            process.kill()
            process.wait()
