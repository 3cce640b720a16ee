"""Jobs that learn several labels: what they measure, export and answer."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

from estimator_app import sample
from estimator_app.serving import server
from estimator_app.serving import settings as serving_settings
from input_fns import errors
import serving_client

MIXED = "income,hours-per-week,gender"


@pytest.fixture(scope="module")
def tags(tmp_path_factory) -> str:
    """Words and the 0 and 1 of three tags, two of which stand for a word."""
    path = tmp_path_factory.mktemp("tags") / "tags.csv"
    words = ["good", "bad", "sad"]
    rows = [f"{words[i % 3]},{int(i % 3 == 1)},{int(i % 3 == 2)},{i % 2}" for i in range(120)]
    path.write_text("\n".join(["word,bad tag,sad,odd", *rows]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def mixed(run_job):
    """Returns a function: a model's name -> its job on labels of several kinds, made once."""

    @functools.cache
    def find(name):
        return run_job(model=name, label_column=MIXED, max_steps=3, eval_steps=2)

    return find


def served(job, rows, signature_name):
    settings = serving_settings.ServerSettings(
        port=0, rest_api_port=-1, model_name="m", model_base_path=job.settings.export_dir
    )
    with server.ModelServer(settings) as running:
        with serving_client.PredictionClient(f"127.0.0.1:{running.port}", "m") as client:
            return client.predict(rows, signature_name=signature_name)


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("model", ["baseline", "dnn_linear", "linear"])
def test_several_labels_are_heads_named_as_their_columns(mixed, model):
    job = mixed(model)
    metrics = job.result.metrics
    assert {"accuracy/income", "auc/gender", "average_loss/hours-per-week"} < set(metrics)
    parts = [metrics[f"loss/{name}"] for name in MIXED.split(",")]
    assert metrics["loss"] == pytest.approx(sum(parts), rel=1e-5)
    (export,) = job.result.exports
    assert {
        "serving_default",
        "income/classification",
        "hours-per-week/regression",
        "predict",
        "tensors:predict",
        "tensors:gender/predict",
    } < set(export.comparison.signatures)


def test_a_server_answers_with_every_head(run_job, mixed):
    job = mixed("linear")
    rows = read_lines(job.model_dir / sample.ROWS)[:3]
    expected = read_lines(job.model_dir / sample.PREDICTIONS)[:3]
    assert set(rows[0]) == {"row", "age", "education", *MIXED.split(",")}
    features = {name: [row[name] for row in rows] for name in ("row", "age", "education")}
    answers = served(job, features, "tensors:predict")
    for name in ("income/probabilities", "hours-per-week/predictions", "gender/logits"):
        np.testing.assert_allclose(answers[name], [row[name] for row in expected], atol=1e-5)
    assert answers["income/classes"].shape == (3, 1)


def test_head_weights_multiply_the_losses(run_job):
    job = run_job(
        model="baseline",
        label_column="income,hours-per-week",
        head_weights=(1.0, 0.01),
        max_steps=2,
    )
    metrics = job.result.metrics
    wanted = metrics["loss/income"] + 0.01 * metrics["loss/hours-per-week"]
    assert metrics["loss"] == pytest.approx(wanted, rel=1e-5)
    with pytest.raises(
        errors.SettingsError, match="for each of the labels income, gender, found 1"
    ):
        run_job(model="dnn", label_column="income,gender", head_weights=(1.0,))
    with pytest.raises(errors.SettingsError, match="several labels .* found --task=classification"):
        run_job(model="linear", head_weights=(1.0,))


@pytest.mark.parametrize("model", ["baseline", "dnn_linear"])
def test_tags_that_do_not_exclude_each_other(run_job, tags, model):
    job = run_job(
        model=model,
        train_data=tags,
        eval_data=tags,
        label_column="bad tag,sad,odd",
        task="multi_label",
        max_steps=100,
        batch_size=30,
        learning_rate={"baseline": 1.0, "dnn_linear": 0.05}[model],
    )
    metrics = job.result.metrics
    assert {"auc", "average_loss", "auc/sad", "accuracy/positive_threshold_0.5"} < set(metrics)
    answers = read_lines(job.model_dir / sample.PREDICTIONS)[:3]
    probabilities = np.array([row["probabilities"] for row in answers])
    if model == "baseline":
        np.testing.assert_allclose(probabilities[0], [1 / 3, 1 / 3, 1 / 2], atol=0.05)
    else:
        np.testing.assert_array_equal(probabilities[:, :2] > 0.5, [[0, 0], [1, 0], [0, 1]])
    row = read_lines(job.model_dir / sample.ROWS)[1]
    assert row == {"word": "bad", "bad tag": 1, "sad": 0, "odd": 1}


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"model": "keras_mlp"}, "one label for --model=keras_mlp, found .* one of baseline, dnn"),
        (
            {"model": "linear", "optimizer": "sdca", "example_id_column": "row"},
            "one label for --opt",
        ),
        ({"model": "linear", "loss": "poisson"}, "Expected label 'income' to be a count"),
    ],
)
def test_models_of_one_label_refuse_several(run_job, changes, sentence):
    with pytest.raises((errors.SchemaError, errors.SettingsError), match=sentence):
        run_job(label_column=MIXED, **changes)


def test_a_multi_label_task_has_its_own_loss(run_job, tags):
    files = {"train_data": tags, "eval_data": tags, "label_column": "sad,odd"}
    with pytest.raises(errors.SettingsError, match="--task=multi_label without --loss"):
        run_job(model="dnn", loss="poisson", task="multi_label", **files)
