"""Several server processes on the same ports: Python runs one thread at a time, so one process uses one core.

The kernel hands each new connection to one of the processes (SO_REUSEPORT); a supervisor, which loads no model itself,
starts another one for each that dies, and stops them all when it is stopped.
"""

import ctypes
import dataclasses
import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any, Sequence

from estimator_app.serving import ports
from estimator_app.serving import settings as serving_settings

_MODULE = "estimator_app.serve_main"
_STOP = (signal.SIGTERM, signal.SIGINT)
_LOOK_SECS = 0.2
# A worker that dies so soon after its start is waited for, ever longer.
_SOON_SECS = 30.0
_FIRST_WAIT_SECS, _LONGEST_WAIT_SECS = 1.0, 30.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


@dataclasses.dataclass
class _Worker:
    """One place for a process.

    Attributes:
        number: from 1.
        port_file: what its process writes when it serves.
        output: what its process prints.
        process: the one that has the place now, if there is one.
        started: when that was started.
        due: not before when the next one is started.
        wait_secs: how long to wait should the next one die soon.
    """

    number: int
    port_file: pathlib.Path
    output: pathlib.Path
    process: subprocess.Popen | None = None
    started: float = 0.0
    due: float = 0.0
    wait_secs: float = 0.0


class Supervisor:
    """Keeps as many workers as the settings say."""

    def __init__(
        self, arguments: Sequence[str], settings: serving_settings.ServerSettings, folder: str
    ) -> None:
        """Takes the ports, so that each is known before there is a worker.

        Args:
            arguments: the command line's flags.
            settings: what they say.
            folder: a directory for files of the workers.

        Raises:
            errors.ServableError: a port is in use.
        """
        self._reserved: list[socket.socket] = []
        grpc_port = self._reserve(settings.host, settings.port, "port")
        # Later flags win.
        self._arguments = [*arguments, "--num_processes=1", "--reuse_port", f"--port={grpc_port}"]
        if settings.rest_api_port:
            port = max(settings.rest_api_port, 0)
            rest_port = self._reserve(settings.host, port, "rest_api_port")
            self._arguments.append(f"--rest_api_port={rest_port}")
        place = pathlib.Path(folder)
        self._workers = [
            _Worker(number, place / f"{number}.json", place / f"{number}.txt")
            for number in range(1, settings.num_processes + 1)
        ]

    def start(self) -> str | None:
        """Starts the workers and waits until all of them serve.

        Returns:
            why they do not, as the worker says it, or None; "" if a signal came first.
        """
        for worker in self._workers:
            self._start(worker)
        while not all(worker.port_file.exists() for worker in self._workers):
            if _signal_within(_LOOK_SECS):
                return ""
            for worker in self._workers:
                assert worker.process is not None
                if worker.process.poll() is not None:
                    return _failure(worker)
        return None

    def serving(self) -> tuple[str, dict[str, Any]]:
        """The line that a worker printed when it served, and what its port file says."""
        first = self._workers[0]
        lines = first.output.read_text(encoding="utf-8").splitlines()
        line = next((line for line in lines if line.startswith("Serving ")), "Serving")
        return line, json.loads(first.port_file.read_text(encoding="utf-8"))

    def keep(self) -> None:
        """Starts another worker for each that ends, until a signal comes."""
        while not _signal_within(_LOOK_SECS):
            now = time.monotonic()
            for worker in self._workers:
                if worker.process is not None and worker.process.poll() is not None:
                    self._note_end(worker, now)
                if worker.process is None and worker.due <= now:
                    self._start(worker)

    def stop(self) -> int:
        """Lets the workers end their calls; a further signal ends them at once.

        Returns:
            the exit code: 0, or what that signal stands for.
        """
        processes = [worker.process for worker in self._workers if worker.process is not None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        while any(process.poll() is None for process in processes):
            number = _signal_within(_LOOK_SECS)
            if number:
                for process in processes:
                    process.kill()
                return 128 + number
        for reserved in self._reserved:
            reserved.close()
        return 0

    def _reserve(self, host: str, port: int, flag: str) -> int:
        """Binds a port, which keeps others from it; it does not listen, so it gets no connection."""
        if port:
            # Only without sharing does the kernel say whether another server has it.
            ports.bind(host, port, flag).close()
        self._reserved.append(ports.bind(host, port, flag, shared=True))
        return self._reserved[-1].getsockname()[1]

    def _start(self, worker: _Worker) -> None:
        worker.port_file.unlink(missing_ok=True)
        with open(worker.output, "wb") as output:
            worker.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", _MODULE, *self._arguments),
                    f"--port_file={worker.port_file}",
                ],
                stdout=output,
                # Ctrl-C is for the supervisor, which passes it on once.
                start_new_session=True,
                preexec_fn=_end_with_supervisor,
            )
        worker.started = time.monotonic()

    def _note_end(self, worker: _Worker, now: float) -> None:
        assert worker.process is not None
        soon = now - worker.started < _SOON_SECS
        wait_secs = worker.wait_secs if soon else 0.0
        worker.wait_secs = min(max(2 * wait_secs, _FIRST_WAIT_SECS), _LONGEST_WAIT_SECS)
        worker.due = now + wait_secs
        print(
            f"Process {worker.number} of {len(self._workers)} ended with exit code "
            f"{worker.process.returncode}: starting another in {wait_secs:g} s.",
            flush=True,
        )
        worker.process = None


def supervise(
    arguments: Sequence[str],
    settings: serving_settings.ServerSettings,
    on_serving: Any,
) -> tuple[int, str]:
    """Serves with several processes until a signal comes.

    Args:
        arguments: the command line's flags.
        settings: what they say.
        on_serving: is called with what `Supervisor.serving` gives once all serve.

    Returns:
        0 or the exit code of a second signal, and ""; or 255 and why they could not start.

    Raises:
        errors.ServableError: a port is in use.
        OSError: from on_serving.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    with tempfile.TemporaryDirectory(prefix="estimator-serve-") as folder:
        supervisor = Supervisor(arguments, settings, folder)
        try:
            failure = supervisor.start()
            if failure is None:
                on_serving(*supervisor.serving())
                supervisor.keep()
        finally:
            code = supervisor.stop()
    return (255, failure) if failure else (code, "")


def _signal_within(secs: float) -> int:
    """The number of a signal to stop that came within some seconds, else 0."""
    found = signal.sigtimedwait(_STOP, secs)
    return 0 if found is None else found.si_signo


def _failure(worker: _Worker) -> str:
    """What a worker printed of its failed start."""
    lines = worker.output.read_text(encoding="utf-8", errors="replace").splitlines()
    assert worker.process is not None
    told = [line for line in lines if line.startswith("Failed to start server.")]
    return told[-1] if told else f"A process ended with exit code {worker.process.returncode}."


def _end_with_supervisor() -> None:
    """In a new worker: no signal is blocked, and SIGTERM comes when the supervisor dies."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
