"""A folder an image class: `train/cat/1.jpg`, `train/dog/2.png`, or one folder that is split.

Files are decoded when they are read and read in any order: what is shuffled are their names.
"""

from __future__ import annotations

from collections.abc import Iterator
import os
import zlib

import numpy as np
import pyarrow as pa
import tensorflow as tf

from input_fns import blocks, errors, files, formats, images
from input_fns import settings as settings_lib

IMAGE = "image"
LABEL = "label"
ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
_BLOCK_BYTES = 8 << 20


class ImageFolderFormat:
    """See `sources.Format`.

    A folder with `train` and `validation` (or `val`, `valid`, `test`, `eval`) in it is entered by the role. The files
    of each class lie in a folder of the class's name, at any depth; other files than images are left aside.
    """

    label = LABEL

    def __init__(self, settings: settings_lib.InputSettings, role: str) -> None:
        self._settings, self._role = settings, role
        self._found: dict[str, tuple[list[str], list[str]]] = {}
        self._decoders: dict[str, images.Decoder] = {}

    def columns(self, path: str) -> tuple[str, ...]:
        """The image and its class."""
        self._files(path)
        return (IMAGE, LABEL)

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """Runs of files, in the order of their names."""
        count, size = self.num_rows(path), self.block_rows(path)
        return tuple(
            blocks.Shard(path, part, start + 1) for part, start in enumerate(range(0, count, size))
        )

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The images of one run."""
        start = shard.first_row - 1
        end = min(start + self.block_rows(shard.path), self.num_rows(shard.path))
        yield self.read_rows(shard.path, np.arange(start, end))

    def num_rows(self, path: str) -> int:
        """How many images there are."""
        return len(self._files(path)[0])

    def block_rows(self, path: str) -> int:
        """How many images to read at a time: a bounded number of bytes."""
        decoder = self._decoder(path)
        size = 4 * decoder.height * decoder.width * decoder.channels
        return max(1, min(2048, _BLOCK_BYTES // size))

    def read_rows(self, path: str, index: np.ndarray) -> blocks.RawBlock:
        """The images at those places, in that order.

        Args:
            path: the folder.
            index: [n] int, each in [0, num_rows).
        """
        names, classes = self._files(path)
        chosen = [names[i] for i in index.tolist()]
        decoder = self._decoder(path)
        decoded = decoder.decode(chosen)
        bad = tuple(
            blocks.BadRow(
                chosen[i], int(index[i]) + 1, IMAGE, found, self._expected(path), chosen[i]
            )
            for i, found in decoded.faults.items()
        )
        good = np.setdiff1d(np.arange(len(index)), list(decoded.faults))
        labels = pa.array([classes[i] for i in index[good].tolist()], pa.string())
        pixels = decoded.pixels if not bad else decoded.pixels[good]
        return blocks.RawBlock(path, index[good] + 1, {IMAGE: pixels, LABEL: labels}, bad)

    def holds_both(self, path: str) -> bool:
        """Whether training and evaluation images both lie in this folder."""
        if self._settings.validation_share:
            return True
        return all(_split_folder(path, role) != path for role in formats.SPLITS)

    def _expected(self, path: str) -> str:
        if self._settings.image_size:
            return "an image"
        decoder = self._decoder(path)
        return f"an image of {decoder.width}x{decoder.height} pixels as the first (or --image_size)"

    def _decoder(self, path: str) -> images.Decoder:
        """Of the size that is asked for, or that of the first image."""
        if path not in self._decoders:
            size, channels = self._settings.image_size, self._settings.image_channels
            if not size or not channels:
                first = self._first_shape(path)
                channels = channels or (1 if first[2] == 1 else 3)
                size, resize = (size, True) if size else (first[:2], False)
            else:
                resize = True
            self._decoders[path] = images.Decoder(size[0], size[1], channels, resize)
        return self._decoders[path]

    def _first_shape(self, path: str) -> tuple[int, int, int]:
        names = self._files(path)[0]
        for name in names:
            try:
                return images.read_shape(name)
            except ValueError:
                continue  # it is a bad row, found when it is read
        raise errors.FileError(
            f"None of the {len(names)} files under {path} is an image that can be read. Expected JPEG, PNG, GIF or BMP."
        )

    def _files(self, path: str) -> tuple[list[str], list[str]]:
        """The names of the image files, sorted, and the class of each."""
        if path not in self._found:
            self._found[path] = self._find(path)
        return self._found[path]

    def _find(self, path: str) -> tuple[list[str], list[str]]:
        folder = _split_folder(path, self._role)
        share = self._settings.validation_share
        names: list[str] = []
        classes: list[str] = []
        for name in sorted(_walk(folder)):
            inside = name[len(folder) :].lstrip("/")
            if "/" not in inside or not inside.lower().endswith(ENDINGS):
                continue
            if share and (_draw(inside) < share) != (self._role == "eval"):
                continue
            names.append(name)
            classes.append(inside.split("/", 1)[0])
        if not names:
            raise errors.FileError(
                f"{folder} holds no image{' for this part' if share else ''}. Expected a folder for each class with "
                f"{', '.join(ENDINGS)} files in it, such as {folder}/cat/1.jpg."
            )
        return names, classes


def make(settings: settings_lib.InputSettings, role: str) -> ImageFolderFormat:
    """The reader; see `formats.FORMATS`."""
    return ImageFolderFormat(settings, role)


def _split_folder(path: str, role: str) -> str:
    """The folder of that part, if `path` holds one for training and one for evaluation; else `path`."""
    found = {
        each: next((name for name in names if _is_folder(f"{path}/{name}")), "")
        for each, names in formats.SPLITS.items()
    }
    return f"{path.rstrip('/')}/{found[role]}" if all(found.values()) else path.rstrip("/")


def _draw(name: str) -> float:
    """A number in [0, 1) that hangs on the name alone, so that a file stays in its part when others come."""
    return zlib.crc32(name.encode()) / 2**32


def _is_folder(path: str) -> bool:
    return tf.io.gfile.isdir(path) if files.is_remote(path) else os.path.isdir(path)


def _walk(folder: str) -> Iterator[str]:
    walk = tf.io.gfile.walk if files.is_remote(folder) else os.walk
    for place, _, names in walk(folder):
        yield from (f"{place.rstrip('/')}/{name}" for name in names)
