"""The part of scripts/compare_stacks that runs inside one stack: `python stack_worker.py TASKS.json`.

TASKS.json is a list of tasks, done one after the other; each names a function of this module under "do", the rest are
its arguments. A task's arrays go to the .npz file under "out", its failure to the same name with ".error"; one line on
standard output says that it is done. Runs under Python 3.7 with TensorFlow 1.15 as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any, Callable, Dict, Iterator, List, Optional

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import stack_models  # noqa: E402

BATCH_SIZE = 32
STEPS = 100
HALF = STEPS // 2
EVAL_ROWS = 256
_SEED = 1
_START_TIMEOUT_SECS = 120
_CHECKPOINT = "model.ckpt-%d"

Arrays = Dict[str, np.ndarray]


def load_api() -> stack_models.Api:
    """Returns this stack's Estimators: TensorFlow 1's own, or those of `estimator_app.compat`."""
    if sys.version_info < (3, 8):  # only TensorFlow 1 still lives there
        import tensorflow as tf

        tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
        return stack_models.Api(tf, tf.estimator)
    import importlib

    import tensorflow as tf

    from estimator_app import compat

    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    v1 = importlib.import_module("tensorflow_estimator.python.estimator.api._v1.estimator")
    return stack_models.Api(tf, v1, compat.estimator, compat.keras, compat.model_to_estimator)


class Stack:
    """Does the tasks.

    Args:
      api: the stack's Estimators.
      rows: the data, in the order of training.
      num_answers: on how many of them, the first, is evaluated and predicted.
    """

    def __init__(
        self, api: stack_models.Api, rows: List[Dict[str, str]], num_answers: int = EVAL_ROWS
    ) -> None:
        self.api = api
        self.num_answers = num_answers
        self.tf1 = api.tf.compat.v1
        self.rows = rows

    # ------------------------------------------------------------------------------------ tasks

    def train(
        self, case: str, model_dir: str, to_step: int, begin: Optional[str] = None, threads: int = 1
    ) -> Arrays:
        """Trains from `begin` (a checkpoint, or None: from this stack's own initial values) up to `to_step`.

        Checkpoints of the first, middle and last step stay in `model_dir`. Returns loss/<step> before each step's
        update, and variables/<name> after the last.
        """
        shutil.rmtree(model_dir, ignore_errors=True)
        os.makedirs(model_dir)
        first = adopt_checkpoint(begin, model_dir) if begin else 0
        estimator = self.build(case, model_dir, threads)
        losses = _Losses(self.tf1, self.api.estimator_v1)
        estimator.train(
            self._train_input(case, first, to_step), hooks=[losses.hook], max_steps=to_step
        )
        found = {"loss": np.array(losses.values)}
        found.update(self.variables("variables", os.path.join(model_dir, _CHECKPOINT % to_step)))
        if not begin:
            found.update(self.variables("initial", os.path.join(model_dir, _CHECKPOINT % 0)))
        return found

    def apply(self, case: str, checkpoint: str, model_dir: str) -> Arrays:
        """Evaluates and predicts with a checkpoint; returns metrics/<name> and predictions/<name>."""
        estimator = self.build(case, model_dir, 1)
        metrics = estimator.evaluate(self._eval_input(case, True), checkpoint_path=checkpoint)
        found = {"metrics/" + name: np.asarray(value) for name, value in metrics.items()}
        answers = list(
            estimator.predict(
                self._eval_input(case, False),
                checkpoint_path=checkpoint,
                yield_single_examples=False,
            )
        )
        for name in answers[0]:
            whole = np.concatenate([batch[name] for batch in answers])
            found["predictions/" + _text(name)] = plain(whole)
        return found

    def export(self, case: str, checkpoint: str, model_dir: str, export_dir: str) -> Arrays:
        """Exports a checkpoint, one placeholder a feature; the version becomes `export_dir`."""
        estimator = self.build(case, model_dir, 1)
        base = export_dir + ".base"
        for folder in (export_dir, base):  # an earlier run may have ended between the two
            shutil.rmtree(folder, ignore_errors=True)
        made = estimator.export_saved_model(base, self.receiver(case), checkpoint_path=checkpoint)
        os.rename(_text(made), export_dir)
        os.rmdir(base)
        return {}

    def load(self, case: str, export_dir: str) -> Arrays:
        """Loads an export, asks every signature about the evaluation rows; returns <signature>/<output>."""
        features = stack_models.features_of(
            self._case(case).features, self.rows[: self.num_answers]
        )
        found = {}
        with self.tf1.Graph().as_default():
            with self.tf1.Session(config=self._session(1)) as session:
                graph = self.tf1.saved_model.loader.load(session, ["serve"], export_dir)
                for name, signature in graph.signature_def.items():
                    # A model on one text input has signatures that call it `inputs`, whatever its name is.
                    feed = {
                        value.name: features[key if key in features else list(features)[0]]
                        for key, value in signature.inputs.items()
                    }
                    fetch = {key: value.name for key, value in signature.outputs.items()}
                    for key, value in session.run(fetch, feed).items():
                        found[name + "/" + key] = plain(value)
        return found

    def serve(self, case: str, export_dir: str) -> Arrays:
        """Starts estimator-serve on an export and asks every signature over gRPC; returns <signature>/<output>."""
        import serving_client

        features = stack_models.features_of(
            self._case(case).features, self.rows[: self.num_answers]
        )
        found = {}
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(os.path.abspath(export_dir), os.path.join(folder, "1"))
            with _server(folder, case) as address, serving_client.PredictionClient(
                address, case
            ) as client:
                for name, signature in client.model_metadata().signatures.items():
                    if name.startswith("__"):
                        continue
                    rows = {key: features[key] for key in signature.inputs}
                    for key, value in client.predict(rows, signature_name=name).items():
                        found[name + "/" + key] = plain(value)
        return found

    def probe(self) -> Arrays:
        """Runs single kernels on fixed numbers; returns <kernel> -> its result, float32."""
        tf1 = self.tf1
        numbers = np.random.RandomState(0)
        x = numbers.uniform(-6, 6, (64, 48)).astype(np.float32)
        w = numbers.uniform(-1, 1, (48, 32)).astype(np.float32)
        tags = (x > 0).astype(np.float32)
        with tf1.Graph().as_default():
            a = tf1.placeholder(tf1.float32, x.shape)
            b = tf1.placeholder(tf1.float32, w.shape)
            loss = tf1.nn.sigmoid_cross_entropy_with_logits(labels=tags, logits=a)
            mean, variance = tf1.nn.moments(a, axes=[0])
            normal = tf1.nn.batch_normalization(a, mean, variance, None, None, 0.001)
            variable = tf1.get_variable("x", initializer=x)
            with tf1.control_dependencies(
                [tf1.train.AdamOptimizer(0.01).apply_gradients([(tf1.sin(a), variable)])]
            ):
                adam = tf1.identity(variable.read_value())
            kernels = {
                "exp": tf1.exp(a),
                "log1p": tf1.math.log1p(tf1.exp(a)),
                "sigmoid": tf1.sigmoid(a),
                "sigmoid gradient": tf1.gradients(tf1.sigmoid(a), a)[0],
                "sigmoid_cross_entropy": loss,
                "sigmoid_cross_entropy gradient": tf1.gradients(loss, a)[0],
                "tanh": tf1.tanh(a),
                "softmax": tf1.nn.softmax(a),
                "log_softmax": tf1.nn.log_softmax(a),
                "rsqrt": tf1.math.rsqrt(tf1.abs(a)),
                "pow": tf1.pow(tf1.abs(a), -0.5),
                "divide": a / (tf1.abs(a) + 1.0),
                "matmul": tf1.matmul(a, b),
                "matmul transposed": tf1.matmul(a, a, transpose_a=True),
                "reduce_sum": tf1.reduce_sum(a, axis=1),
                "reduce_mean": tf1.reduce_mean(a),
                "moments": tf1.stack(tf1.nn.moments(a, axes=[0])),
                "batch normalisation": normal,
                "batch normalisation gradient": tf1.gradients(normal * tags, a)[0],
                "Adam": adam,
            }
            with tf1.Session(config=self._session(1)) as session:
                session.run(tf1.global_variables_initializer())
                return session.run(kernels, {a: x, b: w})

    # ------------------------------------------------------------------------------------ parts

    def versions(self) -> Dict[str, str]:
        """Returns what this stack is made of."""
        return {
            "tensorflow": self.api.tf.__version__,
            "numpy": np.__version__,
            "python": sys.version.split()[0],
        }

    def build(self, case: str, model_dir: str, threads: int) -> Any:
        """Returns the Estimator of a case in `model_dir`."""
        names = self.api.estimator or self.api.estimator_v1
        if case.startswith("v1_"):
            names = self.api.estimator_v1
        config = names.RunConfig(
            model_dir=model_dir,
            tf_random_seed=_SEED,
            save_checkpoints_steps=HALF,
            save_summary_steps=STEPS,
            keep_checkpoint_max=10,
            session_config=self._session(threads),
        )
        return self._case(case).build(self.api, config)

    def receiver(self, case: str) -> Callable[[], Any]:
        """Returns a serving_input_receiver_fn with one placeholder a feature."""
        tf1 = self.tf1
        features = stack_models.features_of(self._case(case).features, self.rows[:1])

        def receiver_fn() -> Any:
            placeholders = {}
            for name, value in features.items():
                dtype = tf1.float32 if value.dtype == np.float32 else tf1.string
                placeholders[name] = tf1.placeholder(dtype, (None,) + value.shape[1:], name)
            names = self.api.estimator or self.api.estimator_v1
            return names.export.ServingInputReceiver(dict(placeholders), placeholders)

        return receiver_fn

    def variables(self, prefix: str, checkpoint: str) -> Arrays:
        """Returns <prefix>/<name> of every number in a checkpoint."""
        reader = self.api.tf.train.load_checkpoint(checkpoint)
        found = {}
        for name in sorted(reader.get_variable_to_shape_map()):
            value = reader.get_tensor(name)
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
                found[prefix + "/" + name] = value
            elif isinstance(value, (int, float, np.number)):
                found[prefix + "/" + name] = np.asarray(value)
        return found

    @staticmethod
    def _case(name: str) -> stack_models.Case:
        return stack_models.find(name)

    def _session(self, threads: int) -> Any:
        return self.tf1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        )

    def _train_input(self, case: str, first: int, last: int) -> Callable[[], Any]:
        return self._input(case, self.rows[first * BATCH_SIZE : last * BATCH_SIZE], True)

    def _eval_input(self, case: str, labelled: bool) -> Callable[[], Any]:
        return self._input(case, self.rows[: self.num_answers], labelled)

    def _input(self, name: str, rows: List[Dict[str, str]], labelled: bool) -> Callable[[], Any]:
        case = self._case(name)
        features = stack_models.features_of(case.features, rows)
        labels = stack_models.labels_of(case.label, rows) if labelled else None

        def input_fn() -> Any:
            parts = features if labels is None else (features, labels)
            return self.tf1.data.Dataset.from_tensor_slices(parts).batch(BATCH_SIZE)

        return input_fn


@contextlib.contextmanager
def _server(base_path: str, model: str) -> Iterator[str]:
    """Runs estimator-serve as a process on a free port; yields its address."""
    port_file = os.path.join(base_path, "ports.json")
    command = [sys.executable, "-m", "estimator_app.serve_main", "--host=127.0.0.1", "--port=0"]
    command += ["--model_name=" + model, "--model_base_path=" + base_path]
    command += ["--port_file=" + port_file]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.time() + _START_TIMEOUT_SECS
        while not os.path.exists(port_file):
            if process.poll() is not None or time.time() > deadline:
                raise RuntimeError(
                    "Expected estimator-serve to serve %s within %d s, found exit code %s."
                    % (model, _START_TIMEOUT_SECS, process.poll())
                )
            time.sleep(0.05)
        with open(port_file) as file:
            yield "127.0.0.1:%d" % json.load(file)["port"]
    finally:
        process.kill()
        process.wait()


class _Losses:
    """Keeps the loss of every step."""

    def __init__(self, tf1: Any, names: Any) -> None:
        values = self.values = []  # type: List[float]

        class Hook(names.SessionRunHook):  # type: ignore[misc]
            def begin(self) -> None:
                # The Estimator adds the loss of the EstimatorSpec last.
                self.loss = tf1.get_collection(tf1.GraphKeys.LOSSES)[-1]

            def before_run(self, run_context: Any) -> Any:
                return names.SessionRunArgs(self.loss)

            def after_run(self, run_context: Any, run_values: Any) -> None:
                values.append(float(np.mean(run_values.results)))

        self.hook = Hook()


def adopt_checkpoint(checkpoint: str, model_dir: str) -> int:
    """Copies a checkpoint into `model_dir` as its latest; returns its step."""
    folder, stem = os.path.split(checkpoint)
    for name in os.listdir(folder):
        if name.startswith(stem + "."):
            shutil.copy(os.path.join(folder, name), os.path.join(model_dir, name))
    with open(os.path.join(model_dir, "checkpoint"), "w") as file:
        file.write('model_checkpoint_path: "%s"\n' % stem)
    return int(stem.rpartition("-")[2])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def plain(value: np.ndarray) -> np.ndarray:
    """Returns an array that .npz takes without pickling: objects (bytes) as text."""
    if value.dtype == object or value.dtype.kind == "S":
        return np.array([_text(one) for one in value.ravel()]).reshape(value.shape)
    return value


def main() -> None:
    """Does the tasks of the file; a failed one leaves its traceback and does not end the others."""
    with open(sys.argv[1]) as file:
        tasks = json.load(file)
    rows = stack_models.read_rows(stack_models.CENSUS, STEPS * BATCH_SIZE)
    stack = Stack(load_api(), rows)
    print("ready " + json.dumps(stack.versions()), flush=True)
    for task in tasks:
        out = task.pop("out")
        start = time.time()
        try:
            # Renamed when whole: a file that is there says that its task is done.
            np.savez(out + ".part.npz", **getattr(stack, task.pop("do"))(**task))
            os.replace(out + ".part.npz", out)
            print("done %s %.1f" % (out, time.time() - start), flush=True)
        except Exception as error:  # the next task is independent of this one
            with open(out + ".error", "w") as file:
                file.write(traceback.format_exc())
            print("failed %s %s: %s" % (out, type(error).__name__, error), flush=True)


if __name__ == "__main__":
    main()
