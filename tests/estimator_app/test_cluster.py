"""A parameter server cluster from TF_CONFIG, each task a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys

from export import versions


def free_ports(count):
    """Returns ports that were free a moment ago; a cluster has to know its addresses before its tasks start."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def test_chief_worker_and_evaluator_share_one_job(census, tmp_path):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    cluster = {job: [address] for job, address in zip(("chief", "worker", "ps"), addresses)}
    command = [
        *(sys.executable, "-m", "estimator_app.main"),
        *(f"--train_data={census.train}", f"--eval_data={census.eval}", "--label_column=income"),
        *("--model=dnn", "--hidden_units=8", "--max_steps=200", "--save_checkpoints_steps=100"),
        f"--model_dir={tmp_path}/job",
    ]
    with contextlib.ExitStack() as stack:
        processes = {}
        for task in ("ps", "chief", "worker", "evaluator"):
            tf_config = json.dumps({"cluster": cluster, "task": {"type": task, "index": 0}})
            process = subprocess.Popen(
                command,
                env={**os.environ, "TF_CONFIG": tf_config},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes[task] = process
        outputs = {}
        for task in ("chief", "worker", "evaluator"):
            outputs[task] = processes[task].communicate(timeout=240)[0]
            assert processes[task].returncode == 0, outputs[task]
        # A parameter server serves until it is told to end.
        processes["ps"].send_signal(signal.SIGTERM)
        processes["ps"].communicate(timeout=60)

    steps = {
        task: re.search(r"trained     to step (\d+)", outputs[task]) for task in ("chief", "worker")
    }
    assert all(step and int(step[1]) >= 200 for step in steps.values()), outputs
    assert "evaluated at step" in outputs["evaluator"]
    assert len(versions.list_versions(f"{tmp_path}/job/export")) == 1
