"""Jobs that begin with the weights of another one, whose vocabularies were others."""

from __future__ import annotations

import csv
import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import job_dir
from estimator_app import run as run_lib
from estimator_app import settings as settings_lib
from estimator_app import warm_start
from estimator_app.models import feature_parser, weight_rows
from estimator_app.models.problem import Problem
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

KEPT = ("age", "occupation", "native-country", "income")
LINEAR = "linear/linear_model/occupation/weights"
EMBEDDING = "dnn/input_from_feature_columns/input_layer/native-country_embedding/embedding_weights"
KERNEL = "dnn/hiddenlayer_0/kernel"


def write(source: str, target: pathlib.Path, **renamed: str) -> str:
    """Copies some columns of census; `renamed` says which occupation gets which name."""
    with open(source, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(target, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, KEPT, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            occupation = row["occupation"]
            writer.writerow({**row, "occupation": renamed.get(occupation, occupation)})
    return str(target)


@pytest.fixture(scope="module")
def jobs(make_settings, census, tmp_path_factory):
    """Settings of three finished jobs: the first, one that begins as it ended, and one that begins from nothing."""
    directory = tmp_path_factory.mktemp("warm")
    first = {
        "train_data": write(census.train, directory / "first.csv"),
        "eval_data": write(census.eval, directory / "first_eval.csv"),
    }
    # One value is new and sorted before the others, one is gone, so that every row of the second moves.
    changed = {"Sales": "Abseiler"}
    second = {
        "train_data": write(census.train, directory / "second.csv", **changed),
        "eval_data": write(census.eval, directory / "second_eval.csv", **changed),
    }
    common = {"model": "dnn_linear", "learning_rate": 0.01, "eval_steps": 2}
    settings = [
        make_settings(directory / "first", max_steps=100, **first, **common),
        make_settings(
            directory / "second",
            max_steps=1,
            warm_start_from=str(directory / "first"),
            **second,
            **common,
        ),
        make_settings(directory / "cold", max_steps=1, **second, **common),
    ]
    results = [run_lib.run(one) for one in settings]
    return settings, results


def rows(settings, name: str, checkpoint: str) -> dict[str, np.ndarray]:
    """Returns name of a row -> its weights."""
    model_dir = settings.train.model_dir
    problem = Problem(
        schema_lib.read(f"{model_dir}/schema.pbtxt"),
        statistics_lib.read(f"{model_dir}/statistics.pbtxt"),
        settings.model,
        config=None,
    )
    values = tf.train.load_variable(f"{model_dir}/{checkpoint}", name)
    return dict(zip(weight_rows.names(problem)[name], values, strict=True))


@pytest.mark.parametrize("name", [LINEAR, EMBEDDING, KERNEL])
def test_rows_of_known_values_are_those_of_the_other_job(jobs, name):
    (first, second, _), _ = jobs
    old, new = rows(first, name, "model.ckpt-100"), rows(second, name, "model.ckpt-0")
    shared = set(old) & set(new)
    assert len(shared) > len(new) * 0.8
    for row in shared:
        np.testing.assert_array_equal(new[row], old[row])
    if name == EMBEDDING:
        assert list(old) == list(new)
    else:
        assert [row for row in new if "Abseiler" in row and row not in old]
        assert [row for row in old if "Sales" in row and row not in new]


def test_new_values_begin_as_in_a_new_job(jobs):
    (_, second, _), _ = jobs
    assert not rows(second, LINEAR, "model.ckpt-0")[repr("Abseiler")].any()
    (kernel,) = (
        row for name, row in rows(second, KERNEL, "model.ckpt-0").items() if "Abseiler" in name
    )
    assert 0 < np.abs(kernel).max() < 1


def test_the_rest_is_taken_but_not_the_optimizer(jobs):
    (first, second, _), _ = jobs
    for name in ("dnn/logits/kernel", "dnn/hiddenlayer_0/bias"):
        before, now = (
            tf.train.load_variable(f"{settings.train.model_dir}/model.ckpt-{step}", name)
            for settings, step in ((first, 100), (second, 0))
        )
        np.testing.assert_array_equal(now, before)
    moments = [
        name
        for name, _ in tf.train.list_variables(second.train.model_dir)
        if name.endswith("bias/m")
    ]
    assert not tf.train.load_variable(f"{second.train.model_dir}/model.ckpt-0", moments[0]).any()


def test_the_loss_begins_lower(jobs):
    _, (_, warm, cold) = jobs
    assert warm.metrics["loss"] < cold.metrics["loss"] - 0.1


def test_a_resumed_job_does_not_begin_again(jobs):
    (_, second, _), _ = jobs
    train = dataclasses.replace(second.train, max_steps=2, warm_start_from="/nowhere")
    result = run_lib.run(dataclasses.replace(second, train=train))
    assert result.global_step == 2


def test_another_model_shares_what_is_alike(jobs):
    (_, second, _), _ = jobs
    lines: list[str] = []
    origin = warm_start.find(second.train.model_dir)
    schema = dataclasses.replace(
        origin.schema, labels=(schema_lib.Feature("y", "string", vocabulary=("a", "b", "c")),)
    )
    problem = Problem(
        schema, origin.statistics, settings_lib.ModelSettings(model="dnn"), config=None
    )
    with tf.Graph().as_default():
        tf.compat.v1.get_variable("dnn/hiddenlayer_1/bias", [8])
        tf.compat.v1.get_variable("dnn/hiddenlayer_0/bias", [8])
        tf.compat.v1.get_variable("dnn/logits/bias", [1])  # of other classes
        warm_start.WarmStartHook(origin, problem, "dnn/", lines.append).begin()
        with pytest.raises(warm_start.WarmStartError, match="--warm_start_vars=cnn/ allows"):
            warm_start.WarmStartHook(origin, problem, "cnn/", lines.append).begin()
    assert lines == [
        f"1 variables begin as in {origin.checkpoint}",
        "begun anew: dnn/hiddenlayer_1/bias, dnn/logits/bias",
    ]


def test_models_whose_rows_are_not_known_need_the_same_vocabularies(jobs):
    (first, second, _), _ = jobs
    origin, other = (warm_start.find(one.train.model_dir) for one in (first, second))
    settings = settings_lib.ModelSettings(model="keras_mlp")
    problem = Problem(other.schema, other.statistics, settings, config=None)
    with tf.Graph().as_default():
        tf.compat.v1.get_variable("dnn/hiddenlayer_0/bias", [8])
        with pytest.raises(warm_start.WarmStartError, match="for --model=keras_mlp, found others"):
            warm_start.WarmStartHook(origin, problem, ".*", print).begin()
        warm_start.WarmStartHook(other, problem, ".*", print).begin()
        labels = (schema_lib.Feature("income", "string", vocabulary=("high", "low")),)
        problem = dataclasses.replace(
            problem, schema=dataclasses.replace(other.schema, labels=labels)
        )
        with pytest.raises(warm_start.WarmStartError, match="and the label of .*, found others"):
            warm_start.WarmStartHook(other, problem, ".*", print).begin()


def test_the_softmax_of_an_image_model_begins_anew_for_other_classes(jobs):
    (_, second, _), _ = jobs
    lines: list[str] = []
    origin = warm_start.find(second.train.model_dir)
    origin = dataclasses.replace(origin, shapes={**origin.shapes, "probabilities/bias": (8,)})
    labels = (schema_lib.Feature("income", "string", vocabulary=("high", "low")),)
    schema = dataclasses.replace(origin.schema, labels=labels)
    settings = settings_lib.ModelSettings(model="cnn_small")
    problem = Problem(schema, origin.statistics, settings, config=None)
    with tf.Graph().as_default():
        tf.compat.v1.get_variable("dnn/hiddenlayer_0/bias", [8])
        tf.compat.v1.get_variable("probabilities/bias", [8])
        warm_start.WarmStartHook(origin, problem, ".*", lines.append).begin()
    assert lines[1] == "begun anew: probabilities/bias"


def test_the_file_of_features_counts_where_rows_are_not_known(jobs, tmp_path):
    (_, second, _), _ = jobs
    path = tmp_path / "features.yaml"
    path.write_text("age: ignore")
    origin = warm_start.find(second.train.model_dir)
    settings = settings_lib.ModelSettings(model="kmeans", features=str(path))
    features = feature_parser.read(str(path))
    problem = Problem(origin.schema, origin.statistics, settings, None, features)
    with tf.Graph().as_default():
        tf.compat.v1.get_variable("dnn/hiddenlayer_0/bias", [8])
        with pytest.raises(
            warm_start.WarmStartError, match="and --features, and the label of .*/second for"
        ):
            warm_start.WarmStartHook(origin, problem, ".*", print).begin()
        origin = dataclasses.replace(origin, features=features)
        warm_start.WarmStartHook(origin, problem, ".*", print).begin()


def test_rows_of_a_vocabulary_file_that_has_changed_are_not_guessed(jobs, tmp_path):
    (first, _, _), _ = jobs
    vocabulary, features = tmp_path / "jobs.txt", tmp_path / "features.yaml"
    vocabulary.write_text("Sales\nTech-support\n")
    features.write_text(f"occupation: {{vocabulary_file: {vocabulary}}}")
    copy = str(shutil.copytree(first.train.model_dir, tmp_path / "copy"))
    job_dir.record(
        dataclasses.replace(
            first,
            train=dataclasses.replace(first.train, model_dir=copy),
            model=dataclasses.replace(first.model, features=str(features)),
        )
    )
    assert warm_start.find(copy).features.treatments
    vocabulary.write_text("Tech-support\nSales\n")
    with pytest.raises(warm_start.WarmStartError, match=f"Expected {vocabulary} to hold what"):
        warm_start.find(copy)


def test_a_wrong_path_is_refused_before_the_data_is_read(make_settings, tmp_path):
    settings = make_settings(tmp_path / "job", warm_start_from=str(tmp_path), train_data="none.csv")
    with pytest.raises(warm_start.WarmStartError, match="--warm_start_from=.* found none there"):
        run_lib.run(settings)
    assert not (tmp_path / "job").exists()
    (tmp_path / "model.ckpt-1.index").write_text("damaged")
    with pytest.raises(warm_start.WarmStartError, match="whole checkpoint, found .* damaged: "):
        warm_start.find(str(tmp_path / "model.ckpt-1"))


def test_a_wrong_pattern_is_refused():
    with pytest.raises(
        ValueError, match="--warm_start_vars to be a regular expression; found '\\('"
    ):
        settings_lib.TrainSettings(model_dir="m", warm_start_vars="(")
