"""NumPy's files: `.npz` with an array a column, and `.npy` of a structured array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import zipfile

import numpy as np
import pyarrow as pa

from input_fns import arrow_tables, blocks, errors, files
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

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows in order; bytes of three and more dimensions are images, and become float32 in [0, 1]."""
        arrays = self._load(shard.path)
        count = len(arrays[columns[0]])
        for start in range(0, count, arrow_tables.BLOCK_ROWS):
            end = min(count, start + arrow_tables.BLOCK_ROWS)
            cells = {name: _cells(arrays[name][start:end]) for name in columns}
            yield blocks.RawBlock(shard.path, np.arange(start + 1, end + 1), cells)

    def _load(self, path: str) -> dict[str, np.ndarray]:
        try:
            if files.is_remote(path):
                with files.open_raw(path) as raw:
                    arrays = self._by_name(path, np.load(raw, allow_pickle=False))
            else:
                arrays = self._by_name(path, np.load(path, mmap_mode="r", allow_pickle=False))
        except (*files.DAMAGE, ValueError, zipfile.BadZipFile) as error:
            if isinstance(error, errors.InputError):
                raise
            raise files.unreadable(path, error, _EXPECTED) from error
        shapes = {name: array.shape for name, array in arrays.items()}
        if any(not shape for shape in shapes.values()) or len({s[0] for s in shapes.values()}) > 1:
            shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise errors.FileError(
                f"{path} holds arrays of different lengths: {shown}. Expected as many rows in each."
            )
        if not arrays or not next(iter(shapes.values()))[0]:
            raise errors.FileError(f"{path} holds no row. Remove the file or give it rows.")
        for name, array in arrays.items():
            if array.dtype.kind not in "biufSU" or (array.dtype.kind in "SU" and array.ndim > 1):
                raise errors.FileError(
                    f"{path}: array {name!r} is {array.dtype} of shape {array.shape}. Expected numbers, or text of "
                    "one dimension."
                )
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
        holds_both = any(name.endswith(_SPLITS["train"]) for name in loaded)
        return {
            name: loaded[key]
            for name, key in (own if holds_both else {name: name for name in loaded}).items()
        }


def make(settings: settings_lib.InputSettings, role: str) -> NumpyFormat:
    """The reader; see `formats.FORMATS`."""
    del settings
    return NumpyFormat(role)


def _cells(values: np.ndarray) -> pa.Array | np.ndarray:
    if values.ndim == 1:
        return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))
    if values.dtype == np.uint8 and values.ndim > 2:
        return values.astype(np.float32) / np.float32(255)
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int64)
