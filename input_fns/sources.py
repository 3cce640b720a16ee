"""Examples that can be read more than once: files of one format, and what is learned from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import importlib
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from input_fns import blocks, errors, files, formats, list_cells, packaged
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib

ROLES = ("train", "eval")


class Format(Protocol):
    """Reads files of one kind; `formats.FORMATS` lists them.

    Attributes:
        label: the column to learn, where the format itself knows it; else empty.
    """

    label: str

    def columns(self, path: str) -> tuple[str, ...]:
        """The file's columns, in its order; of its rows no more is read than that takes.

        Raises:
            FileError: the file cannot be read or has no row.
        """

    def shards(self, path: str) -> Sequence[blocks.Shard]:
        """The parts of the file that can be read in any order, in its own order."""

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows of a part, in order, in blocks of bounded size.

        Args:
            shard: one of `shards`.
            columns: what `columns` gave for the file.

        Raises:
            FileError: the file turns out damaged.
        """


@runtime_checkable
class IndexedFormat(Format, Protocol):
    """A format whose rows can be read in any order, so that they need not be held to be shuffled."""

    def num_rows(self, path: str) -> int:
        """How many rows there are, bad ones counted in."""

    def block_rows(self, path: str) -> int:
        """How many rows to read at a time."""

    def read_rows(self, path: str, index: np.ndarray) -> blocks.RawBlock:
        """The rows at those places, `[n]` int in [0, num_rows), in that order; bad ones apart."""


@runtime_checkable
class SplitFormat(Format, Protocol):
    """A format of which one file or folder may hold both training and evaluation rows; the role takes its own."""

    def holds_both(self, path: str) -> bool:
        """Whether this one does."""


@runtime_checkable
class JoinedFormat(Format, Protocol):
    """A format of which several files may hold the columns of the same rows."""

    def join(self, paths: Sequence[str]) -> tuple[str, ...]:
        """The same files, such ones under one name, by which they are read.

        Raises:
            FileError: they cannot stand side by side.
        """


class Source:
    """Files with the same columns, split into shards that can be read in any order.

    Attributes:
        files: their paths, or what else names them.
        shards: the parts, in the order of the files.
        column_names: the columns of the first file in its order, label and weight included.
        label_columns: the columns to learn; empty when the examples have none.
        weight_column: the column of example weights, or empty.
        task: one of `settings.TASKS`.
        role: "train" or "eval", which part it is of what holds both.
    """

    def __init__(
        self,
        file_format: Format,
        paths: Sequence[str],
        label_column: str = "",
        weight_column: str = "",
        task: str = "auto",
        role: str = "train",
    ) -> None:
        """Reads the names of the columns, and no row.

        Args:
            file_format: reads the files.
            paths: at least one.
            label_column: the columns to learn, separated by commas; empty takes the format's own, if it has one.
            weight_column: the column of example weights, or empty.
            task: one of `settings.TASKS`.
            role: "train" or "eval".

        Raises:
            FileError: a file is unusable.
            SchemaError: a file lacks the label or the weight, or the name of a column.
        """
        self._format = file_format
        self.files, self.task, self.role = tuple(paths), task, role
        self.weight_column = weight_column
        self._headers = {path: file_format.columns(path) for path in self.files}
        self.shards = tuple(shard for path in self.files for shard in file_format.shards(path))
        self.column_names = self._headers[self.files[0]]
        label_column = label_column or file_format.label
        self.label_columns = schema_lib.split_names(label_column, self.column_names)
        roles = [*(("label", name) for name in self.label_columns), ("weight", weight_column)]
        for path, header in self._headers.items():
            if "" in header:
                raise errors.SchemaError(
                    f"Expected a name for each column of {path}, found none for column {header.index('') + 1}. Name "
                    "it, or leave it out: pandas writes its index with to_csv() and not with to_csv(index=False)."
                )
            for role, name in roles:
                if name and name not in header:
                    raise errors.SchemaError(
                        f"{path} has no {role} column {name!r}. Its columns are: "
                        f"{', '.join(header)}. Correct --{role}_column or the file."
                    )

    def check_columns(self, needed: Sequence[str], known: Sequence[str]) -> None:
        """Raises SchemaError, with the file's name, if one misses a needed column or has one that is not known."""
        all_known = set(known)
        for path, header in self._headers.items():
            there = set(header)
            missing = [name for name in needed if name not in there]
            unknown = [name for name in header if name not in all_known]
            if missing:
                raise errors.SchemaError(
                    f"{path} misses the column{_plural(missing)} {_quote(missing)}. Its columns "
                    f"are: {', '.join(header)}. Add what is missing or correct the file."
                )
            if unknown:
                raise errors.SchemaError(
                    f"{path} has the column{_plural(unknown)} {_quote(unknown)}, which the schema "
                    f"does not know. Known columns: {', '.join(known)}. Remove the column, or "
                    "declare it in the schema."
                )

    def read(self, shard: blocks.Shard) -> Iterator[blocks.RawBlock]:
        """The rows of one of `shards`, in order.

        Raises:
            FileError: the file turns out damaged.
            SchemaError: the label is not one value a row.
        """
        for raw in self._format.read(shard, self._headers[shard.path]):
            yield self._with_flat_label(raw)

    @property
    def is_indexed(self) -> bool:
        """Whether `read_permuted` can be called."""
        return isinstance(self._format, IndexedFormat)

    def read_permuted(
        self, rng: np.random.Generator, part: tuple[int, int]
    ) -> Iterator[blocks.RawBlock]:
        """The rows in an order drawn from `rng`, in which any row may stand anywhere.

        Args:
            rng: draws.
            part: (index, count): every count-th row from the index-th on; all for (0, 1).
        """
        assert isinstance(self._format, IndexedFormat)
        counts = [self._format.num_rows(path) for path in self.files]
        ends = np.cumsum(counts)
        order = rng.permutation(np.arange(part[0], ends[-1], part[1]))
        size = self._format.block_rows(self.files[0])
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            owners = np.searchsorted(ends, chosen, side="right")
            for owner in np.unique(owners).tolist():
                own = chosen[owners == owner] - (ends[owner] - counts[owner])
                yield self._with_flat_label(self._format.read_rows(self.files[owner], own))

    def _with_flat_label(self, raw: blocks.RawBlock) -> blocks.RawBlock:
        """The block with a label of `[n, 1]`, as Keras' data sets have it, as `[n]`."""
        roles = [*(("label", name) for name in self.label_columns), ("weight", self.weight_column)]
        for role, name in roles:
            cells = raw.cells.get(name)
            if isinstance(cells, pa.Array) and list_cells.is_list(cells.type):
                raise errors.SchemaError(
                    f"{raw.path}: the {role} {name!r} holds lists ({cells.type}). Expected one value a row."
                )
        flat = {}
        for name in self.label_columns:
            label = raw.cells[name]
            if not isinstance(label, np.ndarray) or label.ndim == 1:
                continue
            if label.shape[1:] == (1,):
                flat[name] = label[:, 0]
            elif self.task != "multi_label":
                raise errors.SchemaError(
                    f"{raw.path}: the label {name!r} has shape {label.shape[1:]}. Expected one value a row; of a class "
                    "its id and not a vector of zeros and a one. Of classes that do not exclude each other vectors are "
                    "learned with --task=multi_label."
                )
        return dataclasses.replace(raw, cells={**raw.cells, **flat}) if flat else raw


def open_source(
    settings: settings_lib.InputSettings,
    role: str,
    schema: schema_lib.Schema | None = None,
    needs_label: bool = True,
) -> Source:
    """The examples that the settings name.

    Args:
        settings: what to read.
        role: "train" or "eval".
        schema: a given one; its label and weight stand in where the settings name none.
        needs_label: whether examples without a label are refused.

    Raises:
        InputError: the files are not there or not usable; nothing but their headers was read.
    """
    if role not in ROLES:
        raise ValueError(f"role must be one of {ROLES}, not {role!r}")
    label, weight, task = settings.label_column, settings.weight_column, settings.task
    if schema is not None:
        label = label or ",".join(column.name for column in schema.labels)
        task = "multi_label" if schema.multi_label and task == "auto" else task
        weight = weight or (schema.weight.name if schema.weight else "")
    if settings.data:
        data = packaged.find(settings.data)
        paths = data.train_files if role == "train" else data.eval_files
        if label in ("", data.label_column):
            label, task = data.label_column, data.task if task == "auto" else task
        file_format = make_format(formats.tell(paths[0]), settings, role)
    else:
        file_format, paths = _find_files(settings, role)
    source = Source(file_format, paths, label, weight, task, role)
    if needs_label and not source.label_columns:
        raise errors.SettingsError(
            f"{source.files[0]} does not say which column is to be learned. Pass --label_column; the columns are: "
            f"{', '.join(source.column_names)}."
        )
    return source


def make_format(name: str, settings: settings_lib.InputSettings, role: str) -> Format:
    """The reader of the format of that name, a key of `formats.FORMATS`."""
    made: Format = importlib.import_module(formats.FORMATS[name].module).make(settings, role)
    return made


def _find_files(settings: settings_lib.InputSettings, role: str) -> tuple[Format, tuple[str, ...]]:
    named = settings.eval_data if role == "eval" else settings.train_data
    name = settings.format or _tell_format(named or settings.train_data)
    paths = formats.FORMATS[name].paths
    given = named or settings.train_data
    found = files.find(given) if paths else files.split(formats.hide_password(given))
    file_format = make_format(name, settings, role)
    if isinstance(file_format, JoinedFormat):
        found = file_format.join(found)
    if not named and not (
        isinstance(file_format, SplitFormat) and all(map(file_format.holds_both, found))
    ):
        share = ", or a share of these images with --validation_share" if name == "images" else ""
        raise errors.SettingsError(
            f"Expected --eval_data beside --train_data={formats.hide_password(settings.train_data)}, found none. Give "
            f"the rows to evaluate on{share}."
        )
    return file_format, found


def _tell_format(named: str) -> str:
    """The one format of all files that are named.

    Raises:
        SettingsError: there are several.
    """
    told = {formats.tell(part): part for part in files.split(named)}
    if len(told) > 1:
        pairs = ", ".join(f"{formats.hide_password(part)} ({name})" for name, part in told.items())
        raise errors.SettingsError(
            f"The files of one data set are of one format, found {pairs}. Convert some of them, or pass --format."
        )
    return next(iter(told))


def _plural(names: Sequence[str]) -> str:
    return "s" if len(names) > 1 else ""


def _quote(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
