"""The formats that examples are written in: one table.

A new one is a `Writer` in a module of its own, or beside its like, and an entry here.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import typing

from input_fns import errors, formats

if typing.TYPE_CHECKING:  # the table is there before pyarrow is loaded
    import pyarrow as pa

COMPRESSIONS = ("gzip", "zstd", "none")

_ENDINGS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}


class Writer(abc.ABC):
    """Writes one file.

    with contextlib.closing(writer):
        writer.write(rows)
        writer.finish()
    """

    @abc.abstractmethod
    def __init__(self, path: str, schema: pa.Schema, compression: str, label: str) -> None:
        """Makes the file.

        Args:
            path: the file.
            schema: of the rows.
            compression: one that the format has.
            label: the column to learn, or empty.

        Raises:
            OSError: it cannot be made.
        """

    @abc.abstractmethod
    def write(self, rows: pa.RecordBatch) -> None:
        """Takes some rows, as `writers_rows.read` gives them."""

    def finish(self) -> None:
        """Writes what can only be written when all rows are known."""

    @abc.abstractmethod
    def close(self) -> None:
        """Gives the file back, complete or not."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        what: for error messages.
        endings: of the files' names. Where a file is compressed as a whole, that has an ending of its own.
        module: loaded when a file of that format is written.
        writer: the class in it.
        compressions: those of `COMPRESSIONS` that the format has; the first is the default.
        compressed_inside: whether the compression is the format's own, so that no ending tells it.
        text: whether it holds text.
        max_rank: most dimensions of a value; None means any.
        lists: whether it holds lists of any length.
        missing: the schema's types of which a value may be missing.
        needs_label: whether each row has a label, and none a weight.
    """

    what: str
    endings: tuple[str, ...]
    module: str
    writer: str
    compressions: tuple[str, ...] = ("none", "gzip", "zstd")
    compressed_inside: bool = False
    text: bool = True
    max_rank: int | None = None
    lists: bool = False
    missing: tuple[str, ...] = ("string", "int64", "float32")
    needs_label: bool = False


WRITERS = {
    "csv": Entry(
        "CSV", (".csv", ".tsv", ".tab"), "input_fns.writers_text", "CsvWriter", max_rank=0
    ),
    "parquet": Entry(
        "Parquet",
        (".parquet", ".pq"),
        "input_fns.writers_columnar",
        "ParquetWriter",
        ("zstd", "gzip", "none"),
        compressed_inside=True,
        lists=True,
    ),
    "arrow": Entry(
        "Arrow",
        (".arrow", ".feather", ".ipc"),
        "input_fns.writers_columnar",
        "ArrowWriter",
        ("none", "zstd"),
        compressed_inside=True,
        lists=True,
    ),
    "jsonl": Entry(
        "JSON lines",
        (".jsonl", ".ndjson", ".json"),
        "input_fns.writers_text",
        "JsonLinesWriter",
        max_rank=1,
        lists=True,
    ),
    "numpy": Entry(
        "NumPy",
        (".npz",),
        "input_fns.writers_numpy",
        "NumpyWriter",
        ("none", "gzip"),
        compressed_inside=True,
        missing=("string", "float32"),
    ),
    "tfrecord": Entry(
        "TFRecord",
        (".tfrecord", ".tfrecords", ".tfr", ".tfrec"),
        "input_fns.writers_tfrecord",
        "TFRecordWriter",
        ("none", "gzip"),
        lists=True,
    ),
    "libsvm": Entry(
        "LIBSVM",
        (".libsvm", ".svm", ".svmlight"),
        "input_fns.writers_text",
        "LibsvmWriter",
        text=False,
        max_rank=1,
        missing=(),
        needs_label=True,
    ),
}


def tell(path: str) -> str:
    """The name of the format that a path's ending tells.

    Raises:
        SettingsError: none does; the sentence lists the known endings.
    """
    name = formats.COMPRESSED.sub("", path).lower()
    for format_name, entry in WRITERS.items():
        if name.endswith(entry.endings):
            return format_name
    known = "; ".join(f"{name} ({', '.join(entry.endings)})" for name, entry in WRITERS.items())
    raise errors.SettingsError(
        f"The name of {path} does not tell the format to write. Known: {known}. Pass --output_format."
    )


def split_ending(path: str, format_name: str) -> tuple[str, str]:
    """The path without what tells format and compression, and that ending, which may be empty."""
    compressed = formats.COMPRESSED.search(path)
    stem = path[: compressed.start()] if compressed else path
    for ending in WRITERS[format_name].endings:
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
            break
    return stem, path[len(stem) :]


def tell_compression(path: str, format_name: str, wanted: str) -> str:
    """One of the format's compressions.

    Args:
        path: whose ending tells it, where the format has endings for it.
        format_name: a key of `WRITERS`.
        wanted: one of `COMPRESSIONS`, or empty for what the ending tells or the format's default.

    Raises:
        SettingsError: the format does not have it, or the ending tells another one.
    """
    entry = WRITERS[format_name]
    found = formats.COMPRESSED.search(path)
    if found and entry.compressed_inside:
        raise errors.SettingsError(
            f"{path}: {entry.what} is compressed inside its files. Name it {path[: found.start()]}, and pass "
            "--compression."
        )
    told = _ENDINGS.get(found[0].lower(), found[0][1:]) if found else ""
    if wanted and told and wanted != told:
        raise errors.SettingsError(
            f"{path} is named as {told}, but --compression={wanted}. Change one of them."
        )
    compression = wanted or told or entry.compressions[0]
    if compression not in entry.compressions:
        raise errors.SettingsError(
            f"{path}: {entry.what} cannot be written with the compression {compression}. Choose one of "
            f"{', '.join(entry.compressions)}."
        )
    return compression


def load(format_name: str) -> type[Writer]:
    """The class that writes the format, a key of `WRITERS`."""
    entry = WRITERS[format_name]
    writer: type[Writer] = getattr(importlib.import_module(entry.module), entry.writer)
    return writer
