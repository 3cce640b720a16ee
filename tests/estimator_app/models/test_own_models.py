"""Builders of the user's: a model_fn, a compiled Keras model, a Keras model with a training step of its own."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import sample
from estimator_app.compat import estimator, keras
from estimator_app.models import keras_steps
from input_fns import errors

PIXELS = 28 * 28
RATE = 0.5


def by_model_fn(problem):
    """A linear model on pixels, written as a model_fn."""

    def model_fn(features, labels, mode):
        pixels = tf.reshape(features["image"], [-1, PIXELS])
        kernel = tf.compat.v1.get_variable("kernel", [PIXELS, 10], tf.float32)
        head = estimator.MultiClassHead(10)
        optimizer = keras.optimizers.legacy.SGD(RATE)
        # What makes training count its steps, and so end.
        optimizer.iterations = tf.compat.v1.train.get_or_create_global_step()
        return head.create_estimator_spec(
            features,
            mode,
            tf.matmul(pixels, kernel),
            labels,
            optimizer=optimizer,
            trainable_variables=[kernel],
        )

    return estimator.Estimator(model_fn, config=problem.config)


def compiled(problem):
    """A compiled Keras model."""
    del problem
    model = keras.Sequential(
        [
            keras.Input((28, 28), name="image"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.compile(
        keras.optimizers.legacy.SGD(RATE), "sparse_categorical_crossentropy", ["accuracy"]
    )
    return model


class Halved(keras.Model):
    """Trains on half of the loss, by a GradientTape, and says the whole."""

    def train_step(self, data):
        features, labels = data
        with tf.GradientTape() as tape:
            answers = self(features, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels, answers)
            half = tf.reduce_mean(losses) / 2
        gradients = tape.gradient(half, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {"loss": 2 * half}


def halved(problem):
    """A functional model of a class with a train_step, all weights zero at first."""
    del problem
    image = keras.Input((28, 28), name="image")
    dense = keras.layers.Dense(10, "softmax", kernel_initializer="zeros")
    model = Halved({"image": image}, dense(keras.layers.Flatten()(image)))
    model.compile(
        keras.optimizers.legacy.SGD(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


class Weighted(keras.Model):
    """Minds the weights that come with the rows."""

    def train_step(self, data):
        features, labels, weights = data
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(labels, self(features))
            loss = tf.reduce_sum(weights * losses) / tf.reduce_sum(weights)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {"loss": loss}


def weighted(problem):
    """A model of that class on one column of a table."""
    del problem
    hours = keras.Input((), name="hours-per-week", dtype="int64")
    column = tf.cast(hours, tf.float32)[:, tf.newaxis] / 100
    model = Weighted({"hours-per-week": hours}, keras.layers.Dense(2, "softmax")(column))
    model.compile("adam", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    return model


def uncompiled(problem):
    """A Keras model that cannot be trained."""
    del problem
    return keras.Sequential([keras.Input((28, 28), name="image"), keras.layers.Flatten()])


def misnamed(problem):
    """A Keras model of another input."""
    del problem
    model = keras.Sequential([keras.Input((28, 28), name="picture"), keras.layers.Flatten()])
    model.compile("sgd", "mse")
    return model


class Lossless(Halved):
    """Returns no loss."""

    def train_step(self, data):
        super().train_step(data)
        return {"steps": tf.constant(1)}


def lossless(problem):
    """A model of that class."""
    del problem
    image = keras.Input((28, 28), name="image")
    model = Lossless({"image": image}, keras.layers.Dense(10)(keras.layers.Flatten()(image)))
    model.compile(keras.optimizers.legacy.SGD(RATE), "mse")
    return model


@pytest.fixture(scope="module", autouse=True)
def own_models():
    """These functions as a module that --model can name."""
    module = types.ModuleType("models_of_a_test")
    functions = (by_model_fn, compiled, halved, weighted, uncompiled, misnamed, lossless)
    for function in functions:
        setattr(module, function.__name__, function)
    sys.modules[module.__name__] = module
    yield
    del sys.modules[module.__name__]


@pytest.mark.parametrize("name", ["by_model_fn", "compiled", "halved"])
def test_digits_are_learnt(run_job, name):
    job = run_job(
        data="mnist", model=f"models_of_a_test:{name}", max_steps=40, batch_size=32, eval_steps=10
    )
    assert job.result.metrics["accuracy"] > 0.6
    assert job.result.exports[0].comparison.worst <= 1e-6


def test_the_models_own_step_is_what_trains_and_it_resumes(run_job, tmp_path):
    directory = tmp_path / "job"
    for steps in (1, 2):
        job = run_job(
            data="mnist",
            model="models_of_a_test:halved",
            model_dir=directory,
            max_steps=steps,
            batch_size=32,
            eval_steps=1,
        )
        bias = tf.train.load_variable(str(directory), "keras/1/bias")
        if steps == 1:
            # From zero every class has probability 0.1: the gradient of half the loss on the bias of class k is
            # (0.1 - share of k in the batch) / 2, whole rows of 32.
            shares = 0.1 + 2 * bias / RATE
            np.testing.assert_allclose(shares * 32, np.round(shares * 32), atol=1e-4)
            assert shares.sum() == pytest.approx(1.0)
            first = bias
    assert job.result.global_step == 2
    assert not np.allclose(first, bias)


def test_evaluation_is_over_all_its_batches(run_job):
    job = run_job(
        data="mnist", model="models_of_a_test:halved", max_steps=3, batch_size=25, eval_steps=4
    )
    rows = [json.loads(line) for line in (job.model_dir / sample.ROWS).read_text().splitlines()]
    images = np.array([row["image"] for row in rows]).reshape(100, PIXELS)
    labels = np.array([int(row["label"]) for row in rows])
    kernel, bias = (
        tf.train.load_variable(str(job.model_dir), name)
        for name in ("keras/0/kernel", "keras/1/bias")
    )
    logits = images @ kernel + bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = -np.log(shares[np.arange(100), labels])
    assert job.result.metrics["loss"] == pytest.approx(losses.mean(), rel=1e-4)
    assert job.result.metrics["accuracy"] == pytest.approx(np.mean(shares.argmax(1) == labels))


def test_weights_come_with_the_rows(run_job):
    job = run_job(model="models_of_a_test:weighted", weight_column="age")
    assert np.isfinite(job.result.metrics["loss"])


def test_only_overridden_steps_are_traced():
    assert keras_steps.overrides_step(halved(None))
    assert not keras_steps.overrides_step(compiled(None))


@pytest.mark.parametrize(
    "name, error, sentence",
    [
        ("uncompiled", errors.SettingsError, "to be compiled, found no optimizer"),
        ("misnamed", errors.SchemaError, r"named as the features are \(image\), found picture"),
        ("lossless", errors.SettingsError, r"to return a dict with 'loss', found \['steps'\]"),
    ],
)
def test_keras_model_that_cannot_be_run_is_refused(run_job, name, error, sentence):
    with pytest.raises(error, match=sentence):
        run_job(data="mnist", model=f"models_of_a_test:{name}")
