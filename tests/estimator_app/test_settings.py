"""Settings refuse what no job can have, in one sentence."""

import dataclasses
import re

import pytest

from estimator_app import settings
from input_fns import settings as input_settings


@pytest.mark.parametrize(
    "make, sentence",
    [
        (
            lambda: settings.TrainSettings(),
            "Expected --model_dir, the directory that keeps the job",
        ),
        (
            lambda: settings.TrainSettings(model_dir="m", max_steps=10, train_epochs=2),
            "Expected one of --max_steps and --train_epochs, found both (10 and 2). Leave one out.",
        ),
        (
            lambda: settings.TrainSettings(model_dir="m", max_steps=0),
            "Expected --max_steps > 0; found 0.",
        ),
        (
            lambda: settings.TrainSettings(model_dir="m", progress="loud"),
            "Expected --progress to be one of auto, bar, lines, none; found 'loud'.",
        ),
        (
            lambda: settings.TrainSettings(model_dir="m", max_drift=2.0),
            "Expected --max_drift from 0 to 1; found 2.0.",
        ),
        (
            lambda: settings.TrainSettings(model_dir="m", warm_start_vars="dnn/"),
            "Expected --warm_start_vars with --warm_start_from alone; found 'dnn/'.",
        ),
        (lambda: settings.ModelSettings(model=""), "Expected --model to name a model; found none."),
        (
            lambda: input_settings.InputSettings(data="mnist", augment_flip="up"),
            "--augment_flip must be one of horizontal, vertical, both, not 'up'.",
        ),
        (lambda: settings.ModelSettings(hidden_units=(8, 0)), "found '8,0'."),
        (lambda: settings.ModelSettings(l1=-1.0), "Expected a finite --l1 >= 0; found -1.0."),
        (lambda: settings.ModelSettings(num_clusters=0), "Expected --num_clusters >= 1; found 0."),
        (
            lambda: settings.ModelSettings(loss_reduction="mean"),
            "Expected --loss_reduction to be one of sum, sum_over_batch_size; found 'mean'.",
        ),
        (lambda: settings.ModelSettings(dropout=1.0), "Expected 0 <= --dropout < 1; found 1.0."),
        (
            lambda: settings.ModelSettings(optimizer="adamw"),
            "Expected --optimizer to be one of adagrad, adam, ftrl, momentum, rmsprop, sdca, sgd; found 'adamw'.",
        ),
    ],
)
def test_wrong_value_is_refused_with_expectation_and_finding(make, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make()


def test_settings_cannot_be_changed():
    made = settings.ModelSettings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.model = "linear"


def test_exports_go_below_the_model_directory_by_default():
    run = settings.RunSettings(
        input=input_settings.InputSettings(data="census"),
        train=settings.TrainSettings(model_dir="runs/x"),
    )
    assert run.export_dir == "runs/x/export"
