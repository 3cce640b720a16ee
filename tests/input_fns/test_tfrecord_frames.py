"""Records, their checksums, and files that are cut or changed anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import itertools
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from input_fns import errors
from input_fns import tfrecord_frames as frames

WriteRecords = Callable[..., str]


@pytest.fixture
def write_records(tmp_path: pathlib.Path) -> WriteRecords:
    """Writes records with TensorFlow's writer and gives the path."""

    def write(records: Sequence[bytes], compression: str | None = None) -> str:
        path = str(tmp_path / "data.tfrecord")
        with tf.io.TFRecordWriter(path, compression) as writer:
            for record in records:
                writer.write(record)
        return path

    return write


def read_all(path: pathlib.Path, block_bytes: int) -> list[bytes | frames.Damage]:
    """The records, and where one is damaged, that; held against the numbers that they are given by."""
    found: list[bytes | frames.Damage] = []
    for part in frames.read(str(path), block_bytes):
        number = part.record if isinstance(part, frames.Damage) else part.first
        assert number == len(found) + 1
        found += [part] if isinstance(part, frames.Damage) else part.split()
    return found


def test_checksums_are_crc_32c() -> None:
    # From RFC 3720, B.4: 32 bytes of zeros, of ones, and ascending; and the check value of CRC catalogues.
    known = {
        bytes(32): 0x8A9136AA,
        b"\xff" * 32: 0x62A8AB43,
        bytes(range(32)): 0x46DD794E,
        b"123456789": 0xE3069283,
        b"": 0,
    }
    data = np.frombuffer(bytes(8) + b"".join(known), np.uint8)
    ends = 8 + np.cumsum([len(text) for text in known])
    starts = np.concatenate([[8], ends[:-1]])
    masked = [((c >> 15 | c << 17) + 0xA282EAD8) & 0xFFFFFFFF for c in known.values()]
    assert frames.masked_checksums(data, starts, ends).tolist() == masked


def test_records_of_any_length_are_read(write_records: WriteRecords) -> None:
    rng = np.random.default_rng(0)
    sizes = [*range(40), 4095, 4096, 4097, 8191, 8192, 8193, 20_000, 3]
    records = [rng.bytes(size) for size in sizes]
    path = write_records(records)
    for block_bytes in (7, 1000, 1 << 20):
        read = list(frames.read(path, block_bytes))
        assert [record for part in read for record in part.split()] == records
        assert [part.first for part in read] == list(
            itertools.accumulate([1, *map(len, read[:-1])])
        )
    assert len(read) == 1


@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
def test_a_cut_file_gives_its_whole_records_wherever_it_is_cut(
    write_records: WriteRecords, block_bytes: int
) -> None:
    path = pathlib.Path(write_records([b"abcdefgh", b"", b"xyz"]))
    whole = path.read_bytes()
    # At a record's end nothing tells that there were more.
    ends, cuts = {0: 0, 24: 1, 40: 2}, range(len(whole))
    for cut in cuts:
        path.write_bytes(whole[:cut])
        if cut in ends:
            assert sum(map(len, frames.read(str(path), block_bytes))) == ends[cut]
        elif cut > 24:
            number = sum(end <= cut for end in ends)
            *records, damage = read_all(path, block_bytes)
            assert records == [b"abcdefgh", b""][: number - 1]
            assert damage == frames.Damage(number, "the end of the file")
        else:
            sentence = f"{path} is damaged: it ends within record 1. Expected a TFRecord file, plain or compressed; "
            if cut < 12:
                sentence = f"{path} is no TFRecord file: it starts with {whole[:cut]!r}"
            with pytest.raises(errors.FileError, match=re.escape(sentence)):
                list(frames.read(str(path), block_bytes))


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB"])
def test_a_cut_compressed_file_is_damaged_wherever_it_is_cut(
    write_records: WriteRecords, compression: str
) -> None:
    path = pathlib.Path(write_records([b"abcdefgh", b"", b"xyz"], compression=compression))
    whole = path.read_bytes()
    for cut in range(12, len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(errors.FileError, match="data.tfrecord is damaged: Truncated"):
            list(frames.read(str(path)))


@pytest.mark.parametrize("block_bytes", [1000, 1 << 20])
def test_a_cut_compressed_file_gives_the_records_before_the_cut(
    write_records: WriteRecords, block_bytes: int
) -> None:
    records = [np.random.default_rng(i).bytes(100) for i in range(200)]
    path = pathlib.Path(write_records(records, compression="GZIP"))
    path.write_bytes(path.read_bytes()[:12_000])
    *found, damage = read_all(path, block_bytes)
    assert found == records[: len(found)]
    assert 100 < len(found) < 125
    assert damage == frames.Damage(len(found) + 1, "Truncated compressed stream")


@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
def test_a_changed_byte_is_found_wherever_it_is(
    write_records: WriteRecords, block_bytes: int
) -> None:
    original = [b"abcdefgh", b"", b"xyz"]
    path = pathlib.Path(write_records(original))
    whole = path.read_bytes()
    beginnings = (0, 24, 40)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x80
        path.write_bytes(changed)
        record = sum(begin <= place for begin in beginnings) - 1
        if place < 12:
            sentence = f"{path} is no TFRecord file: it starts with {bytes(changed[:12])!r}"
            with pytest.raises(errors.FileError, match=re.escape(sentence)):
                list(frames.read(str(path), block_bytes))
        elif place - beginnings[record] < 12:
            assert read_all(path, block_bytes) == [
                *original[:record],
                frames.Damage(
                    record + 1,
                    "a length with a wrong checksum; the records behind it cannot be found",
                ),
            ]
        else:
            damage = frames.Damage(record + 1, "bytes with a wrong checksum")
            expected = [*original[:record], damage, *original[record + 1 :]]
            assert read_all(path, block_bytes) == expected


def test_two_damaged_records_are_told_apart(write_records: WriteRecords) -> None:
    path = pathlib.Path(write_records([b"abcdefgh", b"12345678", b"xyz"]))
    changed = bytearray(path.read_bytes())
    changed[36] ^= 1  # the bytes of record 2
    changed[48] ^= 1  # the length of record 3
    path.write_bytes(changed)
    first, *damaged = read_all(path, 1 << 20)
    assert first == b"abcdefgh"
    assert [damage.record for damage in damaged] == [2, 3]
