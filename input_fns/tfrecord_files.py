"""TFRecord files of `tf.train.Example` or `tf.train.SequenceExample`, plain or compressed: a feature is a column.

Blocks of records are taken apart by NumPy. Only a block with a record that is unusual goes through protobuf, record by
record; that is where bad rows are found.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
import contextlib
import dataclasses

from google.protobuf import message, text_format
import numpy as np
import pyarrow as pa
import tensorflow as tf

from input_fns import blocks, errors, example_columns, sequence_examples
from input_fns import settings as settings_lib
from input_fns import tfrecord_frames as frames

_FIRST_BYTES = 1 << 20
_FIRST_RECORDS = 1000
_SHOWN_BYTES = 60
_EXPECTED = "a serialised tf.train.Example"
_WHOLE = "a whole record with its checksum"
# Text is not yet known to be UTF-8: who reads the column finds the cell that is not.
_TYPES = {
    example_columns.BYTES: pa.large_binary(),
    example_columns.FLOAT: pa.float32(),
    example_columns.INT: pa.int64(),
}


class TfRecordFormat:
    """See `sources.Format`. The columns are the features of the file's first records, up to a megabyte or 1,000 of
    them, sorted by name because an Example has no order. A feature that a record does not have, or that is an empty
    list, is missing there.

    A file is one of SequenceExamples if one of these records has feature lists: each of them is a column of lists, a
    value a step, beside the context's columns."""

    label = ""

    def columns(self, path: str) -> tuple[str, ...]:
        """The names of the features."""
        first = _first_records(path)
        if not first:
            raise errors.EmptyFileError(f"{path} is empty. Remove the file or give it records.")
        lists = sequence_examples.list_names(first)
        if lists:
            found = [sequence_examples.parse(record) for record in first]
            parts = [sequence.context for sequence in found if sequence is not None]
        else:
            parts = [e.features for e in map(_parse, first) if e is not None]
        names = lists.union(name for features in parts for name in features.feature)
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
        """The records in order, about four megabytes at a time; one that is damaged or cut off is a bad row."""
        lists = sequence_examples.list_names(_first_records(shard.path))
        file = _File(shard.path, columns, lists)
        for part in frames.read(shard.path):
            if isinstance(part, frames.Damage):
                yield file.to_block_of(part)
            else:
                yield file.to_block(part)


def make(settings: settings_lib.InputSettings, role: str) -> TfRecordFormat:
    """The reader; see `formats.FORMATS`."""
    del settings, role
    return TfRecordFormat()


def _first_records(path: str) -> list[bytes]:
    with contextlib.closing(frames.read(path, _FIRST_BYTES)) as parts:
        records = next((part for part in parts if isinstance(part, frames.Records)), None)
    return [] if records is None else records.split(_FIRST_RECORDS)


class _File:
    """What the records read so far have shown of a file's columns."""

    def __init__(self, path: str, columns: tuple[str, ...], lists: frozenset[str]) -> None:
        self._path, self._columns, self._known = path, columns, frozenset(columns)
        self._has_sequences = bool(lists)
        self._kinds: dict[str, str] = {}
        self._with_lists = set(lists)  # and columns of which a record had several values

    def to_block(self, records: frames.Records) -> blocks.RawBlock:
        """The records that fit, as columns, and those that do not."""
        rows = np.arange(records.first, records.first + len(records))
        bad: list[blocks.BadRow] = []
        if self._has_sequences:
            records, rows, bad = self._to_examples(records, rows)
        try:
            lists = example_columns.decode(records, self._columns, self._kinds)
        except example_columns.UnusualError:
            records, rows, unfit = self._rewrite(records, rows)
            bad += unfit
            lists = example_columns.decode(records, self._columns, self._kinds)
        self._kinds.update((name, column.kind) for name, column in lists.items())
        cells = {name: self._cells(name, lists.get(name), len(rows)) for name in self._columns}
        return blocks.RawBlock(self._path, rows, cells, tuple(bad))

    def to_block_of(self, damage: frames.Damage) -> blocks.RawBlock:
        """No row but a bad one."""
        bad = blocks.BadRow(self._path, damage.record, "", damage.found, _WHOLE, "")
        return dataclasses.replace(self.to_block(frames.join([])), misshapen=(bad,))

    def _to_examples(
        self, records: frames.Records, rows: np.ndarray
    ) -> tuple[frames.Records, np.ndarray, list[blocks.BadRow]]:
        """SequenceExamples as Examples, their numbers, and those that cannot be one."""
        good, numbers, bad = [], [], []
        for row, record in zip(rows.tolist(), records.split(), strict=True):
            sequence = sequence_examples.parse(record)
            if sequence is None:
                text = record.decode("utf-8", "backslashreplace")
                expected = sequence_examples.EXPECTED
                bad.append(blocks.BadRow(self._path, row, "", text, expected, text))
                continue
            try:
                good.append(sequence_examples.to_example(sequence).SerializeToString())
                numbers.append(row)
            except sequence_examples.UnfitError as error:
                found = _to_text(sequence.feature_lists.feature_list[error.column])
                text = _to_text(sequence)
                bad.append(
                    blocks.BadRow(self._path, row, error.column, found, error.expected, text)
                )
        return frames.join(good), np.array(numbers, np.int64), bad

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
        """The column's cells of `count` records: single values, until a record has several."""
        if lists is None:
            kind = _TYPES[self._kinds[name]] if name in self._kinds else pa.null()
            return pa.nulls(count, pa.large_list(kind) if name in self._with_lists else kind)
        low, high = int(lists.counts.min()), int(lists.counts.max())
        missing = count - len(lists.records)
        if high > 1:
            self._with_lists.add(name)
        if high > 1 and low == high and not missing and lists.kind != example_columns.BYTES:
            return lists.values.reshape(-1, high)
        values = pa.array(lists.values, _TYPES[lists.kind])
        if name in self._with_lists:
            lengths = np.zeros(count, np.int64)
            lengths[lists.records] = lists.counts
            offsets = np.concatenate([[0], np.cumsum(lengths)])
            return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
        if not missing:
            return values
        places = np.full(count, -1)
        places[lists.records] = np.arange(len(values))
        return values.take(pa.array(places, mask=places < 0))


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
