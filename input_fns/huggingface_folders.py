"""Folders as `save_to_disk` of Hugging Face's datasets writes them: Arrow streams, so that package is not needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from input_fns import arrow_files, blocks, errors, files, formats
from input_fns import settings as settings_lib

_EXPECTED = "a folder as save_to_disk of datasets writes it"


class HuggingFaceFormat:
    """See `sources.Format`. A path is the folder of a dataset, or of a dataset dict, of which the role takes its own
    split: for evaluation `validation` before `test`, whose labels are often kept secret.

    Classes (`ClassLabel`) are read as they are stored, as ids from 0 on; -1, which stands for no label, is a bad row.
    """

    label = ""

    def __init__(self, role: str) -> None:
        """Makes a reader.

        Args:
            role: "train" or "eval".
        """
        self._role, self._arrow = role, arrow_files.ArrowFormat()

    def columns(self, path: str) -> tuple[str, ...]:
        """The columns, from the schema of the first file."""
        shards = self.shards(path)
        names = arrow_files.read_columns(self._files(path)[0]) if shards else ()
        if not any(True for shard in shards for _ in self.read(shard, names)):
            raise errors.EmptyFileError(f"{path} holds no row. Remove the folder or give it rows.")
        return names

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The files."""
        return tuple(blocks.Shard(path, part) for part, _ in enumerate(self._files(path)))

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows of one file, numbered in that file."""
        file = self._files(shard.path)[shard.part]
        yield from self._arrow.read(blocks.Shard(file), columns)

    def holds_both(self, path: str) -> bool:
        """Whether it is a dataset dict with a split for training and one for evaluation."""
        return all(_choose_split(path, role) for role in formats.SPLITS)

    def _files(self, path: str) -> list[str]:
        """The Arrow files of the role's part, in order."""
        folder = path.rstrip("/")
        splits = _read_splits(folder)
        if splits is not None:
            split = _choose_split(folder, self._role)
            if not split:
                raise errors.FileError(
                    f"{path} holds the splits {', '.join(splits)}. Expected one of "
                    f"{', '.join(formats.SPLITS[self._role])}; or name the folder of one, such as "
                    f"--{self._role}_data={folder}/{splits[0]}."
                )
            folder = f"{folder}/{split}"
        state = _read_json(f"{folder}/state.json")
        if state is None or "_data_files" not in state:
            raise errors.FileError(
                f"{folder} holds no state.json that lists Arrow files. Expected {_EXPECTED}."
            )
        if state.get("_indices_data_files"):
            raise errors.FileError(
                f"{folder} keeps the choice and order of its rows in a file of its own, as old versions did. Save it "
                "again: load_from_disk(...).flatten_indices().save_to_disk(...)."
            )
        try:
            return [f"{folder}/{file['filename']}" for file in state["_data_files"]]
        except (KeyError, TypeError) as error:
            raise files.unreadable(f"{folder}/state.json", error, _EXPECTED) from error


def make(settings: settings_lib.InputSettings, role: str) -> HuggingFaceFormat:
    """The reader; see `formats.FORMATS`."""
    del settings
    return HuggingFaceFormat(role)


def _read_splits(folder: str) -> list[str] | None:
    """The splits of a dataset dict; None for another folder."""
    found = _read_json(f"{folder}/dataset_dict.json")
    if found is None:
        return None
    splits = found.get("splits")
    if not isinstance(splits, list):
        fault = ValueError("it lists no splits")
        raise files.unreadable(f"{folder}/dataset_dict.json", fault, _EXPECTED)
    return splits


def _choose_split(folder: str, role: str) -> str:
    splits = _read_splits(folder) or []
    return next((name for name in formats.SPLITS[role] if name in splits), "")


def _read_json(path: str) -> dict[str, Any] | None:
    """The object in that file; None if there is none."""
    try:
        with files.open_raw(path) as file:
            return files.read_json_object(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise files.unreadable(path, error, _EXPECTED) from error
