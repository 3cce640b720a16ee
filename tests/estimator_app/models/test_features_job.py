"""Whole jobs on text, dates and a file of `--features`: trained, exported, started again."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pytest

from estimator_app import job_dir
from estimator_app import run as run_lib
from estimator_app import sample
from export import servable
from tests.estimator_app.conftest import Job

FEATURES = """
last visit: {date: [days, weekday, hour_cycle]}
last visit.weekday: {embedding: 2}
review: {hash_bucket: 50, embedding: 3}
age: [numeric, {bucketized: {quantiles: 4}}]
id: ignore
crosses: [{keys: [age, last visit.weekday, job], hash_bucket_size: 20, embedding: 2}]
shared_embeddings: [{features: [job, wish], dimension: 2}]
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table whose label follows from a word and a weekday."""
    path = tmp_path_factory.mktemp("visits") / "visits.csv"
    lines = ["id,last visit,review,age,job,wish,y"]
    for i in range(120):
        moment = datetime.datetime(2023, 12, 1) + datetime.timedelta(hours=29 * i)
        word = ("good", "bad", "fine")[i % 3]
        visit = "" if i % 10 == 9 else moment.isoformat(" ")
        label = "yes" if word == "good" and moment.weekday() < 5 else "no"
        jobs = f"{'abc'[i % 3]},{'bcd'[i % 3]}"
        lines.append(f"{i},{visit},a {word} and nice place number {i},{20 + i % 40},{jobs},{label}")
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture
def settings_of(make_settings, table, tmp_path):
    """Returns a function that makes the settings of a short job."""

    def make(**changes):
        files = {"train_data": table, "eval_data": table, "label_column": "y", "max_steps": 3}
        return make_settings(tmp_path / "job", **{**files, **changes})

    return make


def test_text_and_dates_are_treated_by_default(settings_of):
    job = Job(settings_of(model="dnn"), None)
    run_lib.run(job.settings)  # holds the export against the Estimator's own answers
    text = (job.model_dir / job_dir.SCHEMA).read_text()
    assert "time_domain" in text and "natural_language_domain" in text


def test_file_binds_the_model_directory(settings_of, tmp_path):
    path = tmp_path / "features.yaml"
    path.write_text(FEATURES)
    job = Job(settings_of(model="dnn_linear", features=str(path)), None)
    result = run_lib.run(job.settings)

    # The signature is the schema's: the text and the date themselves, what is ignored as well.
    with (job.model_dir / sample.ROWS).open() as file:
        row = {name: np.array([value]) for name, value in json.loads(file.readline()).items()}
    del row["y"]
    model = servable.Servable(result.exports[0].path)
    try:
        row = {n: v.astype(object) if v.dtype.kind == "U" else v for n, v in row.items()}
        answers = [
            model.predict({**row, "last visit": np.array([visit], object)}, "tensors:predict")
            for visit in ("2024-01-06", "2024-01-08 10:00", "", "no date")
        ]
    finally:
        model.close()
    saturday, monday, missing, wrong = (answer["probabilities"] for answer in answers)
    assert (saturday != monday).any() and (missing == wrong).all()

    same = tmp_path / "same.yaml"
    same.write_text(f"# the same\n{FEATURES}")
    assert run_lib.run(settings_of(model="dnn_linear", features=str(same))).already_finished

    other = tmp_path / "other.yaml"
    other.write_text(FEATURES.replace("id: ignore", "id: numeric"))
    copy = job.model_dir / job_dir.FEATURES
    for given, difference in (
        (str(other), f"{other} has other lines on id than {copy}"),
        ("", f"--features was {path}, is not given"),
    ):
        with pytest.raises(job_dir.JobDirError, match=difference):
            run_lib.run(settings_of(model="dnn_linear", features=given))
