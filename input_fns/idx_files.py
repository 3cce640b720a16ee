"""IDX files as MNIST and Fashion-MNIST ship them: one of images and one of their labels."""

from __future__ import annotations

from collections.abc import Iterator
import math
import os

import numpy as np
import pyarrow as pa

from input_fns import blocks, errors, files
from input_fns import settings as settings_lib

IMAGE = "image"
LABEL = "label"
_BLOCK_ROWS = 1000
_UNSIGNED_BYTE = 0x08


class IdxFormat:
    """A file of images, named `...images-idx3-ubyte`, plain or compressed, its labels in `...labels-idx1-ubyte` beside
    it; see `sources.Format`."""

    label = LABEL

    def columns(self, path: str) -> tuple[str, ...]:
        """The columns, from the headers of both files."""
        read_shape(path, 3)
        read_shape(_labels_of(path), 1)
        return (IMAGE, LABEL)

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The file as a whole."""
        return (blocks.Shard(path),)

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The examples in order.

        Yields:
            Blocks with `IMAGE`: [n, height, width] float32 in [0, 1], and `LABEL`: [n] int64.

        Raises:
            FileError: a file is damaged, or the two do not belong together.
        """
        images_path, labels_path = shard.path, _labels_of(shard.path)
        with _open(images_path) as images, _open(labels_path) as labels:
            count, height, width = _read_shape(images, images_path, 3)
            (label_count,) = _read_shape(labels, labels_path, 1)
            if count != label_count:
                raise errors.FileError(
                    f"{images_path} holds {count} images and {labels_path} {label_count} labels. "
                    "Expected as many of each; take both from the same set."
                )
            for start in range(0, count, _BLOCK_ROWS):
                rows = min(_BLOCK_ROWS, count - start)
                pixels = _read(images, images_path, rows * height * width)
                cells = {
                    IMAGE: pixels.reshape(rows, height, width).astype(np.float32) / np.float32(255),
                    LABEL: _read(labels, labels_path, rows).astype(np.int64),
                }
                yield blocks.RawBlock(images_path, np.arange(start + 1, start + rows + 1), cells)


def make(settings: settings_lib.InputSettings, role: str) -> IdxFormat:
    """The reader; see `formats.FORMATS`."""
    del settings, role
    return IdxFormat()


def read_shape(path: str, rank: int) -> tuple[int, ...]:
    """The shape that the header of an IDX file of unsigned bytes declares.

    Args:
        path: the file.
        rank: how many dimensions are expected: 3 for images, 1 for labels.

    Raises:
        FileError: the file cannot be read or is not such a file.
    """
    with _open(path) as file:
        return _read_shape(file, path, rank)


def _labels_of(images_path: str) -> str:
    folder, name = os.path.split(images_path)
    labels = name.replace("images", "labels").replace("idx3", "idx1")
    if labels == name:
        raise errors.FileError(
            f"{images_path} does not tell where its labels are. Expected a name such as train-images-idx3-ubyte.gz, "
            "with train-labels-idx1-ubyte.gz beside it; rename the files."
        )
    return os.path.join(folder, labels)


def _open(path: str) -> pa.NativeFile:
    try:
        return files.open_stream(path)
    except files.DAMAGE as error:
        raise files.unreadable(path, error, "an IDX file") from error


def _read_shape(file: pa.NativeFile, path: str, rank: int) -> tuple[int, ...]:
    header = _read(file, path, 4).tolist()
    if header[:2] != [0, 0] or header[2] != _UNSIGNED_BYTE or header[3] != rank:
        raise errors.FileError(
            f"{path} starts with the bytes {bytes(header).hex(' ')}. Expected an IDX file of "
            f"unsigned bytes with {rank} dimension{'s' if rank > 1 else ''}, which starts with "
            f"00 00 08 {rank:02d}."
        )
    shape = tuple(_read(file, path, 4 * rank).view(">u4").tolist())
    if not math.prod(shape):
        raise errors.EmptyFileError(f"{path} holds no examples: its shape is {shape}.")
    return shape


def _read(file: pa.NativeFile, path: str, size: int) -> np.ndarray:
    try:
        data = file.read(size)
    except files.DAMAGE as error:
        raise files.unreadable(path, error, "an IDX file, plain or compressed") from error
    if len(data) < size:
        raise errors.FileError(
            f"{path} ends too early: expected {size} more bytes, found {len(data)}. Copy it again."
        )
    return np.frombuffer(data, np.uint8)
