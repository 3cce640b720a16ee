"""A TF_CONFIG cluster on loopback, each task a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import time


def free_ports(count: int) -> list[int]:
    """Returns ports that were free a moment ago; a cluster has to know its addresses before its tasks start."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def addresses(jobs: Mapping[str, int]) -> dict[str, list[str]]:
    """Returns TF_CONFIG's "cluster" for so many tasks of each job."""
    ports = iter(free_ports(sum(jobs.values())))
    return {job: [f"127.0.0.1:{next(ports)}" for _ in range(count)] for job, count in jobs.items()}


class Cluster:
    """Running tasks, by name: `"worker:1"`.

    Attributes:
      processes: name -> process.
    """

    def __init__(
        self, command: Sequence[str], tf_config: Mapping[str, object], log_dir: pathlib.Path
    ) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._command = command
        self._tf_config = tf_config
        self._log_dir = log_dir

    def start(self, name: str) -> None:
        """Starts one task; `name` is told to it as its place in the cluster."""
        job, index = name.split(":")
        task = {"type": job, "index": int(index)}
        with self._log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                self._command,
                env={**os.environ, "TF_CONFIG": json.dumps({**self._tf_config, "task": task})},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def output(self, name: str) -> str:
        """Returns what the task has printed."""
        return self._log(name).read_text(encoding="utf-8", errors="replace")

    def wait(self, except_for: Sequence[str] = (), timeout_secs: float = 240) -> None:
        """Waits until every task, `except_for` some, has ended by itself, with success."""
        deadline = time.monotonic() + timeout_secs
        for name, process in self.processes.items():
            if name in except_for:
                continue
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{name} has not ended: {self.output(name)}") from None
            assert process.returncode == 0, f"{name}: {self.output(name)}"

    def _log(self, name: str) -> pathlib.Path:
        return self._log_dir / f"{name.replace(':', '-')}.log"


@contextlib.contextmanager
def running(
    command: Sequence[str],
    jobs: Mapping[str, int],
    log_dir: pathlib.Path,
    outside: Sequence[str] = ("evaluator:0",),
    late: Sequence[str] = (),
) -> Iterator[Cluster]:
    """Starts `command` once for each task; what still runs in the end is killed.

    Args:
      command: the program, the same for every task.
      jobs: job -> number of its tasks.
      log_dir: where the tasks' output goes.
      outside: tasks that the cluster does not list, as TensorFlow's guides have the evaluator.
      late: tasks that the caller starts.
    """
    cluster = Cluster(command, {"cluster": addresses(jobs)}, log_dir)
    inside = [f"{job}:{index}" for job, count in jobs.items() for index in range(count)]
    try:
        for name in (*inside, *outside):
            if name not in late:
                cluster.start(name)
        yield cluster
    finally:
        for process in cluster.processes.values():
            process.kill()
        for process in cluster.processes.values():
            process.wait()
