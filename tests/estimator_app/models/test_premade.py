"""Losses, activations, penalties and clusters of the premade Estimators."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import settings as settings_lib
from estimator_app.compat import keras
from estimator_app.models import optimizers
from input_fns import errors

AMOUNT = {"label_column": "hours-per-week", "task": "regression"}


def test_poisson_regression_predicts_the_exponential(run_job):
    job = run_job(model="linear", loss="poisson", learning_rate=0.5, max_steps=30, **AMOUNT)
    assert job.result.metrics["prediction/mean"] > 5
    assert "average_loss" in job.result.metrics


@pytest.mark.parametrize("model", ["baseline", "dnn", "dnn_linear", "linear"])
def test_logistic_regression_learns_shares(run_job, tmp_path, model):
    path = tmp_path / "shares.csv"
    path.write_text("x,share\n" + "".join(f"{i % 5},{(i % 5) / 5}\n" for i in range(100)))
    job = run_job(
        model=model,
        loss="logistic",
        train_data=str(path),
        eval_data=str(path),
        label_column="share",
        task="regression",
    )
    # Cross entropy, which is never less than the entropy of the shares; the squared error is.
    shares = np.array([0.2, 0.4, 0.6, 0.8])
    entropy = -np.sum(shares * np.log(shares) + (1 - shares) * np.log(1 - shares)) / 5
    assert job.result.metrics["average_loss"] > entropy
    assert 0 < job.result.metrics["prediction/mean"] < 1


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"loss": "poisson"}, "Expected label 'income' to be a count, .* found classes"),
        ({"loss": "logistic", **AMOUNT}, "to be a share in .* found values from"),
    ],
)
def test_label_that_does_not_fit_the_loss_is_refused(run_job, changes, sentence):
    with pytest.raises(errors.SchemaError, match=sentence):
        run_job(model="linear", **changes)


def test_sum_of_losses_is_the_mean_times_the_batch(run_job):
    mean = run_job(model="baseline", eval_steps=1)
    total = run_job(model="baseline", eval_steps=1, loss_reduction="sum", optimizer="sgd")
    assert total.result.metrics["loss"] == pytest.approx(
        32 * total.result.metrics["average_loss"], rel=1e-5
    )
    assert mean.result.metrics["loss"] == pytest.approx(
        mean.result.metrics["average_loss"], rel=1e-5
    )


def test_activation_and_batch_norm_change_the_network(run_job):
    plain = run_job(model="dnn")
    changed = run_job(model="dnn", activation="tanh", batch_norm=True)
    assert plain.result.metrics["loss"] != changed.result.metrics["loss"]
    names = [name for name, _ in tf.train.list_variables(str(changed.model_dir))]
    assert "dnn/hiddenlayer_0/batchnorm_0/moving_mean" in names


def test_l1_leaves_weights_at_zero(run_job):
    job = run_job(model="linear", l1=100.0)
    weights = tf.train.load_variable(
        str(job.model_dir), "linear/linear_model/education_X_gender/weights"
    )
    assert not weights.any()


def test_penalties_are_refused_where_there_are_none():
    with pytest.raises(errors.SettingsError, match=r"penalties \(ftrl, sdca\), found adam"):
        optimizers.make(settings_lib.ModelSettings(l2=0.1), "adam", 0.001)


@pytest.mark.parametrize("name", [name for name in settings_lib.OPTIMIZERS if name != "sdca"])
def test_every_optimizer_takes_a_rate(name):
    made = optimizers.make(
        settings_lib.ModelSettings(optimizer=name, learning_rate=0.125), "adam", 1.0
    )
    assert isinstance(made, keras.optimizers.legacy.Optimizer)
    assert keras.backend.get_value(made.learning_rate) == 0.125


def test_clusters_are_those_of_the_data(run_job, tmp_path):
    path = tmp_path / "points.csv"
    points = [(x + dx, kind) for x, kind in ((0, "a"), (100, "b")) for dx in range(20)]
    path.write_text("x,kind\n" + "".join(f"{x},{kind}\n" for x, kind in points))
    job = run_job(
        model="kmeans",
        num_clusters=2,
        train_data=str(path),
        eval_data=str(path),
        label_column="kind",
        max_steps=20,
    )
    centres = np.sort(tf.train.load_variable(str(job.model_dir), "clusters")[:, 0])
    x = np.array([x for x, _ in points], float)
    np.testing.assert_allclose(centres, (np.array([9.5, 109.5]) - x.mean()) / x.std(), atol=0.3)


def test_clusters_cannot_weigh_rows(run_job):
    with pytest.raises(
        errors.SettingsError, match="nor --class_balance=weights with --model=kmeans, .* by age"
    ):
        run_job(model="kmeans", weight_column="age")
