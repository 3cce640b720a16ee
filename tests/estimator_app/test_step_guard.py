"""A model that does not count its steps is stopped."""

from __future__ import annotations

import pytest
import tensorflow as tf

from estimator_app import step_guard
from estimator_app.compat import estimator


def train(counts: bool) -> None:
    def model_fn(features, labels, mode):
        weight = tf.compat.v1.get_variable("weight", [])
        loss = tf.reduce_mean((features["x"] * weight - labels) ** 2)
        step = tf.compat.v1.train.get_global_step() if counts else None
        optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.1)
        return estimator.EstimatorSpec(
            mode, loss=loss, train_op=optimizer.minimize(loss, global_step=step)
        )

    def input_fn():
        return tf.data.Dataset.from_tensors(({"x": [1.0, 2.0]}, [2.0, 4.0])).repeat()

    guard = step_guard.StepGuardHook("own:model", runs=10)
    estimator.Estimator(model_fn).train(input_fn, hooks=[guard], max_steps=20)


def test_a_model_that_never_counts_is_stopped():
    with pytest.raises(step_guard.StepError) as raised:
        train(counts=False)
    assert str(raised.value) == (
        "Expected --model=own:model to count its training steps in global_step, found 0 after 10 of them; it "
        "would train for ever. Give minimize() the argument "
        "global_step=tf.compat.v1.train.get_global_step(), or set it as a Keras "
        "optimizer's iterations."
    )


def test_a_model_that_counts_trains_to_the_end():
    train(counts=True)
