"""NumPy's files: `.npz` with an array a column, and `.npy` of a structured array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
import zipfile

import numpy as np

from input_fns import blocks, errors, files, in_memory
from input_fns import settings as settings_lib

_EXPECTED = "arrays as numpy.savez or numpy.save write them, without objects"
_SPLITS = {"train": ("_train",), "eval": ("_test", "_eval", "_val", "_validation")}


class NumpyFormat:
    """See `sources.Format`. A file may hold both parts, as Keras' `mnist.npz` does: of `x_train`, `y_train`, `x_test`
    and `y_test` the role takes its own, as `x` and `y`."""

    label = ""

    def __init__(self, role: str) -> None:
        self._role = role

    def columns(self, path: str) -> tuple[str, ...]:
        """The arrays' names."""
        return tuple(self._load(path))

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The file as a whole: a compressed array cannot be entered in its middle."""
        return (blocks.Shard(path),)

    def holds_both(self, path: str) -> bool:
        """Whether training and evaluation arrays both lie in this file."""
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
        try:
            if files.is_remote(path):
                with files.open_raw(path) as raw:
                    arrays = self._by_name(path, np.load(raw, allow_pickle=False))
            else:
                _check_archive(path)
                arrays = self._by_name(path, np.load(path, mmap_mode="r", allow_pickle=False))
        except (*files.DAMAGE, ValueError, zipfile.BadZipFile) as error:
            if isinstance(error, errors.InputError):
                raise
            raise files.unreadable(path, error, _EXPECTED) from error
        in_memory.check_arrays(path, arrays)
        return arrays

    def _by_name(
        self, path: str, loaded: np.ndarray | Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        if isinstance(loaded, np.ndarray):
            if loaded.dtype.names is None:
                raise errors.FileError(
                    f"{path} holds one array of shape {loaded.shape} whose columns have no names. Expected a "
                    "structured array, or an .npz file: numpy.savez(path, x=..., y=...)."
                )
            return {name: loaded[name] for name in loaded.dtype.names}
        own = {
            name.removesuffix(ending): name
            for ending in _SPLITS[self._role]
            for name in loaded
            if name.endswith(ending)
        }
        names = own if _names_parts(loaded) else {name: name for name in loaded}
        return {name: loaded[key] for name, key in names.items()}


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
