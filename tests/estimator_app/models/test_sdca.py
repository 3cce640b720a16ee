"""SDCA: rows are told apart by their ids, and the optimum is the penalised one."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from input_fns import errors

RIDGE = 4.0


@pytest.fixture(scope="module")
def repeated_rows(tmp_path_factory):
    """Four different rows, repeated 30, 10, 10 and 30 times, each with an id of its own."""
    path = tmp_path_factory.mktemp("sdca") / "rows.csv"
    rows = [("a", "no")] * 30 + [("a", "yes")] * 10 + [("b", "no")] * 10 + [("b", "yes")] * 30
    lines = [f"{i},{kind},{label}" for i, (kind, label) in enumerate(rows)]
    path.write_text("\n".join(["id,kind,label", *lines]) + "\n")
    return str(path)


def logits_at_the_optimum():
    """The logits of "a" and "b" that minimise the summed log loss + RIDGE / 2 |w|^2, by Newton's method."""
    x = np.array([[1, 0, 1], [0, 1, 1]], float)  # kind a, kind b, bias
    yes, count, w = np.array([10, 30]), np.array([40, 40]), np.zeros(3)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        gradient = x.T @ (count * p - yes) + RIDGE * w
        hessian = x.T @ ((count * p * (1 - p))[:, None] * x) + RIDGE * np.eye(3)
        w -= np.linalg.solve(hessian, gradient)
    return x @ w


def test_equal_rows_with_ids_of_their_own_all_count(run_job, repeated_rows):
    job = run_job(
        train_data=repeated_rows,
        eval_data=repeated_rows,
        label_column="label",
        model="linear",
        optimizer="sdca",
        l2=RIDGE,
        example_id_column="id",
        batch_size=80,
        max_steps=60,
    )
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(job.model_dir)))
    bias = reader.get_tensor("linear/linear_model/bias_weights")[0]
    weights = reader.get_tensor("linear/linear_model/kind/weights")[:2, 0]
    np.testing.assert_allclose(weights + bias, logits_at_the_optimum(), atol=0.02)
    assert not [name for name in reader.get_variable_to_shape_map() if "linear_model/id" in name]


def test_text_ids_weights_and_an_amount(run_job):
    job = run_job(
        model="linear",
        optimizer="sdca",
        example_id_column="row",
        label_column="hours-per-week",
        task="regression",
        weight_column="age",
        l1=0.1,
    )
    assert np.isfinite(job.result.metrics["average_loss"])


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({}, "Expected --example_id_column with --optimizer=sdca, found none"),
        ({"example_id_column": "rwo"}, "found no such feature"),
        ({"example_id_column": "education"}, "Expected another value .* found 1[0-9] values in"),
        ({"example_id_column": "row", "learning_rate": 0.1}, "which finds its own steps"),
        ({"example_id_column": "row", "l2": 0.0}, "Expected --l2 > 0"),
        ({"example_id_column": "row", "label_column": "education"}, "Expected two classes"),
        (
            {
                "example_id_column": "row",
                "loss": "poisson",
                "label_column": "age",
                "task": "regression",
            },
            "found --loss=poisson",
        ),
    ],
)
def test_what_sdca_cannot_do_is_refused_before_the_first_step(run_job, changes, sentence):
    with pytest.raises(errors.SettingsError, match=sentence):
        run_job(model="linear", optimizer="sdca", **changes)


def test_ids_belong_to_sdca(run_job):
    with pytest.raises(errors.SettingsError, match="--optimizer=sdca only, found it with ftrl"):
        run_job(model="linear", example_id_column="row")


def test_class_ids_as_labels_need_no_vocabulary(run_job, tmp_path):
    path = tmp_path / "ids.csv"
    path.write_text("id,x,label\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(60)))
    job = run_job(
        train_data=str(path),
        eval_data=str(path),
        label_column="label",
        model="linear",
        optimizer="sdca",
        example_id_column="id",
    )
    assert 0 <= job.result.metrics["accuracy"] <= 1
