"""TFRecord files of `tf.train.Example`, plain or compressed: a feature is a column.

Blocks of records are taken apart by NumPy. Only a block with a record that is unusual goes through protobuf, record by
record; that is where bad rows are found.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
import contextlib

from google.protobuf import message, text_format
import numpy as np
import pyarrow as pa
import tensorflow as tf

from input_fns import blocks, errors, example_columns
from input_fns import settings as settings_lib
from input_fns import tfrecord_frames as frames

_FIRST_BYTES = 1 << 20
_FIRST_RECORDS = 1000
_SHOWN_BYTES = 60
_EXPECTED = "a serialised tf.train.Example"
# Text is not yet known to be UTF-8: who reads the column finds the cell that is not.
_TYPES = {
    example_columns.BYTES: pa.large_binary(),
    example_columns.FLOAT: pa.float32(),
    example_columns.INT: pa.int64(),
}


class TfRecordFormat:
    """See `sources.Format`. The columns are the features of the file's first records, up to a megabyte or 1,000 of
    them, sorted by name because an Example has no order. A feature that a record does not have, or that is an empty
    list, is missing there."""

    label = ""

    def columns(self, path: str) -> tuple[str, ...]:
        """The names of the features."""
        with contextlib.closing(frames.read(path, _FIRST_BYTES)) as parts:
            records = next(parts, None)
        if records is None:
            raise errors.FileError(f"{path} is empty. Remove the file or give it records.")
        first = records.split(_FIRST_RECORDS)
        examples = [example for example in map(_parse, first) if example is not None]
        names = {name for example in examples for name in example.features.feature}
        if not names:
            raise errors.FileError(
                f"{path} holds no tf.train.Example with a feature in its first records; record 1 is "
                f"{first[0][:_SHOWN_BYTES]!r}. Expected a TFRecord file of serialised Examples."
            )
        return tuple(sorted(names))

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The file as a whole: where its records begin is not known."""
        return (blocks.Shard(path),)

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The records in order, about four megabytes at a time."""
        file = _File(shard.path, columns)
        for records in frames.read(shard.path):
            yield file.to_block(records)


def make(settings: settings_lib.InputSettings, role: str) -> TfRecordFormat:
    """The reader; see `formats.FORMATS`."""
    del settings, role
    return TfRecordFormat()


class _File:
    """What the records read so far have shown of a file's columns."""

    def __init__(self, path: str, columns: tuple[str, ...]) -> None:
        self._path, self._columns, self._known = path, columns, frozenset(columns)
        self._kinds: dict[str, str] = {}
        self._lengths: dict[str, int] = {}

    def to_block(self, records: frames.Records) -> blocks.RawBlock:
        """The records that fit, as columns, and those that do not."""
        rows = np.arange(records.first, records.first + len(records))
        bad: list[blocks.BadRow] = []
        try:
            lists = example_columns.decode(records, self._columns, self._kinds)
        except example_columns.UnusualError:
            records, rows, bad = self._rewrite(records, rows)
            lists = example_columns.decode(records, self._columns, self._kinds)
        self._kinds.update((name, column.kind) for name, column in lists.items())
        cells = {name: self._cells(name, lists.get(name), len(rows)) for name in self._columns}
        return blocks.RawBlock(self._path, rows, cells, tuple(bad))

    def _rewrite(
        self, records: frames.Records, rows: np.ndarray
    ) -> tuple[frames.Records, np.ndarray, list[blocks.BadRow]]:
        """The records that fit, as protobuf writes them, their numbers, and those that do not fit."""
        serialised = records.split()
        examples = [_parse(record) for record in serialised]
        found = [{} if example is None else _kinds_of(example) for example in examples]
        usual = _usual_kinds(found)
        kinds = {name: usual[name] for name in self._columns if name in usual} | self._kinds
        good, numbers, bad = [], [], []
        for row, record, example, own in zip(
            rows.tolist(), serialised, examples, found, strict=True
        ):
            if example is None:
                text = record.decode("utf-8", "backslashreplace")
                bad.append(blocks.BadRow(self._path, row, "", text, _EXPECTED, text))
                continue
            fault = self._find_fault(own, kinds)
            if fault is None:
                good.append(example.SerializeToString())
                numbers.append(row)
                continue
            column, expected = fault
            value = _to_text(example.features.feature[column])
            bad.append(blocks.BadRow(self._path, row, column, value, expected, _to_text(example)))
        return frames.join(good), np.array(numbers, np.int64), bad

    def _find_fault(
        self, found: Mapping[str, str | None], kinds: Mapping[str, str]
    ) -> tuple[str, str] | None:
        """The feature at fault and what was expected; None for a record that fits."""
        if found.items() <= kinds.items():
            return None
        for name, kind in sorted(found.items()):
            if name not in self._known:
                return name, f"one of the features {', '.join(self._columns)}"
            if kind not in (None, kinds.get(name)):
                return name, f"{kinds[name]}, as in the file's first records"
        return None

    def _cells(
        self, name: str, lists: example_columns.Lists | None, count: int
    ) -> pa.Array | np.ndarray:
        """The column's cells of `count` records.

        Raises:
            SchemaError: the records have different numbers of values, or several byte strings.
        """
        known = self._lengths.get(name, 0)
        if lists is None:
            if known > 1 and count:
                raise self._uneven(name, known, known, count)
            kind = _TYPES[self._kinds[name]] if name in self._kinds else pa.null()
            return (
                np.zeros((0, known), kind.to_pandas_dtype()) if known > 1 else pa.nulls(count, kind)
            )
        low, high = int(lists.counts.min()), int(lists.counts.max())
        if known:
            low, high = min(low, known), max(high, known)
        self._lengths[name] = high
        missing = count - len(lists.records)
        if high > 1 and (low < high or missing):
            raise self._uneven(name, low, high, missing)
        if high > 1 and lists.kind == example_columns.BYTES:
            raise errors.SchemaError(
                f"{self._path}: column {name!r} holds lists of {high} byte strings. Expected one, or lists of numbers."
            )
        if high > 1:
            return lists.values.reshape(-1, high)
        values = pa.array(lists.values, _TYPES[lists.kind])
        if not missing:
            return values
        places = np.full(count, -1)
        places[lists.records] = np.arange(len(values))
        return values.take(pa.array(places, mask=places < 0))

    def _uneven(self, name: str, low: int, high: int, missing: int) -> errors.SchemaError:
        lengths = f"{low} to {high} values" if low < high else f"{high} values"
        return errors.SchemaError(
            f"{self._path}: column {name!r} holds lists of different lengths ({lengths}"
            f"{', and records without a value' if missing else ''}). Expected one length in all records."
        )


def _parse(record: bytes) -> tf.train.Example | None:
    """The record's Example; None if it is none, or holds more than an Example can."""
    try:
        example = tf.train.Example.FromString(record)
    except message.DecodeError:
        return None
    size = example.ByteSize()
    # A SequenceExample begins as an Example does; its sequences would be lost here.
    example.DiscardUnknownFields()
    return example if example.ByteSize() == size else None


def _kinds_of(example: tf.train.Example) -> dict[str, str | None]:
    """Feature -> the name of the list that has its values; None if it has none."""
    kinds: dict[str, str | None] = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        kinds[name] = kind if kind is not None and getattr(feature, kind).value else None
    return kinds


def _usual_kinds(found: list[dict[str, str | None]]) -> dict[str, str]:
    """The kind that most of the records give a feature."""
    counts = collections.Counter(item for kinds in found for item in kinds.items())
    usual: dict[str, str] = {}
    for (name, kind), _ in counts.most_common():
        if kind is not None:
            usual.setdefault(name, kind)
    return usual


def _to_text(found: message.Message) -> str:
    return text_format.MessageToString(found, as_one_line=True)
