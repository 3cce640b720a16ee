"""Folders as TensorFlow Datasets prepares them: TFRecord files and what is in them as JSON, so that package is not
needed."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from input_fns import blocks, errors, files, formats, images
from input_fns import settings as settings_lib
from input_fns import tfrecord_files

_INFO, _FEATURES = "dataset_info.json", "features.json"
_EXPECTED = "a folder as TensorFlow Datasets prepares it"
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_FILE_FORMAT = "tfrecord"
_DEFAULT_CHANNELS = 3  # of an image that does not declare them, as TensorFlow Datasets has it


class TfdsFormat:
    """See `sources.Format`. A path is the folder of a version, such as `mnist/3.0.1`, of which the role takes its own
    split: for evaluation `validation` before `test`.

    Features of a dict are named `dict/feature`. Classes (`ClassLabel`) are read by their names, if the folder has
    these, else as ids; without a class (-1) the label is missing. Images are float32 [height, width, channels] in
    [0, 1].
    """

    label = ""

    def __init__(self, settings: settings_lib.InputSettings, role: str) -> None:
        """Makes a reader.

        Args:
            settings: gives the size and the channels of images.
            role: "train" or "eval".
        """
        self._settings, self._role = settings, role
        self._records = tfrecord_files.TfRecordFormat()
        self._open: dict[str, _Folder] = {}

    def columns(self, path: str) -> tuple[str, ...]:
        """The features."""
        folder = self._folder(path)
        if not folder.files(self._role):
            raise errors.FileError(f"{path} holds no row. Remove the folder or give it rows.")
        self.label = folder.label
        return tuple(folder.features)

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The files."""
        count = len(self._folder(path).files(self._role))
        return tuple(blocks.Shard(path, part) for part in range(count))

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows of one file, numbered in that file."""
        folder = self._folder(shard.path)
        file = folder.files(self._role)[shard.part]
        for raw in self._records.read(blocks.Shard(file), columns):
            yield folder.decode(raw)

    def holds_both(self, path: str) -> bool:
        """Whether it has a split for training and one for evaluation."""
        return all(self._folder(path).split(role) for role in formats.SPLITS)

    def _folder(self, path: str) -> _Folder:
        if path not in self._open:
            self._open[path] = _Folder(path.rstrip("/"), self._settings)
        return self._open[path]


def make(settings: settings_lib.InputSettings, role: str) -> TfdsFormat:
    """The reader; see `formats.FORMATS`."""
    return TfdsFormat(settings, role)


@dataclasses.dataclass(frozen=True)
class _Feature:
    """One feature that a record has.

    Attributes:
        kind: "values" as they are stored, "tensor" of a fixed shape, "class" or "image".
        shape: of a tensor or an image; None for each size that may be any.
        names: of the classes, else empty.
    """

    kind: str
    shape: tuple[int | None, ...] = ()
    names: tuple[str, ...] = ()


class _Folder:
    """What one folder says of itself.

    Attributes:
        features: name -> what it is, in the order of the file.
        label: the column to learn, if the folder names one.
    """

    def __init__(self, path: str, settings: settings_lib.InputSettings) -> None:
        self._path, self._settings = path, settings
        info = _read_json(f"{path}/{_INFO}")
        with _damage_of(f"{path}/{_INFO}"):
            file_format = info.get("fileFormat", _FILE_FORMAT)
            self._name = str(info.get("name", ""))
            self._splits = {split["name"]: _read_split(split) for split in info.get("splits", [])}
            keys = info.get("supervisedKeys", {}).get("tuple", {}).get("items", [])
            self.label = keys[1].get("featureKey", "") if len(keys) > 1 else ""
        if file_format != _FILE_FORMAT:
            raise errors.FileError(
                f"{path} keeps its rows in files of the format {file_format}. Expected {_FILE_FORMAT}; "
                f"prepare it with file_format='{_FILE_FORMAT}'."
            )
        with _damage_of(f"{path}/{_FEATURES}"):
            self.features = dict(self._find_features("", _read_json(f"{path}/{_FEATURES}")))
        self._decoders = {
            name: self._make_decoder(name, feature)
            for name, feature in self.features.items()
            if feature.kind == "image"
        }

    def split(self, role: str) -> str:
        """The name of the role's split; empty if there is none."""
        return next((name for name in formats.SPLITS[role] if name in self._splits), "")

    def files(self, role: str) -> list[str]:
        """The files of the role's split that have rows, in order."""
        chosen = self.split(role)
        if not chosen:
            raise errors.FileError(
                f"{self._path} holds the splits {', '.join(self._splits) or 'none'}. "
                f"Expected one of {', '.join(formats.SPLITS[role])}; name the split's files, such as "
                f"--{role}_data='{self._path}/*-SPLIT.tfrecord-*'."
            )
        lengths, template = self._splits[chosen]
        names = {"DATASET": self._name, "SPLIT": chosen, "FILEFORMAT": _FILE_FORMAT}
        try:
            return [
                f"{self._path}/{template.format(**names, **_shard_names(part, len(lengths)))}"
                for part, length in enumerate(lengths)
                if length
            ]
        except (KeyError, IndexError, ValueError) as error:
            raise errors.FileError(
                f"{self._path}/{_INFO} names the files {template!r}, of which {error} is not known. Expected names "
                f"such as {_TEMPLATE!r}."
            ) from error

    def decode(self, raw: blocks.RawBlock) -> blocks.RawBlock:
        """The records of a file with classes, tensors and images as they are meant; bad images apart."""
        cells, bad = dict(raw.cells), {}
        for name, feature in self.features.items():
            if feature.kind == "class" and feature.names:
                cells[name] = _to_names(cells[name], feature.names)
            elif feature.kind == "tensor":
                cells[name] = _to_shape(cells[name], feature.shape)
            elif feature.kind == "image":
                decoded = self._decoders[name].decode(_to_bytes(cells[name]))
                cells[name] = decoded.pixels
                bad.update({index: (name, found) for index, found in decoded.faults.items()})
        if not bad:
            return dataclasses.replace(raw, cells=cells)
        good = np.setdiff1d(np.arange(len(raw.rows)), list(bad))
        misshapen = tuple(
            blocks.BadRow(raw.path, int(raw.rows[index]), name, found, self._expected(name), found)
            for index, (name, found) in sorted(bad.items())
        )
        kept = {
            name: column[good] if isinstance(column, np.ndarray) else column.take(pa.array(good))
            for name, column in cells.items()
        }
        return blocks.RawBlock(raw.path, raw.rows[good], kept, raw.misshapen + misshapen)

    def _find_features(self, name: str, found: dict[str, Any]) -> Iterator[tuple[str, _Feature]]:
        """The features of a record, with those of dicts under `dict/feature`.

        Raises:
            FileError: there is one that no column can hold.
        """
        if "featuresDict" in found:
            for inner, what in found["featuresDict"].get("features", {}).items():
                yield from self._find_features(f"{name}/{inner}" if name else inner, what)
            return
        feature = self._read_feature(name, found)
        if feature is None:
            kind = found.get("pythonClassName", "nothing").rsplit(".", 1)[-1]
            raise errors.FileError(
                f"{self._path}/{_FEATURES}: the feature {name!r} is {kind} {_describe(found)}. Expected a number, "
                "text, a class, an image of bytes, a tensor of a fixed shape or a sequence of numbers or text. Prepare "
                "the data without it."
            )
        yield name, feature

    def _read_feature(self, name: str, found: dict[str, Any]) -> _Feature | None:
        """What a feature is; None for one that no column can hold."""
        if "text" in found:
            return _Feature("values")
        if "classLabel" in found:
            return _Feature("class", names=self._read_names(name))
        if "image" in found:
            image = found["image"]
            shape = _read_shape(image) or (None, None, None)
            usual = image.get("dtype", "uint8") == "uint8" and len(shape) == 3
            return _Feature("image", shape) if usual else None
        if "sequence" in found:
            inner = self._read_feature(name, found["sequence"].get("feature", {}))
            plain = inner is not None and inner.kind in ("values", "class") and not inner.names
            return _Feature("values") if plain else None
        if "tensor" not in found or found["tensor"].get("encoding", "none") != "none":
            return None
        shape = _read_shape(found["tensor"])
        if not shape:
            return _Feature("values")
        fixed = None not in shape and found["tensor"].get("dtype") != "string"
        return _Feature("tensor", shape) if fixed else None

    def _read_names(self, name: str) -> tuple[str, ...]:
        path = f"{self._path}/{name.replace('/', '-')}.labels.txt"
        try:
            with files.open_raw(path) as file:
                return tuple(file.read().decode().splitlines())
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise files.unreadable(path, error, "the names of the classes, a line each") from error

    def _make_decoder(self, name: str, feature: _Feature) -> images.Decoder:
        height, width = self._settings.image_size or feature.shape[:2]
        if height is None or width is None:
            raise errors.SettingsError(
                f"The images {name!r} of {self._path} may have any size. Pass --image_size=HEIGHT,WIDTH to resize them."
            )
        channels = self._settings.image_channels or feature.shape[2] or _DEFAULT_CHANNELS
        resize = bool(self._settings.image_size)
        return images.Decoder(height, width, channels, resize, encoded=True)

    def _expected(self, name: str) -> str:
        decoder = self._decoders[name]
        return (
            "an image" if decoder.resize else f"an image of {decoder.width}x{decoder.height} pixels"
        )


def _read_split(found: dict[str, Any]) -> tuple[list[int], str]:
    """How many rows each file of a split has, and how the files are named."""
    lengths = [int(length) for length in found.get("shardLengths", [])]
    return lengths, found.get("filepathTemplate") or _TEMPLATE


@contextlib.contextmanager
def _damage_of(path: str) -> Iterator[None]:
    """Objects of JSON that are not as they should be, found while they are read, as a FileError that names the file."""
    try:
        yield
    except errors.InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = ValueError(f"{error!r} in what it says")
        raise files.unreadable(path, reason, f"a file of {_EXPECTED}") from error


def _shard_names(part: int, count: int) -> dict[str, str]:
    index, number = f"{part:05d}", f"{count:05d}"
    return {"SHARD_INDEX": index, "NUM_SHARDS": number, "SHARD_X_OF_Y": f"{index}-of-{number}"}


def _read_shape(found: dict[str, Any]) -> tuple[int | None, ...]:
    sizes = [int(size) for size in found.get("shape", {}).get("dimensions", [])]
    return tuple(size if size >= 0 else None for size in sizes)


def _describe(found: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in found.items() if key != "pythonClassName"})


def _to_names(ids: pa.Array, names: tuple[str, ...]) -> pa.Array:
    """Class ids as names; one that has none is missing."""
    ids = ids.cast(pa.int64())
    known = pc.and_(pc.greater_equal(ids, 0), pc.less(ids, len(names)))
    return pa.array(names, pa.string()).take(pc.if_else(known, ids, None))


def _to_bytes(cells: pa.Array | np.ndarray) -> list[bytes]:
    return [value or b"" for value in cells.tolist()]


def _to_shape(cells: pa.Array | np.ndarray, shape: tuple[int | None, ...]) -> pa.Array | np.ndarray:
    """[n, size] as [n, *shape]; a column with another number of values in some row stays as it is."""
    sizes = [size for size in shape if size is not None]
    if isinstance(cells, pa.Array) and math.prod(sizes) == 1 and not cells.null_count:
        cells = cells.to_numpy(zero_copy_only=False)
    if isinstance(cells, pa.Array) or cells[:1].size != math.prod(sizes):
        return cells
    return cells.reshape(-1, *sizes)


def _read_json(path: str) -> dict[str, Any]:
    try:
        with files.open_raw(path) as file:
            return files.read_json_object(file)
    except (OSError, ValueError) as error:
        raise files.unreadable(path, error, f"a file of {_EXPECTED}") from error
