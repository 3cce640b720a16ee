"""NumPy's files: `.npz` with an array a column, `.npy` of a structured array, and `.npy` files with a column each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
import os
import re
import zipfile

import numpy as np

from input_fns import blocks, errors, files, in_memory
from input_fns import settings as settings_lib

_EXPECTED = "arrays as numpy.savez or numpy.save write them, without objects"
_SPLITS = {"train": ("_train",), "eval": ("_test", "_eval", "_val", "_validation")}
_MAGIC = b"\x93NUMPY"
# What the name of a column's own file says about the part: `x_train.npy`, `train-images.npy`.
_PART = re.compile(
    r"^(train|test|eval|val|validation)[_-](?=.)|(?<=.)[_-](train|test|eval|val|validation)$"
)


class NumpyFormat:
    """See `sources.Format`. A file may hold both parts, as Keras' `mnist.npz` does: of `x_train`, `y_train`, `x_test`
    and `y_test` the role takes its own, as `x` and `y`. Files of one array each are the columns of one table, named as
    the files are, without what tells the part: `x_train.npy` and `y_train.npy` are `x` and `y`."""

    label = ""

    def __init__(self, role: str) -> None:
        self._role = role
        self._joined: dict[str, tuple[str, ...]] = {}

    def join(self, paths: Sequence[str]) -> tuple[str, ...]:
        """The files, those that hold one array each under one name, with commas, in place of the first of them."""
        single = tuple(path for path in paths if _holds_one_array(path))
        if len(single) < 2:
            return tuple(paths)
        names = list(map(_column_of, single))
        if len(set(names)) < len(names):
            raise errors.FileError(
                f"{', '.join(single)} are columns of one table, and two of them are named alike: {', '.join(names)}. "
                "Name the files as the columns, or give the other rows as --eval_data."
            )
        joined = ",".join(single)
        self._joined[joined] = single
        kept = [joined if path == single[0] else path for path in paths]
        return tuple(path for path in kept if path not in single)

    def columns(self, path: str) -> tuple[str, ...]:
        """The arrays' names."""
        return tuple(self._load(path))

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The file as a whole: a compressed array cannot be entered in its middle."""
        return (blocks.Shard(path),)

    def holds_both(self, path: str) -> bool:
        """Whether training and evaluation arrays both lie in this file."""
        if path in self._joined:
            return False
        with files.open_raw(path) as raw:
            if not zipfile.is_zipfile(raw):
                return False
            names = [name.removesuffix(".npy") for name in zipfile.ZipFile(raw).namelist()]
        return _names_parts(names) and all(
            any(name.endswith(ends) for name in names) for ends in _SPLITS.values()
        )

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows in order; bytes of three and more dimensions are images, and become float32 in [0, 1]."""
        yield from in_memory.to_blocks(shard.path, self._load(shard.path), columns)

    def _load(self, path: str) -> dict[str, np.ndarray]:
        arrays = {}
        for part in self._joined.get(path, (path,)):
            arrays.update(self._load_file(part))
        in_memory.check_arrays(path, arrays)
        return arrays

    def _load_file(self, path: str) -> dict[str, np.ndarray]:
        try:
            if files.is_remote(path):
                with files.open_raw(path) as raw:
                    return self._by_name(path, np.load(raw, allow_pickle=False))
            _check_archive(path)
            return self._by_name(path, np.load(path, mmap_mode="r", allow_pickle=False))
        except (*files.DAMAGE, ValueError, zipfile.BadZipFile) as error:
            if isinstance(error, errors.InputError):
                raise
            raise files.unreadable(path, error, _EXPECTED) from error

    def _by_name(
        self, path: str, loaded: np.ndarray | Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        if isinstance(loaded, np.ndarray):
            if loaded.dtype.names is None:
                return {_column_of(path): loaded}
            return {name: loaded[name] for name in loaded.dtype.names}
        own = {
            name.removesuffix(ending): name
            for ending in _SPLITS[self._role]
            for name in loaded
            if name.endswith(ending)
        }
        names = own if _names_parts(loaded) else {name: name for name in loaded}
        return {name: loaded[key] for name, key in names.items()}


def _column_of(path: str) -> str:
    """The name of the column that is a file of its own."""
    return _PART.sub("", os.path.basename(path).removesuffix(".npy"))


def _holds_one_array(path: str) -> bool:
    """Whether it is a `.npy` file whose array has no names of columns; of one that is damaged not."""
    try:
        with files.open_raw(path) as raw:
            if raw.read(len(_MAGIC)) != _MAGIC:
                return False
            raw.seek(0)
            version = np.lib.format.read_magic(raw)
            if version > (2, 0):  # names of columns that are not ASCII
                return False
            first = np.lib.format.read_array_header_1_0
            header = (first if version == (1, 0) else np.lib.format.read_array_header_2_0)(raw)
    except (OSError, ValueError, EOFError):  # is told of when it is read
        return False
    return header[2].names is None


def _check_archive(path: str) -> None:
    """Raises BadZipFile for an archive that is cut; numpy.load (1.26 to 2.5) would not close its file then."""
    with open(path, "rb") as file:
        if file.read(2) == b"PK" and not zipfile.is_zipfile(file):
            raise zipfile.BadZipFile("the archive has no end")


def _names_parts(names: Iterable[str]) -> bool:
    """Whether each array says which part it belongs to; a column may be named so beside others."""
    return all(name.endswith(sum(_SPLITS.values(), ())) for name in names)


def make(settings: settings_lib.InputSettings, role: str) -> NumpyFormat:
    """The reader; see `formats.FORMATS`."""
    del settings
    return NumpyFormat(role)
