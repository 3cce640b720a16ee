"""Whole jobs on real rows: trained, resumed, finished, refused."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import os
import pathlib
import re
import shutil

import pytest
import tensorflow as tf

from estimator_app import job_dir
from estimator_app import run as run_lib
from estimator_app import settings as settings_lib
from estimator_app import verification
from estimator_app.serving import warm_up, warm_up_metrics
from export import servable, signatures, versions, warmup_file
from input_fns import errors as input_errors
from input_fns import schema as schema_lib
from input_fns import settings as input_settings
from serving_client import wire
from tests.estimator_app.conftest import Job

PREMADE_CLASSIFIER = {
    "serving_default",
    "predict",
    "classification",
    "regression",
    "tensors:predict",
}


def signature_names(result):
    """Returns the names of the newest export's signatures."""
    return set(signatures.read(result.exports[-1].path))


def test_wide_and_deep_is_trained_evaluated_and_exported(wide_and_deep):
    result = wide_and_deep.result
    assert result.global_step == 20
    assert 0.5 < result.metrics["accuracy"] <= 1.0
    assert signature_names(result) == PREMADE_CLASSIFIER
    assert result.exports[0].comparison.rows == 100
    assert result.exports[0].comparison.worst <= 1e-6


def test_the_job_leaves_its_schema_settings_and_result_behind(wide_and_deep):
    model_dir = wide_and_deep.model_dir
    schema = schema_lib.read(model_dir / job_dir.SCHEMA)
    assert schema == schema_lib.read(
        pathlib.Path(wide_and_deep.result.exports[0].path, "assets.extra", "schema.pbtxt")
    )
    assert schema.label_names == ("<=50K", ">50K")
    assert (
        json.loads((model_dir / job_dir.SETTINGS).read_text()) == wide_and_deep.settings.as_dict()
    )
    assert json.loads((model_dir / job_dir.RESULT).read_text())["global_step"] == 20
    assert not [
        name for name in os.listdir(wide_and_deep.settings.export_dir) if not name.isdigit()
    ]


def test_tensorboard_curves_are_written(wide_and_deep):
    events = [
        file
        for file in os.listdir(wide_and_deep.model_dir)
        if file.startswith("events.out.tfevents")
    ]
    tags = {
        value.tag
        for file in events
        for event in tf.compat.v1.train.summary_iterator(str(wide_and_deep.model_dir / file))
        for value in event.summary.value
    }
    assert {"loss", "global_step/sec"} <= tags


@pytest.fixture(name="finished", scope="module")
def finished_job(make_settings, tmp_path_factory):
    """A small job. Shared: tests must not write into it, but into a copy."""
    settings = make_settings(tmp_path_factory.mktemp("jobs") / "finished")
    return Job(settings, run_lib.run(settings))


def test_a_finished_job_says_how_to_go_on(finished):
    result = run_lib.run(finished.settings)
    assert result.already_finished
    assert result.lines()[0] == (
        "This job is already finished at step 20. To train further, raise --max_steps above 20 (or --train_epochs); to "
        "start afresh, choose another --model_dir."
    )


def test_a_second_start_resumes_and_publishes_a_newer_version(make_settings, tmp_path):
    first = run_lib.run(make_settings(tmp_path / "job", max_steps=10))
    output = io.StringIO()
    second = run_lib.run(make_settings(tmp_path / "job", max_steps=15), output)
    assert (first.global_step, second.global_step) == (10, 15)
    assert "step 15/15" in output.getvalue()
    found = versions.list_versions(second.export_dir)
    assert len(found) == 2 and found[1] == int(os.path.basename(second.exports[0].path))


def test_a_job_killed_between_its_last_step_and_its_export_only_gets_the_rest(
    finished, make_settings, tmp_path
):
    copy = tmp_path / "job"
    shutil.copytree(finished.model_dir, copy)
    shutil.rmtree(copy / "export")
    (copy / job_dir.RESULT).unlink()
    result = run_lib.run(make_settings(copy))
    assert result.global_step == 20
    assert result.metrics == pytest.approx(finished.result.metrics)
    assert versions.list_versions(str(copy / "export"))


def test_the_same_seed_gives_the_same_loss(make_settings, tmp_path):
    losses = [
        run_lib.run(make_settings(tmp_path / name, max_steps=5, seed=seed, model="dnn")).metrics[
            "loss"
        ]
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != pytest.approx(losses[2], rel=1e-5)


def test_epochs_are_turned_into_steps(make_settings, tmp_path):
    result = run_lib.run(make_settings(tmp_path / "job", max_steps=None, train_epochs=0.5))
    assert result.global_step == result.max_steps == 10  # 0.5 x 600 rows / 32, rounded up


@pytest.mark.parametrize("exporter, count", [("latest", 2), ("best", 2)])
def test_exporters_after_every_evaluation_keep_as_many_versions_as_asked(
    make_settings, tmp_path, exporter, count
):
    result = run_lib.run(
        make_settings(
            tmp_path / "job",
            exporter=exporter,
            exports_to_keep=count,
            max_steps=30,
            save_checkpoints_steps=10,
        )
    )
    assert (
        len(result.exports) == 3
    )  # the loss falls from evaluation to evaluation in the first steps
    assert versions.list_versions(result.export_dir) == [
        int(os.path.basename(e.path)) for e in result.exports[-count:]
    ]


def test_an_export_carries_rows_that_a_server_warms_up_with(make_settings, tmp_path):
    settings = make_settings(tmp_path / "job", max_steps=5, export_warmup_rows=3)
    path = run_lib.run(settings).exports[-1].path
    runs: list[float] = []
    load = warm_up.WarmUp(warm_up_metrics.WarmUpMetrics()).after(
        functools.partial(servable.Servable, on_run=runs.append)
    )
    with contextlib.closing(load(path)) as model:
        assert len(runs) == len(model.signatures)
    logs = map(wire.PredictionLog.FromString, warmup_file.read(warmup_file.path_of(path)))
    by_name = {}
    for log in logs:
        kind = log.WhichOneof("log_type")
        by_name[getattr(log, kind).request.model_spec.signature_name] = (kind, log)
    assert {name: kind for name, (kind, _) in by_name.items()} == {
        "serving_default": "classify_log",
        "classification": "classify_log",
        "predict": "predict_log",
        "regression": "regress_log",
        "tensors:predict": "predict_log",
    }
    _, log = by_name["classification"]
    assert len(log.classify_log.request.input.example_list.examples) == 3
    _, log = by_name["tensors:predict"]
    eval_rows = pathlib.Path(settings.input.eval_data).read_text().splitlines()
    age = eval_rows[0].split(",").index("age")
    assert wire.to_array(log.predict_log.request.inputs["age"]).tolist() == [
        float(row.split(",")[age]) for row in eval_rows[1:4]
    ]


def test_regression_label_gives_a_regressor(make_settings, tmp_path):
    result = run_lib.run(
        make_settings(
            tmp_path / "job", label_column="hours-per-week", task="regression", model="dnn"
        )
    )
    assert signature_names(result) == {
        "serving_default",
        "predict",
        "regression",
        "tensors:predict",
    }
    assert "average_loss" in result.metrics and "accuracy" not in result.metrics


@pytest.mark.parametrize("model", ["dnn", "keras_mlp"])
def test_weights_change_what_is_learnt_and_are_no_input(make_settings, tmp_path, model):
    plain = run_lib.run(make_settings(tmp_path / "plain", model=model))
    weighted = run_lib.run(
        make_settings(tmp_path / "weighted", model=model, weight_column="fnlwgt")
    )
    assert weighted.metrics["loss"] != pytest.approx(plain.metrics["loss"], rel=1e-3)
    inputs = signatures.read(weighted.exports[0].path)["tensors:predict"].inputs
    assert "fnlwgt" not in inputs and "age" in inputs


def test_keras_model_exports_default_and_predict_signatures(make_settings, tmp_path):
    result = run_lib.run(make_settings(tmp_path / "job", model="keras_mlp"))
    assert signature_names(result) == {
        "serving_default",
        "predict",
        "tensors:serving_default",
        "tensors:predict",
    }
    assert "accuracy" in result.metrics


def test_dnn_learns_more_than_the_baseline_from_the_same_rows(finished, make_settings, tmp_path):
    result = run_lib.run(make_settings(tmp_path / "job", model="dnn", learning_rate=0.02))
    assert result.metrics["average_loss"] < finished.result.metrics["average_loss"] - 0.01


def test_own_builder_is_found_by_module_and_function(make_settings, tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(
        "from estimator_app.compat import estimator\n"
        "import tensorflow as tf\n"
        "def on_age(problem):\n"
        "    return estimator.LinearClassifier([tf.feature_column.numeric_column('age')], config=problem.config)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run_lib.run(make_settings(tmp_path / "job", model="own_models:on_age")).global_step == 20


@pytest.mark.parametrize(
    "model, sentence",
    [
        (
            "dnm",
            "Unknown model 'dnm'. Known models: baseline, boosted_trees, cnn_dropout, ",
        ),
        ("no_such_module:build", "found no module 'no_such_module'"),
        ("os.path:build", "found no 'build' in"),
    ],
)
def test_unknown_model_is_refused_before_anything_is_written(
    make_settings, tmp_path, model, sentence
):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        run_lib.run(make_settings(tmp_path / "job", model=model))
    assert not (tmp_path / "job").exists()


def test_image_model_on_a_table_says_what_to_use(make_settings, tmp_path):
    with pytest.raises(
        input_errors.SchemaError, match="Use --data=mnist, or a model for tables such as keras_mlp"
    ):
        run_lib.run(make_settings(tmp_path / "job", model="mnist_mlp"))


def test_other_settings_are_refused_with_the_difference(wide_and_deep):
    changed = dataclasses.replace(
        wide_and_deep.settings,
        model=settings_lib.ModelSettings(model="dnn", hidden_units=(4,), dropout=0.5),
    )
    with pytest.raises(job_dir.JobDirError) as error:
        run_lib.run(changed)
    for difference in (
        "--dropout was 0.0, is 0.5",
        "--hidden_units was 8, is 4",
        "--model was dnn_linear, is dnn",
        "Repeat the recorded values, or choose another --model_dir.",
    ):
        assert difference in str(error.value)


def test_directory_with_foreign_checkpoints_is_refused(make_settings, tmp_path):
    (tmp_path / "checkpoint").write_text("")
    with pytest.raises(job_dir.JobDirError, match="found checkpoints without run_settings.json"):
        run_lib.run(make_settings(tmp_path))


def test_file_in_the_place_of_the_model_directory_is_refused(make_settings, tmp_path):
    (tmp_path / "job").write_text("")
    with pytest.raises(job_dir.JobDirError, match="to be a directory, found a file at"):
        run_lib.run(make_settings(tmp_path / "job"))


def test_missing_evaluation_data_is_refused(make_settings, tmp_path):
    with pytest.raises(
        input_errors.SettingsError, match="Expected --eval_data beside --train_data"
    ):
        run_lib.run(make_settings(tmp_path / "job", eval_data=""))


def test_mistaken_flags_do_not_claim_the_directory(make_settings, tmp_path):
    with pytest.raises(input_errors.InputError):
        run_lib.run(make_settings(tmp_path / "job", label_column="incomme"))
    assert run_lib.run(make_settings(tmp_path / "job")).global_step == 20


def test_bad_rows_are_skipped_counted_and_kept(make_settings, narrow_census, tmp_path):
    bad = tmp_path / "train.csv"
    header, first, *rest = pathlib.Path(narrow_census.train).read_text().splitlines(keepends=True)
    bad.write_text(header + first.replace(first.split(",")[0], "old", 1) + "".join(rest))
    with pytest.raises(
        input_errors.BadRowError, match=r"row 1, column 'age': expected .*, found 'old'"
    ):
        run_lib.run(make_settings(tmp_path / "job", train_data=str(bad)))
    result = run_lib.run(make_settings(tmp_path / "job", train_data=str(bad), bad_rows="skip"))
    assert result.bad_rows == 1
    assert f"{tmp_path}/train.csv,1,age,old" in (tmp_path / "job" / job_dir.BAD_ROWS).read_text()
    assert f"bad rows    1 skipped, kept in {tmp_path}/job/bad_rows.csv" in result.lines()


def test_an_export_that_answers_differently_is_not_published(make_settings, tmp_path, monkeypatch):
    real = verification.predict_locally

    def shifted(*args):
        answers = dict(real(*args))
        answers["logits"] = answers["logits"] + 1e-3
        return answers

    monkeypatch.setattr(verification, "predict_locally", shifted)
    with pytest.raises(
        verification.VerificationError,
        match="found a difference of 0.00.* The export was not published",
    ):
        run_lib.run(make_settings(tmp_path / "job"))
    assert os.listdir(tmp_path / "job" / "export") == []
    assert not (tmp_path / "job" / job_dir.RESULT).exists()


def test_only_versions_of_this_job_are_ever_removed(make_settings, tmp_path):
    years = [tmp_path / "shared" / str(year) for year in (2018, 2019, 2020)]
    for year in years:
        year.mkdir(parents=True)
    settings = make_settings(
        tmp_path / "job",
        exporter="latest",
        exports_to_keep=1,
        max_steps=20,
        save_checkpoints_steps=10,
        export_dir=str(tmp_path / "shared"),
    )
    result = run_lib.run(settings)
    assert all(year.is_dir() for year in years)
    assert versions.list_versions(result.export_dir) == [
        2018, 2019, 2020, int(os.path.basename(result.exports[-1].path))
    ]  # fmt: skip


def test_best_stays_best_over_a_restart(make_settings, narrow_census, tmp_path):
    first = run_lib.run(make_settings(tmp_path / "job", exporter="best", max_steps=40))
    flipped = tmp_path / "flipped.csv"
    text = pathlib.Path(narrow_census.eval).read_text()
    flipped.write_text(text.replace("<=50K", "?").replace(">50K", "<=50K").replace("?\n", ">50K\n"))
    second = run_lib.run(
        make_settings(tmp_path / "job", exporter="best", max_steps=50, eval_data=str(flipped))
    )
    assert second.metrics["loss"] > first.metrics["loss"]
    assert not second.exports
    assert versions.list_versions(first.export_dir) == [
        int(os.path.basename(first.exports[-1].path))
    ]


@pytest.mark.parametrize("change", ["export_dir", "eval_steps"])
def test_a_finished_job_that_is_asked_for_something_else_does_it(
    finished, make_settings, tmp_path, change
):
    copy = tmp_path / "job"
    shutil.copytree(finished.model_dir, copy)
    value = {"export_dir": str(tmp_path / "elsewhere"), "eval_steps": 1}[change]
    result = run_lib.run(make_settings(copy, **{change: value}))
    assert not result.already_finished
    assert result.exports[0].path.startswith(result.export_dir)


def test_second_start_at_the_same_time_is_refused(make_settings, tmp_path):
    with job_dir.lock(str(tmp_path / "job")):
        sentence = f"found process {os.getpid()} at work there"
        with pytest.raises(job_dir.JobDirError, match=sentence):
            run_lib.run(make_settings(tmp_path / "job"))


def test_refused_start_does_not_bind_the_directory(make_settings, tmp_path):
    with pytest.raises(input_errors.SchemaError):
        run_lib.run(make_settings(tmp_path / "job", model="mnist_mlp"))
    assert run_lib.run(make_settings(tmp_path / "job")).global_step == 20


@pytest.mark.parametrize("model", ["dnn_linear", "keras_mlp"])
def test_columns_may_be_named_as_people_name_them(make_settings, tmp_path, model):
    names = ["hours a week", "é", "label:0", "_u", "a/b", "features", "sample_weights", "%", "%%"]
    rows = [
        ",".join([*(str((row * 7 + i) % 5) for i in range(len(names))), "yn"[row % 2]])
        for row in range(120)
    ]
    path = tmp_path / "odd.csv"
    path.write_text("\n".join([",".join([*names, "wanted?"]), *rows]) + "\n", encoding="utf-8")
    result = run_lib.run(
        make_settings(
            tmp_path / "job",
            model=model,
            train_data=str(path),
            eval_data=str(path),
            label_column="wanted?",
        )
    )
    inputs = signatures.read(result.exports[0].path)["tensors:predict"].inputs
    assert set(inputs) == set(names)


def test_table_without_features_is_refused(make_settings, tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("income\na\nb\n")
    settings = make_settings(tmp_path / "job", train_data=str(path), eval_data=str(path))
    with pytest.raises(
        input_errors.SchemaError, match="Expected columns to learn from, found none"
    ):
        run_lib.run(settings)


def test_linear_model_takes_images(make_settings, tmp_path):
    settings = make_settings(tmp_path / "job", model="linear", max_steps=5)
    digits = input_settings.InputSettings(data="mnist", batch_size=32, seed=1)
    assert run_lib.run(dataclasses.replace(settings, input=digits)).global_step == 5


@pytest.mark.parametrize("text", ["{bad", '{"cluster": {"worker": ["a:1"]}}'])
def test_broken_tf_config_is_refused(make_settings, tmp_path, monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="Expected TF_CONFIG to describe a cluster"):
        run_lib.run(make_settings(tmp_path / "job"))


def test_unusable_export_directory_is_refused_before_training(
    make_settings, narrow_census, tmp_path
):
    with pytest.raises(job_dir.JobDirError, match="Expected --export_dir=.* found a file at"):
        run_lib.run(make_settings(tmp_path / "job", export_dir=narrow_census.train))
    assert not (tmp_path / "job").exists()


def test_builder_that_returns_no_estimator_is_refused(make_settings, tmp_path, monkeypatch):
    (tmp_path / "forgetful.py").write_text("def build(problem):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="to return an Estimator, found NoneType"):
        run_lib.run(make_settings(tmp_path / "job", model="forgetful:build"))
