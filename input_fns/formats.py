"""The formats that examples are read from: one table.

A new format is a class with the members of `sources.Format`, in a module of its own, and an entry here.
"""

from __future__ import annotations

import dataclasses
import os
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
        pattern: regular expression that whole names match, whatever their ending.
        holds: names of files, of which every folder of the format holds one.
    """

    what: str
    endings: tuple[str, ...]
    module: str
    paths: bool = True
    pattern: str = ""
    holds: tuple[str, ...] = ()


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
    "sql": Entry(
        "a database's URL (sqlite:///path)",
        (),
        "input_fns.sql_tables",
        paths=False,
        # Of other dialects' URLs only one with a driver is told from a remote file's: dialect+driver://.
        pattern=r"((sqlite|postgresql|mysql|mariadb|mssql|oracle)(\+\w+)?|\w+\+\w+)://.*",
    ),
    "python": Entry(
        "your own Python object or function (package.module:function)",
        (),
        "input_fns.python_objects",
        paths=False,
        pattern=r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*",
    ),
    "huggingface": Entry(
        "a folder that Hugging Face's datasets saved",
        (),
        "input_fns.huggingface_folders",
        holds=("state.json", "dataset_dict.json"),
    ),
    "tfds": Entry(
        "a folder that TensorFlow Datasets prepared",
        (),
        "input_fns.tfds_folders",
        holds=("features.json",),
    ),
    "images": Entry("a folder of images, a folder a class", (), "input_fns.image_folders"),
    "tfrecord": Entry(
        "TFRecord of tf.train.Example or SequenceExample",
        (".tfrecord", ".tfrecords", ".tfr", ".tfrec"),
        "input_fns.tfrecord_files",
    ),
}

# What folders with several parts call the one of a role; of those that are there the first is taken.
SPLITS = {"train": ("train", "training"), "eval": ("validation", "val", "valid", "test", "eval")}

COMPRESSED = re.compile(r"\.(gz|gzip|zst|zstd|bz2|lz4|zlib)$", re.IGNORECASE)
# One of several files of a data set, as "-00000-of-00010" after the ending, or a glob of them.
_SHARD = re.compile(r"-[\d*?\[\]-]+-of-[\d*?\[\]-]+$|-?\*$")


def tell(path: str) -> str:
    """The name of the format that a path tells: by its pattern, by its ending, or by what the folder holds.

    Raises:
        SettingsError: none does, and the sentence lists the known endings; or it is the folder around such folders.
    """
    name = COMPRESSED.sub("", _SHARD.sub("", COMPRESSED.sub("", path))).lower()
    for format_name, entry in FORMATS.items():
        if entry.pattern and re.fullmatch(entry.pattern, path):
            return format_name
    for format_name, entry in FORMATS.items():
        if name.endswith(entry.endings):
            return format_name
    if os.path.isdir(path):
        for format_name, entry in FORMATS.items():
            if any(os.path.exists(os.path.join(path, file)) for file in entry.holds):
                return format_name
        _check_no_folder_inside(path)
        return "images"
    known = "; ".join(
        f"{name} ({', '.join(entry.endings) or entry.what})" for name, entry in FORMATS.items()
    )
    raise errors.SettingsError(
        f"The name of {hide_password(path)} does not tell its format. Known: {known}. Pass --format."
    )


def _check_no_folder_inside(path: str) -> None:
    """Raises SettingsError if the folder holds one of a format, as that of a dataset holds those of its versions."""
    for entry in FORMATS.values():
        inside = [
            folder
            for folder in sorted(os.listdir(path))
            if any(os.path.exists(os.path.join(path, folder, file)) for file in entry.holds)
        ]
        if inside:
            raise errors.SettingsError(
                f"Expected {entry.what}, or one of images, found the folder around it: {path} holds "
                f"{', '.join(inside)}. Name {os.path.join(path, inside[-1])}."
            )


def is_database(named: str) -> bool:
    """Whether the name is the URL of a database."""
    return re.fullmatch(FORMATS["sql"].pattern, named.strip()) is not None


def hide_password(named: str) -> str:
    """The same names with `***` in place of the passwords in URLs: what may be shown and kept."""
    return re.sub(r"(://[^:/@,]*):[^,]*@", r"\1:***@", named)
