"""The model directory as the record of a job: its settings, its schema, its result, whether it is finished.

Every file is written beside its place and renamed, so that a killed job leaves the old file or the new one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
import tempfile
from typing import Any, Iterator, Optional

from estimator_app import feature_file
from estimator_app import settings as settings_lib
from estimator_app import vocabulary_files

SETTINGS = "run_settings.json"
RESULT = "run_result.json"
SCHEMA = "schema.pbtxt"
STATISTICS = "statistics.pbtxt"
BAD_ROWS = "bad_rows.csv"
CACHE = "cache"
POSITIONS = "input_positions.json"
FEATURES = "features.yaml"
VOCABULARIES = "vocabularies.json"
LOCK = ".lock"

# What makes a job that job: the model, the data it learns from and what is learnt. The rest may change between starts.
_FIXED = {
    "model": None,
    "input": (
        *("data", "train_data", "train_query", "format", "columns", "delimiter"),
        *("image_size", "image_channels", "validation_share"),
        *("label_column", "weight_column", "schema", "task", "bad_rows"),
        "class_balance",
    ),
}

# file_io.atomic_write_string_to_file; the sharded saver's directory.
_LEFTOVER = re.compile(r"(graph\.pbtxt|checkpoint)\.tmp.*|model\.ckpt-\d+_temp(_[0-9a-f]+)?")


class JobDirError(ValueError):
    """The model directory cannot be used for this job."""


def is_started(model_dir: str) -> bool:
    """Returns True if there is a checkpoint: only then are settings, schema and statistics in the directory binding."""
    return os.path.exists(os.path.join(model_dir, "checkpoint"))


def check(settings: settings_lib.RunSettings) -> None:
    """Refuses directories that this job cannot use, before any work is done; writes nothing.

    Raises:
      JobDirError: a directory cannot be written to, or the model directory belongs to a job with other settings; the
        sentence has the difference.
    """
    model_dir = settings.train.model_dir
    _check_writable("model_dir", model_dir)
    _check_writable("export_dir", settings.export_dir)
    if not is_started(model_dir):
        return
    recorded = read_json(os.path.join(model_dir, SETTINGS))
    if recorded is None:
        raise JobDirError(
            f"Expected --model_dir={model_dir} to be empty or a job of this program, found checkpoints without "
            f"{SETTINGS}. Choose another --model_dir."
        )
    differences = _differences(recorded, settings) + _feature_differences(recorded, settings)
    if differences:
        raise JobDirError(
            f"Expected the settings that {model_dir} was made with, found others: {'; '.join(differences)}. "
            f"Repeat the recorded values, or choose another --model_dir."
        )


@contextlib.contextmanager
def lock(model_dir: str) -> Iterator[None]:
    """Makes the model directory and keeps other starts out of it; the lock goes with the process.

    Raises:
      JobDirError: another start is at work in it.
    """
    os.makedirs(model_dir, exist_ok=True)
    with open(os.path.join(model_dir, LOCK), "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise JobDirError(
                f"Expected nobody else to train in {model_dir}, found process {file.read().strip() or 'unknown'} at "
                f"work there. Wait for it, stop it, or choose another --model_dir."
            ) from None
        except OSError:
            pass  # a file system without locks
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def record(settings: settings_lib.RunSettings) -> None:
    """Writes the settings, a copy of the file of `--features` and what its vocabulary files were into the directory."""
    if settings.model.features:
        write_json(
            os.path.join(settings.train.model_dir, VOCABULARIES),
            vocabulary_files.digests(settings.model.features),
        )
        with open(settings.model.features, encoding="utf-8") as given:
            text = given.read()
        with replacing(os.path.join(settings.train.model_dir, FEATURES)) as file:
            file.write(text)
    write_json(os.path.join(settings.train.model_dir, SETTINGS), settings.as_dict())


def read_result(model_dir: str) -> Optional[dict[str, Any]]:
    """Returns what the last finished start of the job recorded, or None."""
    return read_json(os.path.join(model_dir, RESULT))


def changed_vocabularies(model_dir: str) -> list[str]:
    """Returns the vocabulary files of `--features` that hold something else than when the job last started."""
    recorded = read_json(os.path.join(model_dir, VOCABULARIES))
    if not recorded:
        return []
    now = vocabulary_files.digests(os.path.join(model_dir, FEATURES))
    return [path for path, digest in recorded.items() if now.get(path) != digest]


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


def read_json(path: str) -> Optional[dict[str, Any]]:
    """Returns what a JSON file holds, None if it is not there; raises JobDirError if it is no JSON."""
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


def _differences(recorded: dict[str, Any], settings: settings_lib.RunSettings) -> list[str]:
    """Returns one text for each fixed setting that changed, such as "--dropout was 0.5, is 0.0"."""
    texts = []
    for section, names in _FIXED.items():
        given = settings.as_dict()[section]
        fields = dataclasses.fields(getattr(settings, section))
        # A job of before there was that setting has its default.
        defaults = {field.name: field.default for field in fields}
        for name in names or sorted(set(given) - {"features"}):
            old, new = recorded.get(section, {}).get(name, defaults[name]), given[name]
            old = list(old) if isinstance(old, tuple) else old
            if (old or None) != (new or None):
                texts.append(f"--{name} was {_text(old)}, is {_text(new)}")
    return texts


def _feature_differences(recorded: dict[str, Any], settings: settings_lib.RunSettings) -> list[str]:
    """Returns one text if the files of `--features` say different things; their paths may differ."""
    old, new = recorded.get("model", {}).get("features"), settings.model.features
    if not old or not new:
        return [f"--features was {_text(old)}, is {_text(new)}"] if old or new else []
    copy = os.path.join(settings.train.model_dir, FEATURES)
    was, now = feature_file.read(copy), feature_file.read(new)
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    texts = [f"{new} has other lines on {', '.join(names)} than {copy}"] if names else []
    changed = changed_vocabularies(settings.train.model_dir)
    return texts + [f"the vocabulary file {path} holds something else" for path in changed]


def _text(value: Any) -> str:
    if value in (None, "", []):
        return "not given"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _check_writable(flag: str, directory: str) -> None:
    """Raises JobDirError unless a file can be made in the directory, or in the first of its parents that is there."""
    present = os.path.abspath(directory)
    while not os.path.lexists(present):
        present = os.path.dirname(present)
    try:
        with tempfile.TemporaryFile(dir=present):
            pass
    except NotADirectoryError:
        raise JobDirError(
            f"Expected --{flag}={directory} to be a directory, found a file at {present}. Choose another --{flag}."
        ) from None
    except OSError as error:
        raise JobDirError(
            f"Expected --{flag}={directory} to be a directory that can be written to, found: {error.strerror}. "
            f"Choose another --{flag}, or make room and permissions."
        ) from error
