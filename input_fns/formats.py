"""The formats that examples are read from: one table.

A new format is a class with the members of `sources.Format`, in a module of its own, and an entry here.
"""

from __future__ import annotations

import dataclasses
import re

from input_fns import errors


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        what: for `--help` and error messages.
        endings: of the files' names; a compression's own ending may follow.
        module: loaded when a file of that format is opened; its function `make` takes the settings and the role,
            "train" or "eval", and gives a `sources.Format`.
        paths: whether the format's files are named by paths and globs; else names are taken as they are written.
    """

    what: str
    endings: tuple[str, ...]
    module: str
    paths: bool = True


FORMATS = {
    "csv": Entry("CSV and TSV", (".csv", ".tsv", ".tab"), "input_fns.csv_files"),
    "parquet": Entry("Parquet", (".parquet", ".pq"), "input_fns.parquet_files"),
    "arrow": Entry(
        "Arrow and Feather", (".arrow", ".feather", ".ipc", ".arrows"), "input_fns.arrow_files"
    ),
    "jsonl": Entry("JSON lines", (".jsonl", ".ndjson", ".json"), "input_fns.json_lines"),
    "numpy": Entry("NumPy arrays", (".npz", ".npy"), "input_fns.numpy_files"),
    "idx": Entry("IDX, as MNIST", ("-idx3-ubyte",), "input_fns.idx_files"),
    "libsvm": Entry(
        "LIBSVM (SVMlight)", (".libsvm", ".svm", ".svmlight"), "input_fns.libsvm_files"
    ),
}

_COMPRESSED = re.compile(r"\.(gz|gzip|zst|zstd|bz2|lz4)$", re.IGNORECASE)


def tell(path: str) -> str:
    """The name of the format that a path's ending tells.

    Raises:
        SettingsError: none does; the sentence lists the known endings.
    """
    name = _COMPRESSED.sub("", path).lower()
    for format_name, entry in FORMATS.items():
        if name.endswith(entry.endings):
            return format_name
    known = "; ".join(f"{name} ({', '.join(entry.endings)})" for name, entry in FORMATS.items())
    raise errors.SettingsError(
        f"The name of {path} does not tell its format. Known: {known}. Pass --format."
    )
