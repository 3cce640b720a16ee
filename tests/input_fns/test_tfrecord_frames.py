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
def test_a_cut_file_is_refused_wherever_it_is_cut(
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
            continue
        number = 1 + sum(end <= cut for end in ends if end)
        sentence = f"{path} is damaged: it ends within record {number}. Expected a TFRecord file, plain or compressed; "
        if cut < 12:
            sentence = f"{path} is no TFRecord file: it starts with {whole[:cut]!r}"
        with pytest.raises(errors.FileError, match=re.escape(sentence)):
            list(frames.read(str(path), block_bytes))


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB"])
def test_a_cut_compressed_file_is_refused_wherever_it_is_cut(
    write_records: WriteRecords, compression: str
) -> None:
    path = pathlib.Path(write_records([b"abcdefgh", b"", b"xyz"], compression=compression))
    whole = path.read_bytes()
    for cut in range(12, len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(errors.FileError, match="data.tfrecord is damaged: Truncated"):
            list(frames.read(str(path)))


@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
def test_a_changed_byte_is_found_wherever_it_is(
    write_records: WriteRecords, block_bytes: int
) -> None:
    path = pathlib.Path(write_records([b"abcdefgh", b"", b"xyz"]))
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x80
        path.write_bytes(changed)
        number = 1 if place < 24 else 2 if place < 40 else 3
        sentence = (
            f"{path} is damaged: the checksum of record {number} is wrong. Expected a TFRecord file, plain or "
            "compressed; make or copy the file again."
        )
        if place < 12:
            sentence = f"{path} is no TFRecord file: it starts with {bytes(changed[:12])!r}"
        with pytest.raises(errors.FileError, match=re.escape(sentence)):
            list(frames.read(str(path), block_bytes))


def test_the_first_of_two_damaged_records_is_named(write_records: WriteRecords) -> None:
    path = pathlib.Path(write_records([b"abcdefgh", b"12345678", b"xyz"]))
    changed = bytearray(path.read_bytes())
    changed[36] ^= 1  # the bytes of record 2
    changed[48] ^= 1  # the length of record 3
    path.write_bytes(changed)
    with pytest.raises(errors.FileError, match="the checksum of record 2 is wrong"):
        list(frames.read(str(path)))
