"""Where examples come from: one small class a format, and the choice between them.

A source is a list of shards (files, or what else can be read on its own and in any order) with the
same columns in each. A new format is one more class with these members.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from input_fns import blocks, csv_files, errors, idx_files, packaged
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib

ROLES = ("train", "eval")


class Source(Protocol):
    """Examples that can be read more than once.

    Attributes:
        files: the shards' names.
        column_names: the columns of the first shard in file order, label and weight included.
        label_column: the column to learn; empty when the examples have none.
        weight_column: the column of example weights, or empty.
        task: "auto", "classification" or "regression".
    """

    files: tuple[str, ...]
    column_names: tuple[str, ...]
    label_column: str
    weight_column: str
    task: str

    def check_columns(self, needed: Sequence[str], known: Sequence[str]) -> None:
        """Raises SchemaError, with the file's name, if a shard misses a needed column or has one
        that is not known."""

    def read(self, file: str) -> Iterator[blocks.RawBlock]:
        """The rows of one of `files`, in order."""


class CsvSource:
    """CSV files with a header; see `csv_files`."""

    def __init__(
        self,
        files: tuple[str, ...],
        label_column: str = "",
        weight_column: str = "",
        task: str = "auto",
    ) -> None:
        """Reads the headers, and no row.

        Raises:
            FileError: a file is unusable.
            SchemaError: a header lacks the label or the weight.
        """
        self.files, self.task = files, task
        self.label_column, self.weight_column = label_column, weight_column
        self._headers = {file: csv_files.read_header(file) for file in files}
        self.column_names = self._headers[files[0]]
        for file, header in self._headers.items():
            for role, name in (("label", label_column), ("weight", weight_column)):
                if name and name not in header:
                    raise errors.SchemaError(
                        f"{file} has no {role} column {name!r}. Its columns are: "
                        f"{', '.join(header)}. Correct --{role}_column or the header."
                    )

    def check_columns(self, needed: Sequence[str], known: Sequence[str]) -> None:
        """Raises SchemaError if a file misses a needed column or has one that is not known."""
        for file, header in self._headers.items():
            missing = [name for name in needed if name not in header]
            unknown = [name for name in header if name not in known]
            if missing:
                raise errors.SchemaError(
                    f"{file} misses the column{_plural(missing)} {_quote(missing)}. Its columns "
                    f"are: {', '.join(header)}. Add what is missing or correct the header."
                )
            if unknown:
                raise errors.SchemaError(
                    f"{file} has the column{_plural(unknown)} {_quote(unknown)}, which the schema "
                    f"does not know. Known columns: {', '.join(known)}. Remove the column, or "
                    "declare it in the schema."
                )

    def read(self, file: str) -> Iterator[blocks.RawBlock]:
        """The rows of one file, in order, as text."""
        return csv_files.read_blocks(file, self._headers[file])


class IdxSource:
    """A file of images and one of labels; see `idx_files`."""

    def __init__(self, images: str, labels: str) -> None:
        """Reads the headers, and no example.

        Raises:
            FileError: a file is unusable.
        """
        self._labels = labels
        self.files: tuple[str, ...] = (images,)
        self.column_names: tuple[str, ...] = (idx_files.IMAGE, idx_files.LABEL)
        self.label_column, self.weight_column = idx_files.LABEL, ""
        self.task = "classification"
        idx_files.read_shape(images, 3)
        idx_files.read_shape(labels, 1)

    def check_columns(self, needed: Sequence[str], known: Sequence[str]) -> None:
        """Raises SchemaError if the schema is not one of an image and a label."""
        if not set(needed) <= set(self.column_names) <= set(known):
            raise errors.SchemaError(
                f"{self.files[0]} has the columns {', '.join(self.column_names)}, the schema "
                f"{', '.join(known)}. Take the schema that was inferred from such images."
            )

    def read(self, file: str) -> Iterator[blocks.RawBlock]:
        """The examples of the one file, in order."""
        return idx_files.read_blocks(file, self._labels)


def open_source(
    settings: settings_lib.InputSettings, role: str, schema: schema_lib.Schema | None = None
) -> Source:
    """The examples that the settings name.

    Args:
        settings: what to read.
        role: "train" or "eval".
        schema: a given one; its label and weight stand in where the settings name none.

    Raises:
        InputError: the files are not there or not usable; nothing but their headers was read.
    """
    if role not in ROLES:
        raise ValueError(f"role must be one of {ROLES}, not {role!r}")
    label, weight = settings.label_column, settings.weight_column
    if schema is not None:
        label = label or (schema.label.name if schema.label else "")
        weight = weight or (schema.weight.name if schema.weight else "")
    if not settings.data:
        patterns = settings.train_data if role == "train" else settings.eval_data
        if not patterns:
            raise errors.SettingsError(
                "There is no evaluation data. Pass --eval_data beside --train_data."
            )
        return CsvSource(csv_files.find_files(patterns), label, weight, settings.task)
    data = packaged.find(settings.data)
    files = data.train_files if role == "train" else data.eval_files
    if data.format == "idx":
        _check_fixed(settings, data)
        return IdxSource(*files)
    own_label = label in ("", data.label_column)
    task = data.task if own_label and settings.task == "auto" else settings.task
    return CsvSource(files, label or data.label_column, weight, task)


def _check_fixed(settings: settings_lib.InputSettings, data: packaged.PackagedData) -> None:
    wanted = {
        "label_column": (settings.label_column, data.label_column),
        "weight_column": (settings.weight_column, ""),
        "task": (settings.task.replace("auto", ""), data.task),
    }
    for name, (given, has) in wanted.items():
        if given and given != has:
            raise errors.SettingsError(
                f"--data={data.name} and --{name}={given} contradict each other: the data's own "
                f"is {has or 'none'}. Leave --{name} out."
            )


def _plural(names: Sequence[str]) -> str:
    return "s" if len(names) > 1 else ""


def _quote(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
