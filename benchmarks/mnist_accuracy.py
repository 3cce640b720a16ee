"""Accuracy of the image models on the whole of MNIST, through `estimator-train` as users run it.

    python -m benchmarks.mnist_accuracy --data_dir=mnist                            with the four IDX files of MNIST
    python -m benchmarks.mnist_accuracy --data_dir=mnist --models=cnn_functional    one of the models

Each line is trained in a process of its own, one after the other, and evaluated on all ten thousand test digits. With
convolutions that takes a quarter of an hour on two cores, so it is no part of `make bench`.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks import sides

EPOCHS = 5
SGD_RATE = 0.01
SGD_BATCH_SIZE = 32
# Ours and plain Keras start from other random numbers; one run against one run.
NEAR = 0.003
SEED = 1


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
      model: as `--model` names it.
      flags: of `estimator-train`, beside data, model and seed.
      target: the least accuracy; None where it is what plain Keras reaches, within NEAR.
    """

    model: str
    flags: tuple[str, ...]
    target: float | None


_ADAM = ("--optimizer=adam", f"--train_epochs={EPOCHS}")

LINES = (
    Line(
        "mnist_mlp",
        (
            "--optimizer=sgd",
            f"--learning_rate={SGD_RATE}",
            f"--batch_size={SGD_BATCH_SIZE}",
            f"--train_epochs={EPOCHS}",
        ),
        None,
    ),
    Line("mnist_mlp", (*_ADAM, "--batch_size=32"), 0.975),
    Line("cnn_functional", (*_ADAM, "--batch_size=64"), 0.9852),
    Line("cnn_subclassed", (*_ADAM, "--batch_size=64"), 0.9858),
)

TRANSFER = "transfer"
# The extractor is trained on the digits below this one, the models to compare on some images of the others.
KNOWN_DIGITS = 5
TRANSFER_IMAGES = 1000
TRANSFER_FLAGS = ("--train_epochs=1", "--batch_size=32")


def main() -> None:
    """Prints the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", required=True)
    known = sorted({line.model for line in LINES} | {TRANSFER})
    parser.add_argument("--models", default=",".join(known), help="comma-separated; default: all")
    flags = parser.parse_args()
    models = flags.models.split(",")
    if not set(models) <= set(known):
        parser.error(f"--models must be of {', '.join(known)}, not {flags.models}")
    sides.heading("MNIST, 60,000 digits to train on, 10,000 to evaluate on")
    print("   model           ours     target             met   time     flags", flush=True)
    for line in LINES:
        if line.model in models:
            _measure(line, flags.data_dir)
    if TRANSFER in models:
        _measure_transfer(flags.data_dir)


def _measure(line: Line, data_dir: str) -> None:
    started = time.perf_counter()
    accuracy = train(
        (
            f"--train_data={_path(data_dir, 'train', 'images-idx3')}",
            f"--eval_data={_path(data_dir, 't10k', 'images-idx3')}",
            f"--model={line.model}",
            *line.flags,
        )
    )
    passed = time.perf_counter() - started
    if line.target is None:
        other = sides.measure("benchmarks.mnist_accuracy", ["keras", data_dir])["accuracy"]
        target, met = f"{other:.4f} +- {NEAR} (Keras)", abs(accuracy - other) <= NEAR
    else:
        target, met = f"at least {line.target:.4f}", accuracy >= line.target
    _print(line.model, accuracy, target, met, passed, line.flags)


def _measure_transfer(data_dir: str) -> None:
    """Digits that the extractor has never seen: frozen, with a new head, against `cnn_small` on the same images."""
    with tempfile.TemporaryDirectory() as directory:
        sides.measure("benchmarks.mnist_accuracy", ["extractor", data_dir, directory])
        for part, role, count in (("train", "train", TRANSFER_IMAGES), ("t10k", "eval", None)):
            images, labels = _read(data_dir, part)
            others = np.flatnonzero(labels >= KNOWN_DIGITS)[:count]
            path = os.path.join(directory, f"{role}.npz")
            np.savez(path, image=images[others], label=labels[others] - KNOWN_DIGITS)
        data = [f"--{role}_data={directory}/{role}.npz" for role in ("train", "eval")]
        flags = (*data, "--label_column=label", *TRANSFER_FLAGS)
        other = train((*flags, "--model=cnn_small"))
        started = time.perf_counter()
        accuracy = train((*flags, "--model=transfer", f"--extractor={directory}/extractor"))
        passed = time.perf_counter() - started
    target = f"above {other:.4f} (cnn_small)"
    _print(TRANSFER, accuracy, target, accuracy > other, passed, TRANSFER_FLAGS)


def _print(
    model: str, accuracy: float, target: str, met: bool, passed: float, flags: tuple[str, ...]
) -> None:
    print(
        f"   {model:<15} {accuracy:.4f}   {target:<24} {'yes' if met else 'NO':<5} {passed:5.0f} s  "
        f"{' '.join(flags)}",
        flush=True,
    )


def train(flags: tuple[str, ...]) -> float:
    """Returns the accuracy of a job with these flags, in a process of its own.

    Raises:
      RuntimeError: it failed; with the end of what it printed.
    """
    with tempfile.TemporaryDirectory() as model_dir:
        command = [sys.executable, "-m", "estimator_app.main", *flags, f"--model_dir={model_dir}"]
        # The last checkpoint alone is evaluated.
        command += [f"--seed={SEED}", "--progress=none", "--save_checkpoints_steps=1000000"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
        with open(os.path.join(model_dir, "run_result.json"), encoding="utf-8") as file:
            return float(json.load(file)["metrics"]["accuracy"])


def _path(data_dir: str, part: str, what: str) -> str:
    """The path of one of MNIST's files, packed or not."""
    path = os.path.join(data_dir, f"{part}-{what}-ubyte")
    return path if os.path.exists(path) else path + ".gz"


def _read(data_dir: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The digits without any code of ours: [n, 28, 28] and [n] uint8."""
    arrays = []
    for what, header in (("images-idx3", 16), ("labels-idx1", 8)):
        path = _path(data_dir, part, what)
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            arrays.append(np.frombuffer(file.read(), np.uint8, offset=header))
    return arrays[0].reshape(-1, 28, 28), arrays[1]


def _make_extractor(data_dir: str, directory: str) -> None:
    """Trains a network on the first digits and saves what is below its last layer."""
    import tensorflow as tf

    keras: Any = tf.keras
    keras.utils.set_random_seed(SEED)
    images, labels = _read(data_dir, "train")
    known = labels < KNOWN_DIGITS
    image = keras.Input((28, 28, 1))
    hidden = keras.layers.Conv2D(32, 3, activation="relu")(image)
    hidden = keras.layers.MaxPooling2D()(hidden)
    hidden = keras.layers.Conv2D(32, 3, activation="relu")(hidden)
    features = keras.layers.Flatten()(keras.layers.MaxPooling2D()(hidden))
    model = keras.Model(image, keras.layers.Dense(KNOWN_DIGITS, "softmax")(features))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images[known] / np.float32(255), labels[known], batch_size=64, verbose=0)
    tf.saved_model.save(keras.Model(image, features), os.path.join(directory, "extractor"))
    sides.report({})


def _measure_keras(data_dir: str) -> None:
    """Reports the accuracy of the same network by `fit`."""
    import tensorflow as tf

    keras: Any = tf.keras
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=(28, 28)),
            keras.layers.Dense(128, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(SGD_RATE), "sparse_categorical_crossentropy", ["accuracy"])
    images, labels = _read(data_dir, "train")
    model.fit(images / np.float32(255), labels, batch_size=SGD_BATCH_SIZE, epochs=EPOCHS, verbose=0)
    images, labels = _read(data_dir, "t10k")
    sides.report({"accuracy": model.evaluate(images / np.float32(255), labels, verbose=0)[1]})


if __name__ == "__main__":
    if sys.argv[1:2] == ["keras"]:
        _measure_keras(sys.argv[2])
    elif sys.argv[1:2] == ["extractor"]:
        _make_extractor(sys.argv[2], sys.argv[3])
    else:
        main()
