"""The model directory as the record of a job: its settings, its schema, its result, whether it is finished.

Every file is written beside its place and renamed, so that a killed job leaves the old file or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from typing import Any, Iterator, Optional

from estimator_app import settings as settings_lib

SETTINGS = "run_settings.json"
RESULT = "run_result.json"
SCHEMA = "schema.pbtxt"
STATISTICS = "statistics.pbtxt"
BAD_ROWS = "bad_rows.csv"

# What makes a job that job: the model, the data it learns from and what is learnt. The rest may change between starts.
_FIXED = {
    "model": None,
    "input": ("data", "train_data", "label_column", "weight_column", "schema", "task", "bad_rows"),
}

# file_io.atomic_write_string_to_file; the sharded saver's directory.
_LEFTOVER = re.compile(r"(graph\.pbtxt|checkpoint)\.tmp.*|model\.ckpt-\d+_temp(_[0-9a-f]+)?")


class JobDirError(ValueError):
    """The model directory cannot be used for this job."""


def check(settings: settings_lib.RunSettings) -> None:
    """Refuses a model directory that this job cannot use, before any work is done; writes nothing.

    Raises:
      JobDirError: it cannot be written to, or it belongs to a job with other settings; the sentence has the difference.
    """
    model_dir = settings.train.model_dir
    _check_writable(model_dir)
    recorded = _read_json(os.path.join(model_dir, SETTINGS))
    if recorded is not None:
        differences = _differences(recorded, settings.as_dict())
        if differences:
            raise JobDirError(
                f"Expected the settings that {model_dir} was made with, found others: {'; '.join(differences)}. "
                f"Repeat the recorded values, or choose another --model_dir."
            )
    elif os.path.isdir(model_dir) and any(
        name == "checkpoint" or name.startswith("model.ckpt-") for name in os.listdir(model_dir)
    ):
        raise JobDirError(
            f"Expected --model_dir={model_dir} to be empty or a job of this program, found checkpoints without "
            f"{SETTINGS}. Choose another --model_dir."
        )


def record(settings: settings_lib.RunSettings) -> None:
    """Makes the model directory and writes the settings into it: from here on it belongs to this job."""
    os.makedirs(settings.train.model_dir, exist_ok=True)
    write_json(os.path.join(settings.train.model_dir, SETTINGS), settings.as_dict())


def read_result(model_dir: str) -> Optional[dict[str, Any]]:
    """Returns what the last finished start of the job recorded, or None."""
    return _read_json(os.path.join(model_dir, RESULT))


def remove_leftovers(model_dir: str) -> None:
    """Removes what TensorFlow had begun to write when a save failed: written beside the place, but never tidied up."""
    for name in os.listdir(model_dir) if os.path.isdir(model_dir) else ():
        if _LEFTOVER.fullmatch(name):
            path = os.path.join(model_dir, name)
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.remove(path)


def write_json(path: str, value: Any) -> None:
    """Writes `value` as JSON, beside its place and renamed."""
    with replacing(path) as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


@contextlib.contextmanager
def replacing(path: str) -> Iterator[Any]:
    """Opens a text file that takes the place of `path` when it is complete, leaving nothing behind otherwise."""
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            yield file
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def _read_json(path: str) -> Optional[dict[str, Any]]:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise JobDirError(
            f"Expected {path} to be JSON written by an earlier start, found: {error}. Restore it, or choose another "
            f"--model_dir."
        ) from None


def _differences(recorded: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """Returns one text for each fixed setting that changed, such as "--dropout was 0.5, is 0.0"."""
    texts = []
    for section, names in _FIXED.items():
        for name in names or sorted(given[section]):
            old, new = recorded.get(section, {}).get(name), given[section].get(name)
            if old != new:
                texts.append(f"--{name} was {_text(old)}, is {_text(new)}")
    return texts


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "not given" if value in (None, "") else str(value)


def _check_writable(model_dir: str) -> None:
    """Raises JobDirError unless a file can be made in the directory, or in the first of its parents that is there."""
    present = os.path.abspath(model_dir)
    while not os.path.lexists(present):
        present = os.path.dirname(present)
    try:
        with tempfile.TemporaryFile(dir=present):
            pass
    except NotADirectoryError:
        raise JobDirError(
            f"Expected --model_dir={model_dir} to be a directory, found a file at {present}. "
            f"Choose another --model_dir."
        ) from None
    except OSError as error:
        raise JobDirError(
            f"Expected --model_dir={model_dir} to be a directory that can be written to, found: {error.strerror}. "
            f"Choose another --model_dir, or make room and permissions."
        ) from error
