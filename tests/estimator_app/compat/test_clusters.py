"""Strategies over several processes: train, evaluate, export, each task a process of its own."""

import copy
import json
import sys

import pytest
import tensorflow as tf

from tests import cluster as cluster_lib
from tests.estimator_app.compat import strategy_job
from tests.estimator_app.compat.strategy_job import STEPS


def _command(directory, *arguments):
    return [sys.executable, strategy_job.__file__, str(directory), *arguments]


def _weights(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_workers_end_with_the_same_weights_and_one_checkpoint(tmp_path):
    command = _command(tmp_path, "multi_worker", "--evaluate_with_it", "--replicas=2")
    with cluster_lib.running(command, {"chief": 1, "worker": 1}, tmp_path) as cluster:
        cluster.wait()

    directory = tmp_path / "multi_worker"
    weights = _weights(directory / "weights-chief-0.json")
    assert weights == _weights(directory / "weights-worker-0.json")
    for name, values in strategy_job.expected_weights().items():
        assert weights[name] == pytest.approx(values, rel=1e-5)

    model_dir = directory / "model"
    assert tf.train.latest_checkpoint(str(model_dir)) == f"{model_dir}/model.ckpt-{STEPS}"
    saved = tf.train.load_variable(str(model_dir), "linear/linear_model/x/weights")
    assert saved.ravel().tolist() == weights["linear/linear_model/x/weights"]
    (events,) = (model_dir / "eval").glob("events.*")
    steps = {
        event.step
        for event in tf.compat.v1.train.summary_iterator(str(events))
        if any(value.tag == "average_loss" for value in event.summary.value)
    }
    assert STEPS in steps
    (version,) = (model_dir / "export" / "parsing").iterdir()
    tf.saved_model.load(str(version))


def test_parameter_server_strategy_trains_in_a_cluster(tmp_path):
    command = _command(tmp_path, "parameter_server")
    jobs = {"chief": 1, "worker": 1, "ps": 1}
    with cluster_lib.running(command, jobs, tmp_path) as cluster:
        # TensorFlow's own parameter servers, of a strategy, wait for ever.
        cluster.wait(except_for=("ps:0",))
    model_dir = tmp_path / "parameter_server" / "model"
    assert int(tf.train.latest_checkpoint(str(model_dir)).rsplit("-", 1)[1]) >= STEPS
    assert len(list((model_dir / "export" / "parsing").iterdir())) == 1


@pytest.mark.parametrize("jobs", [{"worker": 2}, {"worker": 2, "evaluator": 1}])
def test_multi_worker_strategy_of_an_evaluator_is_local(monkeypatch, jobs):
    task = {"type": "evaluator", "index": 0}
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": cluster_lib.addresses(jobs), "task": task})
    )
    # Its notice that the runtime of this process has started already
    monkeypatch.setattr(tf.get_logger(), "disabled", True)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    assert copy.deepcopy(strategy).num_replicas_in_sync == 1
    assert strategy.cluster_resolver.task_type == "evaluator"
