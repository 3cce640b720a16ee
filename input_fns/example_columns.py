"""Serialised `tf.train.Example`s as columns, a block of records at a time.

The records are taken apart side by side: first the first feature of each, then the second. So it costs some NumPy calls
a feature and not some Python calls a value. Only the form that protobuf itself writes is understood; it is for the
caller to have protobuf write another form anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses

import numpy as np
import pyarrow as pa

from input_fns import tfrecord_frames as frames

BYTES, FLOAT, INT = "bytes_list", "float_list", "int64_list"

# A field's tag: its number and, in the last three bits, that a length and so many bytes follow.
_FIRST, _SECOND = 0x0A, 0x12
_KINDS = {0x0A: BYTES, 0x12: FLOAT, 0x1A: INT}
_MAX_VARINT = 10  # bytes


class UnusualError(Exception):
    """A record is not of the usual form, or does not fit the columns."""


@dataclasses.dataclass(frozen=True)
class Lists:
    """The values of a column, in the records that have some.

    Attributes:
        kind: `BYTES`, `FLOAT` or `INT`.
        records: [n] int64, 0-based, ascending.
        counts: [n] int64, how many values each record has.
        values: [counts.sum()] float32 or int64; of `BYTES` a large_binary Arrow array.
    """

    kind: str
    records: np.ndarray
    counts: np.ndarray
    values: np.ndarray | pa.LargeBinaryArray


@dataclasses.dataclass(frozen=True)
class _Fields:
    """A field of length and bytes in each of n records.

    Attributes:
        tags: [n] uint8.
        starts: [n] int64, where its bytes begin.
        ends: [n] int64.
        whole: [n] bool, whether it is within its bounds; else it starts and ends where they end.
    """

    tags: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    whole: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Features:
    """Features that have values, of several records.

    Attributes:
        records: [n] int64, 0-based.
        columns: [n] int64, index into the columns' names.
        kinds: [n] uint8, the tag of the list.
        starts: [n] int64, where the packed numbers, or the first value's bytes, begin.
        ends: [n] int64, where these end.
        list_ends: [n] int64, where the list ends.
    """

    records: np.ndarray
    columns: np.ndarray
    kinds: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    list_ends: np.ndarray

    def __getitem__(self, index: np.ndarray) -> _Features:
        return _Features(*(getattr(self, field.name)[index] for field in dataclasses.fields(self)))


def decode(
    records: frames.Records, names: Sequence[str], kinds: Mapping[str, str]
) -> dict[str, Lists]:
    """The columns that any of the records has a value of.

    Args:
        records: serialised Examples.
        names: of the columns; a record may lack some of them.
        kinds: what kind a column is known to be.

    Raises:
        UnusualError: there is a record that protobuf would have written differently, that is no Example, or that has
            another feature than `names`, or one of another kind than `kinds` or the other records.
    """
    parts = list(_walk(records, names))
    if not parts:
        return {}
    fields = dataclasses.fields(_Features)
    features = _Features(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields)
    )
    # A stable sort of small integers takes linear time.
    small = np.uint16 if len(names) < 1 << 16 else np.int64
    order = np.argsort(features.columns.astype(small), kind="stable")
    bounds = np.cumsum(np.bincount(features.columns, minlength=len(names)))
    columns = {}
    for name, group in zip(names, np.split(order, bounds[:-1]), strict=True):
        if len(group):
            columns[name] = _decode_column(records.data, features[group], kinds.get(name))
    return columns


def _walk(records: frames.Records, names: Sequence[str]) -> Iterator[_Features]:
    """The first feature of every record, then the second, and so on."""
    data = records.data
    columns = {name.encode(): i for i, name in enumerate(names)}
    empty = records.starts == records.ends
    example = _read_fields(data, records.starts, records.ends)
    _require(empty | ((example.tags == _FIRST) & example.whole & (example.ends == records.ends)))
    positions = example.starts
    live = np.flatnonzero(positions < example.ends)
    while len(live):
        limits = example.ends[live]
        entry = _read_fields(data, positions[live], limits)
        key = _read_fields(data, entry.starts, entry.ends)
        value = _read_fields(data, key.ends, entry.ends)
        chosen = _read_fields(data, value.starts, value.ends)
        items = _read_fields(data, chosen.starts, chosen.ends)
        filled = chosen.starts < chosen.ends
        is_bytes = chosen.tags == _FIRST
        _require((entry.tags == _FIRST) & entry.whole)
        _require((key.tags == _FIRST) & key.whole)
        _require((value.tags == _SECOND) & value.whole & (value.ends == entry.ends))
        _require((value.starts == value.ends) | (chosen.whole & (chosen.ends == value.ends)))
        _require(
            ~filled
            | (items.whole & (items.tags == _FIRST) & (is_bytes | (items.ends == chosen.ends)))
        )
        keys = _take(data, key.starts, key.ends).dictionary_encode()
        known = np.array([columns.get(name, -1) for name in keys.dictionary.to_pylist()])
        codes = known[keys.indices.to_numpy(zero_copy_only=False)]
        _require(codes >= 0)
        yield _Features(live, codes, chosen.tags, items.starts, items.ends, chosen.ends)[
            np.flatnonzero(filled & (is_bytes | (items.starts < items.ends)))
        ]
        positions[live] = entry.ends
        live = live[entry.ends < limits]


def _decode_column(data: np.ndarray, features: _Features, known: str | None) -> Lists:
    if (np.diff(features.starts) < 0).any():  # the records have their features in different orders
        features = features[np.argsort(features.starts)]
    kind = _KINDS.get(int(features.kinds[0]))
    _require(features.kinds == features.kinds[0])
    _require(np.diff(features.records) > 0)  # else a record has the feature twice
    if kind is None or known not in (None, kind):
        raise UnusualError
    if kind == BYTES:
        owners, starts, ends = _find_values(data, features)
        counts = np.bincount(owners, minlength=len(features.records))
        return Lists(kind, features.records, counts, _take(data, starts, ends))
    taken = _take(data, features.starts, features.ends)
    _, offsets_buffer, packed_buffer = taken.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64, len(taken) + 1)
    packed = np.frombuffer(packed_buffer, np.uint8, int(offsets[-1]))
    if kind == FLOAT:
        _require(np.diff(offsets) % 4 == 0)
        return Lists(kind, features.records, np.diff(offsets) // 4, packed.view("<f4"))
    values, last_bytes = _decode_varints(packed, offsets)
    counts = np.diff(np.searchsorted(last_bytes, offsets))
    return Lists(kind, features.records, counts, values)


def _decode_varints(packed: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[n] int64 of numbers in packed form, and [n] where each has its last byte."""
    is_last = packed < 0x80
    _require(is_last[offsets[1:] - 1])
    last_bytes = np.flatnonzero(is_last)
    first_bytes = np.concatenate([[0], last_bytes[:-1] + 1])
    sizes = last_bytes - first_bytes + 1
    _require(sizes <= _MAX_VARINT)
    values = (packed[first_bytes] & 0x7F).astype(np.uint64)
    for index in range(1, int(sizes.max())):
        longer = np.flatnonzero(sizes > index)
        bits = (packed[first_bytes[longer] + index] & 0x7F).astype(np.uint64)
        values[longer] |= bits << np.uint64(7 * index)
    return values.view(np.int64), last_bytes


def _find_values(
    data: np.ndarray, features: _Features
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each byte string its list, [m] int64, and where it starts and ends; in the order of the lists."""
    positions = features.ends.copy()
    live = np.flatnonzero(positions < features.list_ends)
    parts = [(np.arange(len(positions)), features.starts, features.ends)]
    while len(live):
        value = _read_fields(data, positions[live], features.list_ends[live])
        _require(value.whole & (value.tags == _FIRST))
        parts.append((live, value.starts, value.ends))
        positions[live] = value.ends
        live = live[value.ends < features.list_ends[live]]
    if len(parts) == 1:
        return parts[0]
    owners, starts, ends = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(starts, kind="stable")
    return owners[order], starts[order], ends[order]


def _read_fields(data: np.ndarray, positions: np.ndarray, limits: np.ndarray) -> _Fields:
    """The fields that begin at `positions`, none of which may reach past `limits`."""
    at = positions + 1
    byte = data[at]
    lengths = (byte & 0x7F).astype(np.int64)
    shift = 0
    while shift < 28 and byte.max(initial=0) > 0x7F:
        shift += 7
        at = at + (byte > 0x7F)
        byte = np.where(byte > 0x7F, data[at], 0)
        lengths |= (byte & 0x7F).astype(np.int64) << shift
    starts = at + 1
    ends = starts + lengths
    whole = (ends <= limits) & (byte < 0x80)
    if not whole.all():
        starts, ends = np.where(whole, starts, limits), np.where(whole, ends, limits)
    return _Fields(data[positions], starts, ends, whole)


def _take(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> pa.LargeBinaryArray:
    """[n] Arrow array of what stands in `data` between `starts` and `ends`, which ascend."""
    if not len(starts):
        return pa.array([], pa.large_binary())
    # What is wanted and what stands between, in turn, are an Arrow array already; Arrow copies every other of them.
    offsets = np.stack([starts, ends], axis=1).ravel()
    count = len(offsets) - 1
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    spans = pa.LargeBinaryArray.from_buffers(pa.large_binary(), count, buffers)
    return spans.take(pa.array(np.arange(0, count, 2)))


def _require(usual: np.ndarray) -> None:
    if not usual.all():
        raise UnusualError
