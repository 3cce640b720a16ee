"""A job on parameter servers, from TF_CONFIG, each task a process of its own."""

from __future__ import annotations

import re
import sys

from estimator_app import job_dir
from export import versions
from tests import cluster as cluster_lib


def _command(files, model_dir):
    return [
        *(sys.executable, "-m", "estimator_app.main"),
        *(f"--train_data={files.train}", f"--eval_data={files.eval}", "--label_column=income"),
        *("--model=dnn", "--hidden_units=8", "--max_steps=200", "--save_checkpoints_steps=100"),
        f"--model_dir={model_dir}",
    ]


def test_tasks_share_one_job_and_parameter_servers_end_with_it(narrow_census, tmp_path):
    jobs = {"chief": 1, "worker": 1, "ps": 2}
    with cluster_lib.running(_command(narrow_census, f"{tmp_path}/job"), jobs, tmp_path) as cluster:
        cluster.wait()

    for task in ("chief:0", "worker:0"):
        step = re.search(r"trained     to step (\d+)", cluster.output(task))
        assert step and int(step[1]) >= 200, cluster.output(task)
    assert "evaluated at step" in cluster.output("evaluator:0")
    assert len(versions.list_versions(f"{tmp_path}/job/export")) == 1
    result = job_dir.read_result(f"{tmp_path}/job")
    assert result["global_step"] >= 200 and 0 < result["metrics"]["accuracy"] <= 1


def test_tasks_that_come_after_the_end_do_what_is_theirs(narrow_census, tmp_path):
    command = _command(narrow_census, f"{tmp_path}/job")
    jobs = {"chief": 1, "worker": 1, "ps": 1}
    late = ["worker:0", "evaluator:0"]
    with cluster_lib.running(command, jobs, tmp_path, late=late) as cluster:
        cluster.wait(except_for=["ps:0"])
        assert cluster.processes["ps:0"].poll() is None
        cluster.start("worker:0")
        cluster.wait()  # the parameter server, too
        assert not versions.list_versions(f"{tmp_path}/job/export")
        cluster.start("evaluator:0")
        cluster.wait()
        assert len(versions.list_versions(f"{tmp_path}/job/export")) == 1
        cluster.start("evaluator:0")
        cluster.wait()
        assert "already finished" in cluster.output("evaluator:0")
