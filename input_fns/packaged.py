"""The data sets that come with the package, by name."""

from __future__ import annotations

import dataclasses
import os

from input_fns import errors

_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "packaged_data")


@dataclasses.dataclass(frozen=True)
class PackagedData:
    """Where a packaged data set lies and what is learned from it.

    Attributes:
        name: what `--data` calls it.
        train_files: paths of the training part.
        eval_files: paths of the evaluation part, likewise.
        label_column: the column to learn.
        task: what kind of label it is: "classification" or "regression".
    """

    name: str
    train_files: tuple[str, ...]
    eval_files: tuple[str, ...]
    label_column: str
    task: str


def _paths(name: str, *files: str) -> tuple[str, ...]:
    return tuple(os.path.join(_ROOT, name, file) for file in files)


DATA_SETS = {
    "census": PackagedData(
        name="census",
        train_files=_paths("census", "train.csv.gz"),
        eval_files=_paths("census", "eval.csv.gz"),
        label_column="income",
        task="classification",
    ),
    "mnist": PackagedData(
        name="mnist",
        train_files=_paths("mnist", "train-images-idx3-ubyte.gz"),
        eval_files=_paths("mnist", "t10k-images-idx3-ubyte.gz"),
        label_column="label",
        task="classification",
    ),
}


def find(name: str) -> PackagedData:
    """The packaged data set of that name.

    Raises:
        SettingsError: there is none; the sentence lists the known ones.
    """
    if name not in DATA_SETS:
        raise errors.SettingsError(
            f"Unknown packaged data {name!r}. Known: {', '.join(sorted(DATA_SETS))}. Your own "
            "files are given with --train_data."
        )
    return DATA_SETS[name]
