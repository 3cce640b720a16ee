"""Small real jobs: the first rows of census, and one trained model that tests share."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import itertools
import pathlib
import subprocess
import sys

import pytest

from estimator_app import run as run_lib
from estimator_app import settings as settings_lib
from estimator_app.models import registry
from estimator_app.result import RunResult
from export import settings as export_settings
from input_fns import packaged
from input_fns import settings as input_settings

TRAIN_ROWS = 600
EVAL_ROWS = 200
NARROW = ("age", "education", "fnlwgt", "gender", "hours-per-week", "income")

_NETWORKS = [name for name, model in registry.MODELS.items() if "hidden_units" in model.settings]


@dataclasses.dataclass(frozen=True)
class Files:
    """CSV files with the first rows of census."""

    train: str
    eval: str


@pytest.fixture(scope="session")
def census(tmp_path_factory) -> Files:
    """600 training rows and 200 evaluation rows."""
    directory = tmp_path_factory.mktemp("census")
    data = packaged.find("census")
    for name, source, rows in (
        ("train", data.train_files[0], TRAIN_ROWS),
        ("eval", data.eval_files[0], EVAL_ROWS),
    ):
        with gzip.open(source, "rt", encoding="utf-8") as file:
            (directory / f"{name}.csv").write_text(
                "".join(itertools.islice(file, rows + 1)), encoding="utf-8"
            )
    return Files(str(directory / "train.csv"), str(directory / "eval.csv"))


@pytest.fixture(scope="session")
def narrow_census(census, tmp_path_factory) -> Files:
    """The same rows with a few of their columns, so that graphs are quickly built."""
    directory = tmp_path_factory.mktemp("narrow")

    def narrow(path: str) -> str:
        target = directory / pathlib.Path(path).name
        with open(path, encoding="utf-8", newline="") as file, open(target, "w") as kept:
            writer = csv.DictWriter(kept, NARROW, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(csv.DictReader(file))
        return str(target)

    return Files(narrow(census.train), narrow(census.eval))


@pytest.fixture
def run_data():
    """Runs `estimator-train data` to its end; gives exit code, output and error."""

    def run(*args: object, **kwargs: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "estimator_app.main", "data", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)

    return run


@pytest.fixture(scope="session")
def make_settings(narrow_census):
    """Returns settings of a job that takes a second or two; keyword arguments go to the section that has the field."""

    def make(model_dir: pathlib.Path, **changes: object) -> settings_lib.RunSettings:
        values = {
            "train_data": narrow_census.train,
            "eval_data": narrow_census.eval,
            "label_column": "income",
            "batch_size": 32,
            "model_dir": str(model_dir),
            "model": "baseline",
            **({"hidden_units": (8,)} if changes.get("model") in _NETWORKS else {}),
            "max_steps": 20,
            "save_summary_steps": 10,
            "seed": 1,
            **changes,
        }

        def section(cls: type) -> object:
            names = {field.name for field in dataclasses.fields(cls)}
            return cls(**{name: value for name, value in values.items() if name in names})

        return settings_lib.RunSettings(
            input=section(input_settings.InputSettings),
            train=section(settings_lib.TrainSettings),
            model=section(settings_lib.ModelSettings),
            export=section(export_settings.ExportSettings),
        )

    return make


@dataclasses.dataclass(frozen=True)
class Job:
    """A finished job."""

    settings: settings_lib.RunSettings
    result: RunResult

    @property
    def model_dir(self) -> pathlib.Path:
        return pathlib.Path(self.settings.train.model_dir)


@pytest.fixture(scope="session")
def wide_and_deep(make_settings, census, tmp_path_factory) -> Job:
    """A wide-and-deep classifier on every column after 20 steps, exported. Shared: tests must not write into it."""
    settings = make_settings(
        tmp_path_factory.mktemp("jobs") / "wide_and_deep",
        model="dnn_linear",
        train_data=census.train,
        eval_data=census.eval,
    )
    return Job(settings, run_lib.run(settings))
