"""A job that is interrupted and resumed is the job that was not."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import run as run_lib


def variables(model_dir: pathlib.Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(model_dir))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def train(model_dir: pathlib.Path, files, steps: int, **flags: object) -> None:
    given = {
        "train_data": files.train,
        "eval_data": files.eval,
        "label_column": "income",
        "model": "dnn",
        "hidden_units": "16,8",
        "dropout": 0.2,
        "batch_size": 32,
        "model_dir": model_dir,
        "max_steps": steps,
        "progress": "none",
        "seed": 3,
        "deterministic": "true",
        **flags,
    }
    subprocess.run(
        [sys.executable, "-m", "estimator_app.main", *(f"--{k}={v}" for k, v in given.items())],
        check=True,
        timeout=240,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")]),
        },
    )


def test_two_deterministic_runs_are_equal_to_the_last_bit(narrow_census, tmp_path):
    for name in ("one", "two"):
        train(tmp_path / name, narrow_census, 30)
    one, two = variables(tmp_path / "one"), variables(tmp_path / "two")
    assert set(one) == set(two)
    for name, value in one.items():
        assert np.array_equal(value, two[name]), name


@pytest.mark.parametrize("shuffle_buffer", [100_000, 100])
def test_a_resumed_job_goes_on_with_the_next_row(make_settings, tmp_path, shuffle_buffer):
    def job(name: str, steps: int) -> None:
        run_lib.run(
            make_settings(
                tmp_path / name,
                model="baseline",
                learning_rate=0.5,
                max_steps=steps,
                shuffle_buffer=shuffle_buffer,
                train_epochs=None,
            )
        )

    job("whole", 50)
    job("parted", 23)
    kept = json.loads((tmp_path / "parted" / "input_positions.json").read_text())
    assert kept["23"] == {"seed": 1, "epoch": 1, "rows": 23 * 32 - 600}
    job("parted", 50)
    whole, parted = variables(tmp_path / "whole"), variables(tmp_path / "parted")
    for name, value in whole.items():
        np.testing.assert_allclose(parted[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    kept = json.loads((tmp_path / "parted" / "input_positions.json").read_text())
    assert set(kept) == {"0", "23", "50"}


@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_balanced_classes_are_predicted_as_often(make_settings, tmp_path, balance):
    """One row in four earns over 50K: what predicts shares alone says 1/4, of balanced classes 1/2."""
    result = run_lib.run(
        make_settings(
            tmp_path / balance,
            class_balance=balance,
            max_steps=200,
            shuffle_buffer=1000,
        )
    )
    assert result.metrics["prediction/mean"] == pytest.approx(0.5, abs=0.06)
    assert result.metrics["label/mean"] < 0.3  # the evaluation's rows weigh and come as they are


def test_a_cache_of_files_lies_in_the_model_directory(make_settings, tmp_path):
    run_lib.run(make_settings(tmp_path / "job", cache="file", shuffle_buffer=0))
    assert len(list((tmp_path / "job" / "cache").iterdir())) == 2
