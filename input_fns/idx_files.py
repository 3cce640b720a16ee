"""IDX files as MNIST ships them: a gzip file of images and one of their labels."""

from __future__ import annotations

from collections.abc import Iterator
import gzip
import math
import zlib

import numpy as np

from input_fns import blocks, errors

IMAGE = "image"
LABEL = "label"
_BLOCK_ROWS = 1000
_UNSIGNED_BYTE = 0x08


def read_shape(path: str, rank: int) -> tuple[int, ...]:
    """The shape that the header of a gzip IDX file of unsigned bytes declares.

    Args:
        path: the file.
        rank: how many dimensions are expected: 3 for images, 1 for labels.

    Raises:
        FileError: the file cannot be read or is not such a file.
    """
    with _open(path) as file:
        return _read_shape(file, path, rank)


def read_blocks(images_path: str, labels_path: str) -> Iterator[blocks.RawBlock]:
    """The examples in order.

    Args:
        images_path: gzip IDX file of unsigned bytes, [n, height, width].
        labels_path: gzip IDX file of unsigned bytes, [n].

    Yields:
        Blocks with `IMAGE`: [n, height, width] float32 in [0, 1], and `LABEL`: [n] int64.

    Raises:
        FileError: a file is damaged, or the two do not belong together.
    """
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
            pixels = _read(images, images_path, rows * height * width).reshape(rows, height, width)
            cells = {
                IMAGE: pixels.astype(np.float32) / np.float32(255),
                LABEL: _read(labels, labels_path, rows).astype(np.int64),
            }
            yield blocks.RawBlock(images_path, np.arange(start + 1, start + rows + 1), cells)


def _open(path: str) -> gzip.GzipFile:
    try:
        return gzip.open(path, "rb")
    except OSError as error:
        raise errors.FileError(f"Cannot read {path}: {error.strerror or error}.") from error


def _read_shape(file: gzip.GzipFile, path: str, rank: int) -> tuple[int, ...]:
    header = _read(file, path, 4).tolist()
    if header[:2] != [0, 0] or header[2] != _UNSIGNED_BYTE or header[3] != rank:
        raise errors.FileError(
            f"{path} starts with the bytes {bytes(header).hex(' ')}. Expected an IDX file of "
            f"unsigned bytes with {rank} dimension{'s' if rank > 1 else ''}, which starts with "
            f"00 00 08 {rank:02d}."
        )
    shape = tuple(_read(file, path, 4 * rank).view(">u4").tolist())
    if not math.prod(shape):
        raise errors.FileError(f"{path} holds no examples: its shape is {shape}.")
    return shape


def _read(file: gzip.GzipFile, path: str, size: int) -> np.ndarray:
    try:
        data = file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise errors.FileError(
            f"{path} is damaged: {error}. Expected a gzip IDX file; make or copy it again."
        ) from error
    if len(data) < size:
        raise errors.FileError(
            f"{path} ends too early: expected {size} more bytes, found {len(data)}. Copy it again."
        )
    return np.frombuffer(data, np.uint8)
