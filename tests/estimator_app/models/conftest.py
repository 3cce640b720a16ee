"""Jobs of a few steps, one for each model."""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
import pathlib

import pytest
import tensorflow as tf

from estimator_app import run as run_lib
from estimator_app import settings as settings_lib
from estimator_app.models import registry
from input_fns import settings as input_settings
from tests.estimator_app.conftest import Files, Job

SETTINGS = {
    field.name: field.default
    for field in dataclasses.fields(settings_lib.ModelSettings)
    if field.name != "model"
}

# A value that is not the default, for every setting that goes with every label.
OTHER = settings_lib.ModelSettings(
    hidden_units=(4,),
    activation="tanh",
    dropout=0.25,
    batch_norm=True,
    optimizer="ftrl",
    learning_rate=0.01,
    l1=0.001,
    l2=0.001,
    loss_reduction="sum",
    n_trees=5,
    max_depth=3,
    num_clusters=3,
    fine_tune=True,
    cell_type="gru",
    sequence_columns=("words",),
)

KEPT = ("age", "hours-per-week", "education", "gender", "income")


@pytest.fixture(scope="session")
def small_table(census, tmp_path_factory) -> Files:
    """Some of census' columns, so that graphs are quickly built, and `row`, another text in every row."""
    directory = tmp_path_factory.mktemp("small")

    def narrow(path: str) -> str:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        target = directory / pathlib.Path(path).name
        with open(target, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["row", *KEPT], extrasaction="ignore")
            writer.writeheader()
            writer.writerows({"row": f"row {i}", **row} for i, row in enumerate(rows))
        return str(target)

    return Files(narrow(census.train), narrow(census.eval))


@pytest.fixture(scope="session")
def small_lists(small_table, tmp_path_factory) -> Files:
    """The same rows with two columns of lists, both of any length: `words` and `tags`; some are empty."""
    directory = tmp_path_factory.mktemp("lists")

    def to_lists(path: str) -> str:
        target = directory / f"{pathlib.Path(path).stem}.jsonl"
        with open(path, encoding="utf-8", newline="") as file, open(target, "w") as lines:
            for i, row in enumerate(csv.DictReader(file)):
                words = [*row["education"].split("-"), row["gender"]][: i % 4]
                record = {"age": int(row["age"]), "words": words, "tags": list(row["gender"])}
                lines.write(json.dumps({**record, "income": row["income"]}) + "\n")
        return str(target)

    return Files(to_lists(small_table.train), to_lists(small_table.eval))


@pytest.fixture(scope="session")
def run_job(make_settings, small_table, tmp_path_factory):
    """Returns a function that runs a job of a few steps on the small table, or with `data="mnist"` on digits."""

    def run(data="", **changes) -> Job:
        files = {"train_data": small_table.train, "eval_data": small_table.eval}
        changes = {"max_steps": 5, **files, **changes}
        model_dir = changes.pop("model_dir", None) or tmp_path_factory.mktemp("jobs") / "job"
        settings = make_settings(model_dir, **changes)
        if data:
            batch = changes.get("batch_size", 32)
            settings = dataclasses.replace(
                settings, input=input_settings.InputSettings(data=data, batch_size=batch, seed=1)
            )
        return Job(settings, run_lib.run(settings))

    return run


@pytest.fixture(scope="session")
def extractor(tmp_path_factory) -> str:
    """Path of a SavedModel: `[batch, 12, 12, 3]` -> `[batch, 12, 12, 4]`, with a variable that this does not need."""

    class Extractor(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.random.stateless_normal([3, 3, 3, 4], seed=(1, 2)))
            self.old_head = tf.Variable([1.0, 2.0])

        @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 3])])
        def __call__(self, images: tf.Tensor) -> tf.Tensor:
            return tf.nn.relu(tf.nn.conv2d(images, self.kernel, 1, "SAME"))

    path = str(tmp_path_factory.mktemp("extractors") / "tiny")
    tf.saved_model.save(Extractor(), path)
    return path


@pytest.fixture(scope="session")
def job_of(run_job, extractor, small_lists):
    """Returns a function: a model's name -> its job, with another value of every setting that it takes; made once."""

    @functools.cache
    def find(name: str) -> Job:
        model = registry.MODELS[name]
        changed = {
            field: getattr(OTHER, field)
            for field in model.settings
            if getattr(OTHER, field) != SETTINGS[field]
        }
        if "extractor" in model.settings:
            changed["extractor"] = extractor
        if "sequence_columns" in model.settings:
            changed |= {"train_data": small_lists.train, "eval_data": small_lists.eval}
        data = "mnist" if model.takes_images else ""
        return run_job(data=data, model=name, max_steps=3, eval_steps=2, batch_size=8, **changed)

    return find
