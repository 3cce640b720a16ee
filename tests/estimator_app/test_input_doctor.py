"""What bounds a training: told by the numbers, and measured."""

import re
import subprocess
import sys

import pytest

from estimator_app import input_doctor
from input_fns import stage_speed


def diagnosis(model=1000.0, training=1000.0, cached=None, data_format="csv", **rates):
    speeds = {"disk": 1e7, "read": 4e5, "type": 3e5, "order": 2.5e5, "dataset": 2e5} | rates
    stages = tuple(stage_speed.Stage(name, rate, "") for name, rate in speeds.items())
    return input_doctor.Diagnosis(
        num_rows=1_000_000,
        row_bytes=80.0,
        format=data_format,
        batch_size=128,
        first_pass=1e5,
        stages=stages,
        cached=cached,
        model=model,
        training=training,
        num_parts=1,
    )


def test_an_input_that_keeps_up_is_left_alone():
    found = diagnosis(model=1000, training=930, cached=4e5)
    assert found.bound == "model"
    (line,) = input_doctor.advice(found)
    assert "The input keeps up" in line


def test_reading_text_calls_for_a_cache_or_another_format():
    found = diagnosis(model=5000, training=1500, cached=6e5)
    assert (found.bound, found.slowest.name) == ("input", "read")
    lines = input_doctor.advice(found)
    assert lines[0] == "--cache=memory: the rows take 80 MB; batches then come 3.0 times as fast."
    assert "Reading CSV and TSV is the slowest part" in lines[1] and "OUT.parquet" in lines[1]


def test_a_slow_disk_is_told_from_a_slow_format():
    found = diagnosis(training=200, cached=6e5, disk=3e4, read=2.9e4, type=2.8e4, order=2.7e4)
    assert found.bound == "disk"
    assert any("The disk is the slowest part" in line for line in input_doctor.advice(found))


def test_held_rows_are_read_once_and_not_blamed():
    found = diagnosis(model=9000, training=1800, cached=None, read=1e4, type=9e3)
    assert found.slowest.name in ("order", "dataset")
    assert [line for line in input_doctor.advice(found) if line.startswith("--batch_size=512")]


@pytest.fixture(name="bench", scope="module")
def bench_fixture(census):
    command = [sys.executable, "-m", "estimator_app.main", "data", "bench"]
    return lambda *flags: subprocess.run(
        [*command, f"--train_data={census.train}", "--label_column=income", *flags],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_each_stage_of_a_job_is_timed(bench):
    done = bench("--model=baseline", "--batch_size=16", "--shuffle_buffer=50", "--secs=0.2")
    assert done.returncode == 0, done.stderr
    rates = {
        name: float(rate.replace(",", ""))
        for name, rate in re.findall(r"^(\w[\w ]*?) {2,}([\d,.e+]+) ", done.stdout, re.MULTILINE)
    }
    stages = [
        "first pass",
        "disk",
        "read",
        "type",
        "order",
        "dataset",
        "cached",
        "model",
        "training",
    ]
    assert list(rates) == stages
    assert all(rate > 0 for rate in rates.values())
    assert "of what the model does alone" in done.stdout
    assert "INFO" not in done.stderr and "timing: training ..." in done.stderr


def test_the_schema_and_the_file_of_features_are_heeded(bench, tmp_path):
    features = tmp_path / "features.yaml"
    features.write_text("nothing: numeric\n")
    done = bench("--model=linear", f"--features={features}", "--secs=0.1", "--batch_size=200")
    assert done.returncode == 2
    assert f"error: {features}, line 1, feature 'nothing': expected a feature of" in done.stderr
    done = bench("--model=linear", "--schema=none.pbtxt")
    assert done.returncode == 2 and "error: Cannot read the schema none.pbtxt" in done.stderr


def test_a_wrong_job_gets_one_sentence(bench):
    done = bench("--model=nonsense")
    assert done.returncode == 2
    assert "error: " in done.stderr and "Traceback" not in done.stderr
