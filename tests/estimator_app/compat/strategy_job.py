"""A small regression under a distribution strategy, to be run as a program: by itself, or as each task of a cluster.

Several strategies are run one after the other, each in a directory of its name.

Whatever the strategy, a synchronous step sees the same 16 rows, so that every one has to end with the weights of
`expected_weights`.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib

from estimator_app.compat import estimator, keras

import numpy as np  # isort: skip  (TensorFlow after compat, as in the guides)
import tensorflow as tf  # isort: skip

ROWS_PER_STEP = 16
STEPS = 20
LEARNING_RATE = 0.1

X = np.linspace(-1, 1, 64, dtype=np.float32)
Y = 3 * X + 1
COLUMNS = [tf.feature_column.numeric_column("x")]


def expected_weights():
    """Returns what gradient descent in NumPy comes to."""
    slope = bias = 0.0
    for step in range(STEPS):
        rows = np.arange(step * ROWS_PER_STEP, (step + 1) * ROWS_PER_STEP) % len(X)
        error = slope * X[rows] + bias - Y[rows]
        slope -= LEARNING_RATE * 2 * np.mean(error * X[rows])
        bias -= LEARNING_RATE * 2 * np.mean(error)
    return {"linear/linear_model/x/weights": [slope], "linear/linear_model/bias_weights": [bias]}


def make_strategy(name):
    v1 = tf.compat.v1.distribute.experimental

    def cpus():  # starts the runtime, which a multi-worker strategy has to configure before
        return [device.name for device in tf.config.list_logical_devices("CPU")]

    makers = {
        "none": lambda: None,
        "mirrored": lambda: tf.distribute.MirroredStrategy(cpus()),
        "central_storage": lambda: v1.CentralStorageStrategy(cpus(), "/device:CPU:0"),
        "parameter_server": v1.ParameterServerStrategy,
        "multi_worker": tf.distribute.MultiWorkerMirroredStrategy,
    }
    return makers[name]()


def make_input_fn(num_replicas=1, repeat=False):
    def input_fn(input_context=None):
        data = tf.data.Dataset.from_tensor_slices(({"x": X}, Y))
        if input_context and input_context.num_input_pipelines > 1:
            data = data.shard(input_context.num_input_pipelines, input_context.input_pipeline_id)
        return (data.repeat() if repeat else data).batch(ROWS_PER_STEP // num_replicas)

    return input_fn


def make_model(config):
    return estimator.LinearRegressor(
        COLUMNS, optimizer=lambda: keras.optimizers.legacy.SGD(LEARNING_RATE), config=config
    )


class WriteWeights(tf.compat.v1.train.SessionRunHook):
    """Writes the weights that this task holds at the end."""

    def __init__(self, path):
        self._path = path

    def end(self, session):
        weights = session.run({v.op.name: v for v in tf.compat.v1.trainable_variables()})
        lists = {name: value.ravel().tolist() for name, value in weights.items()}
        self._path.write_text(json.dumps(lists), encoding="utf-8")


def run(strategy_name, directory, arguments):
    """Trains, evaluates and exports under one strategy; the model and the weights are written to `directory`."""
    strategy = make_strategy(strategy_name)
    config = estimator.RunConfig(
        model_dir=str(directory / "model"),
        tf_random_seed=1,
        save_checkpoints_steps=STEPS,
        # Eager TensorFlow's logical devices are unknown to a session. Without this the replicas' ops meet on one
        # device, and a collective among them waits for ever, on every TensorFlow.
        session_config=tf.compat.v1.ConfigProto(
            allow_soft_placement=True, device_count={"CPU": arguments.cpus}
        ),
        train_distribute=strategy,
        eval_distribute=strategy if arguments.evaluate_with_it else None,
    )
    model = make_model(config)
    task = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {"type": "only", "index": 0})
    name = "{type}-{index}".format(**task)
    directory.mkdir(parents=True, exist_ok=True)
    hooks = [WriteWeights(directory / f"weights-{name}.json")]
    train_input_fn = make_input_fn(arguments.replicas, repeat=True)
    exporter = estimator.FinalExporter(
        "parsing",
        estimator.export.build_parsing_serving_input_receiver_fn(
            tf.feature_column.make_parse_example_spec(COLUMNS)
        ),
    )
    train_spec = estimator.TrainSpec(train_input_fn, max_steps=STEPS, hooks=hooks)
    eval_spec = estimator.EvalSpec(
        make_input_fn(), steps=None, exporters=exporter, start_delay_secs=0, throttle_secs=1
    )
    estimator.train_and_evaluate(model, train_spec, eval_spec)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("strategies", nargs="+")
    parser.add_argument("--evaluate_with_it", action="store_true")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--replicas", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.cpus > 1:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * arguments.cpus,
        )
    for name in arguments.strategies:
        run(name, arguments.directory / name, arguments)


if __name__ == "__main__":
    main()
