"""`--max_drift`: a job does not start on data that has drifted."""

import csv
import pathlib
import re
import subprocess
import sys

import pytest

from estimator_app import job_dir, preparation
from input_fns import errors


@pytest.fixture
def older(census, tmp_path):
    """A copy of a census file in which everybody is older."""

    def make(path: str) -> str:
        with open(path, encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        out = tmp_path / f"older-{pathlib.Path(path).name}"
        with open(out, "w", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "age": int(row["age"]) + 30} for row in rows)
        return str(out)

    return make


def prepare(settings):
    return preparation.prepare(settings, say=lambda line: None)


def test_evaluation_data_that_drifted_is_refused(make_settings, census, older, tmp_path):
    flags = [
        f"--train_data={census.train}",
        f"--eval_data={older(census.eval)}",
        "--label_column=income",
        "--model=baseline",
        f"--model_dir={tmp_path / 'job'}",
        "--max_drift=0.2",
    ]
    result = subprocess.run(
        [sys.executable, "-m", "estimator_app.main", *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert re.search(
        r"^error: Expected the evaluation data to be like the training data, with a drift of at most --max_drift=0\.2 "
        r"in each column; found 0\.\d{3} in 'age' \(mean 3\d\.\d\d → 6\d\.\d\d\)\. Look at both with estimator-train "
        r"data compare, correct the data, or raise --max_drift\.$",
        result.stderr,
        re.M,
    ), result.stderr
    assert not (tmp_path / "job" / "checkpoint").exists()
    prepare(make_settings(tmp_path / "job", max_drift=0.2))  # the census itself is fine


def test_a_resumed_job_refuses_other_training_data(make_settings, narrow_census, older, tmp_path):
    first = make_settings(tmp_path, max_drift=0.2)
    preparation.record(first, prepare(first))
    (tmp_path / "checkpoint").touch()
    prepare(first)
    data = {"train_data": older(narrow_census.train), "eval_data": older(narrow_census.eval)}
    with pytest.raises(
        errors.InputError,
        match="Expected the training data to be like the training data that .* was started with, ",
    ):
        prepare(make_settings(tmp_path, max_drift=0.2, **data))
    prepare(make_settings(tmp_path, **data))  # without the flag nothing is checked


def test_statistics_of_an_earlier_version_cannot_be_held_against(make_settings, tmp_path):
    settings = make_settings(tmp_path, max_drift=0.2)
    preparation.record(settings, prepare(settings))
    (tmp_path / "checkpoint").touch()
    path = tmp_path / job_dir.STATISTICS
    text = path.read_text()
    path.write_text(re.sub(r"\n      histograms \{\n.*?\n      \}", "", text, flags=re.S))
    with pytest.raises(
        errors.InputError, match="with a histogram of 'age', for --max_drift; found none"
    ):
        prepare(settings)
