"""RunConfig's distribution settings and the distribute coordinator: the same on TensorFlow 2.15 and through compat."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.distribute import distribute_config

from estimator_app import compat
from estimator_app.compat import versions
from tests import cluster as cluster_lib
from tests.estimator_app.compat import strategy_job

# After compat, which supplies it where TensorFlow has it no more.
from tensorflow.python.distribute import estimator_training  # isort: skip

STANDALONE, INDEPENDENT = "standalone_client", "independent_worker"

JOBS = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1"]}
LOCAL = {
    "mode": None,
    "cluster": {},
    "task": ("worker", 0),
    "master": "",
    "is_chief": True,
    "replicas": (1, 0),
    "global_id": 0,
}


def _strategy():
    return tf.distribute.MirroredStrategy(["/device:CPU:0"])


@pytest.fixture
def run_config(monkeypatch):
    """Returns a function that makes a RunConfig under a TF_CONFIG."""

    def make(tf_config, train=False, evaluate=False, remote=None, **kwargs):
        monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config))
        distribute = distribute_config.DistributeConfig(
            _strategy() if train else None, _strategy() if evaluate else None, remote
        )
        return compat.estimator.RunConfig(experimental_distribute=distribute, **kwargs)

    return make


def _settings(config):
    cluster = config.cluster_spec
    return {
        "mode": config._distribute_coordinator_mode,
        "cluster": cluster if isinstance(cluster, dict) else cluster.as_dict(),
        "task": (config.task_type, config.task_id),
        "master": config.master,
        "is_chief": config.is_chief,
        "replicas": (config.num_worker_replicas, config.num_ps_replicas),
        "global_id": config.global_id_in_cluster,
    }


def _tf_config(job, index, cluster=None):
    return {"cluster": cluster or JOBS, "task": {"type": job, "index": index}}


@pytest.mark.parametrize(
    "tf_config, arguments, expected",
    [
        ({}, {"train": True}, {}),
        ({"session_master": "grpc://m"}, {"train": True}, {"master": "grpc://m"}),
        # The coordinator: which task this is comes from it, when it runs.
        (_tf_config("chief", 0), {"train": True}, {"mode": INDEPENDENT, "cluster": JOBS}),
        (_tf_config("worker", 1), {"train": True}, {"mode": INDEPENDENT, "cluster": JOBS}),
        (_tf_config("evaluator", 0), {"train": True}, {"mode": INDEPENDENT, "cluster": JOBS}),
        (
            {"cluster": {"worker": ["b:1"]}},
            {"train": True},
            {"mode": INDEPENDENT, "cluster": {"worker": ["b:1"]}},
        ),
        ({}, {"train": True, "remote": JOBS}, {"mode": STANDALONE, "cluster": JOBS}),
        (
            {},
            {"train": True, "evaluate": True, "remote": JOBS},
            {"mode": STANDALONE, "cluster": JOBS},
        ),
        # Not the coordinator: no strategy to train with, or a cluster of the old kind.
        ({}, {"remote": JOBS}, {}),
        ({}, {"evaluate": True, "remote": JOBS}, {}),
        (
            _tf_config("worker", 1),
            {"evaluate": True},
            {
                "cluster": JOBS,
                "task": ("worker", 1),
                "master": "grpc://c:1",
                "is_chief": False,
                "replicas": (3, 1),
                "global_id": 2,
            },
        ),
        (
            _tf_config("ps", 0),
            {},
            {
                "cluster": JOBS,
                "task": ("ps", 0),
                "master": "grpc://d:1",
                "is_chief": False,
                "replicas": (3, 1),
                "global_id": 3,
            },
        ),
        (
            _tf_config("evaluator", 0),
            {"evaluate": True},
            {"task": ("evaluator", 0), "is_chief": False, "replicas": (0, 0), "global_id": None},
        ),
        (
            _tf_config("master", 0, {"master": ["a:1"], "ps": ["d:1"]}),
            {"train": True},
            {
                "cluster": {"master": ["a:1"], "ps": ["d:1"]},
                "task": ("master", 0),
                "master": "grpc://a:1",
                "replicas": (1, 1),
            },
        ),
    ],
)
def test_settings_from_tf_config(run_config, tf_config, arguments, expected):
    config = run_config(tf_config, **arguments)
    assert _settings(config) == {**LOCAL, **expected}
    assert bool(config.train_distribute) == arguments.get("train", False)
    assert bool(config.eval_distribute) == arguments.get("evaluate", False)


@pytest.mark.parametrize("name", ["train_distribute", "eval_distribute"])
def test_strategy_given_twice_is_refused(name):
    twice = distribute_config.DistributeConfig(**{name: _strategy()})
    with pytest.raises(ValueError, match=f"Either `{name}` or ?`experimental_distribute.{name}`"):
        compat.estimator.RunConfig(**{name: _strategy()}, experimental_distribute=twice)


@pytest.mark.parametrize(
    "tf_config, arguments, error, sentence",
    [
        (
            _tf_config("chief", 0),
            {"train": True, "remote": JOBS},
            ValueError,
            'Cannot set both "cluster_spec" of TF_CONFIG',
        ),
        ({"cluster": {"worker": ["b:1"]}}, {}, ValueError, 'it must have one "chief" node'),
        ({"cluster": {"chief": ["a:1", "b:1"]}}, {}, ValueError, 'must have only one "chief" node'),
        ({"cluster": JOBS}, {}, ValueError, "task type must be set"),
        ({"cluster": JOBS, "task": {"type": "chief"}}, {}, ValueError, "task index must be set"),
        (_tf_config("worker", -1), {}, ValueError, "Task index must be non-negative"),
        (_tf_config("worker", 2), {}, ValueError, "2 is not a valid task_id for task_type worker"),
        (_tf_config("gardener", 0), {}, ValueError, "gardener is not a valid task_type"),
        ({"task": {"type": "ps"}}, {"train": True}, ValueError, "task type must be WORKER"),
        ({"task": {"index": 1}}, {"train": True}, ValueError, "task index must be 0"),
        (
            {"service": []},
            {"train": True},
            TypeError,
            '"service" is set in TF_CONFIG, it must be a dict',
        ),
        ({"cluster": []}, {"train": True}, TypeError, "must be a dictionary"),
    ],
)
def test_wrong_tf_config_is_refused(run_config, tf_config, arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        run_config(tf_config, **{"evaluate": True, **arguments})


def test_coordinator_runs_with_a_strategy_and_a_cluster_only(run_config, caplog, monkeypatch):
    should_run = estimator_training.should_run_distribute_coordinator
    assert should_run(run_config(_tf_config("chief", 0), train=True))
    assert should_run(run_config({}, train=True, remote=JOBS))
    assert not should_run(run_config({}, train=True))
    assert not should_run(run_config(_tf_config("chief", 0), evaluate=True))
    assert not should_run(compat.estimator.RunConfig())

    config = run_config(_tf_config("chief", 0), train=True)
    config._cluster_spec = tf.train.ClusterSpec({})
    assert not should_run(config)
    config._distribute_coordinator_mode = "remotely"
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    with caplog.at_level(logging.WARNING):
        assert not should_run(config)
    assert "Unexpected distribute_coordinator_mode: 'remotely'" in caplog.text


def _model_fn(features, labels, mode):
    raise AssertionError("refused before any work is done")


def _data():
    raise AssertionError("refused before any work is done")


def test_train_and_evaluate_needs_a_mode(tmp_path):
    model = compat.estimator.Estimator(
        _model_fn, config=compat.estimator.RunConfig(str(tmp_path), train_distribute=_strategy())
    )
    with pytest.raises(ValueError, match="Distribute coordinator mode is not specified"):
        estimator_training.train_and_evaluate(model, None, None, None)


@pytest.mark.parametrize(
    "call, name", [("train", "[Ee]stimator.train"), ("evaluate", "Estimator.evaluate")]
)
def test_single_calls_are_refused_where_they_have_no_meaning(run_config, tmp_path, call, name):
    def calling(*args, **kwargs):
        config = run_config(*args, evaluate=True, model_dir=str(tmp_path), **kwargs)
        return getattr(compat.estimator.Estimator(_model_fn, config=config), call)

    with pytest.raises(ValueError, match="'evaluator' job is not supported"):
        calling({}, train=True, remote={"worker": ["b:1"], "evaluator": ["e:1"]})(_data)
    with pytest.raises(ValueError, match=f"Only `STANDALONE_CLIENT` mode .* you call `{name}`"):
        calling(_tf_config("chief", 0), train=True)(_data)


@pytest.mark.parametrize("call", ["train", "evaluate"])
def test_single_calls_are_refused_with_one_graph_a_worker(monkeypatch, tmp_path, call):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    # Its warning of not knowing a cluster
    monkeypatch.setattr(tf.get_logger(), "disabled", True)
    strategy = tf.compat.v1.distribute.experimental.ParameterServerStrategy()
    config = compat.estimator.RunConfig(
        str(tmp_path),
        experimental_distribute=distribute_config.DistributeConfig(strategy, strategy, JOBS),
    )
    model = compat.estimator.Estimator(_model_fn, config=config)
    with pytest.raises(ValueError, match=f"Estimator.{call}` API is not supported for Para"):
        getattr(model, call)(_data)


@pytest.mark.parametrize(
    "strategies, flags",
    [
        (("mirrored", "central_storage"), ("--cpus=2", "--replicas=2", "--evaluate_with_it")),
        # The first has to configure the runtime before it starts.
        (("multi_worker", "parameter_server"), ("--evaluate_with_it",)),
    ],
    ids=["two replicas", "one replica"],
)
def test_strategies_in_one_process_do_plain_gradient_descent(tmp_path, strategies, flags):
    command = [sys.executable, strategy_job.__file__, str(tmp_path), *strategies, *flags]
    subprocess.run(command, check=True)
    expected = {
        name: pytest.approx(values, rel=1e-5)
        for name, values in strategy_job.expected_weights().items()
    }
    for strategy in strategies:
        directory = tmp_path / strategy
        weights = json.loads((directory / "weights-only-0.json").read_text(encoding="utf-8"))
        assert weights == expected, strategy
        assert len(list((directory / "model" / "export" / "parsing").iterdir())) == 1


@pytest.fixture
def client(monkeypatch, tmp_path):
    """An Estimator whose RunConfig names a remote cluster: two servers, here in this process."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    cluster = cluster_lib.addresses({"worker": 2})
    servers = [tf.distribute.Server(cluster, "worker", index) for index in range(2)]
    strategy = tf.distribute.MirroredStrategy(cross_device_ops=tf.distribute.ReductionToOneDevice())
    config = compat.estimator.RunConfig(
        str(tmp_path),
        experimental_distribute=distribute_config.DistributeConfig(strategy, strategy, cluster),
    )
    yield strategy_job.make_model(config)
    del servers


# tf.data's notice about strategies in graphs
@pytest.mark.filterwarnings("ignore:To make it possible to preserve tf.data options")
def test_remote_cluster_is_driven_by_its_client(client):
    client.train(strategy_job.make_input_fn(2, repeat=True), max_steps=strategy_job.STEPS)
    expected = strategy_job.expected_weights()
    for name, values in expected.items():
        assert client.get_variable_value(name).ravel() == pytest.approx(values, rel=1e-5)
    metrics = client.evaluate(strategy_job.make_input_fn(2))
    assert metrics["global_step"] == strategy_job.STEPS
    slope, bias = (values[0] for values in expected.values())
    error = np.mean((slope * strategy_job.X + bias - strategy_job.Y) ** 2)
    assert metrics["average_loss"] == pytest.approx(error, rel=1e-4)


def test_client_of_a_remote_cluster_raises_what_its_input_raises(client):
    def input_fn():
        raise LookupError("no such file")

    with pytest.raises(LookupError, match="no such file"):
        client.train(input_fn, max_steps=1)


@pytest.mark.skipif(
    versions.has_own_estimator(tf.__version__), reason="TensorFlow 2.15's own accepts it, and hangs"
)
def test_multi_worker_strategy_with_a_remote_cluster_is_refused(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    distribute = distribute_config.DistributeConfig(
        tf.distribute.MultiWorkerMirroredStrategy(), None, {"worker": ["a:1", "b:1"]}
    )
    with pytest.raises(ValueError) as error:
        compat.estimator.RunConfig(experimental_distribute=distribute)
    assert "Expected a strategy that one client can drive" in str(error.value)
    assert "Start the program once a worker, with TF_CONFIG." in str(error.value)
