"""TFRecord files as records, many at a time, each held against its checksum.

TensorFlow's own reader takes a file that was cut within a record's header, or a compressed one that was cut near a
record's end, for one that ends there. This one does not; it tells which record is damaged, and gives the others as far
as they can be found.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
import contextlib
import dataclasses
import functools
import struct

import numpy as np
import pyarrow as pa

from input_fns import errors, files

EXPECTED = "a TFRecord file, plain or compressed"
PADDING = 16  # bytes that can be read past the last record

# A record: its length, the checksum of the length, its bytes, their checksum.
_LENGTH = struct.Struct("<Q")
_HEADER, _FOOTER = 12, 4
_BLOCK_BYTES = 4 << 20

_POLYNOMIAL = 0x82F63B78  # CRC-32C, its bits reversed
_SALVAGED_BYTES = 256  # at a time, where a compressed stream is about to end
_CHUNK_POWER = 12  # 4096 bytes are taken in one by one, what is longer at the same time


@dataclasses.dataclass(frozen=True)
class Records:
    """Some consecutive records.

    Attributes:
        first: 1-based number of the first in its file.
        data: [m] uint8, the records' bytes among others; `PADDING` of them stand after the last record.
        starts: [n] int64, where in `data` each record begins.
        ends: [n] int64, where it ends.
    """

    first: int
    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def split(self, count: int | None = None) -> list[bytes]:
        """The records themselves, or the first `count` of them."""
        spans = zip(self.starts[:count].tolist(), self.ends[:count].tolist(), strict=True)
        return [self.data[start:end].tobytes() for start, end in spans]


@dataclasses.dataclass(frozen=True)
class Damage:
    """A record that cannot be read.

    Attributes:
        record: 1-based number in its file.
        found: what stands in its place.
    """

    record: int
    found: str


def join(records: Sequence[bytes]) -> Records:
    """The records as if they came first in a file."""
    data = np.frombuffer(b"".join(records) + bytes(PADDING), np.uint8)
    ends = np.cumsum([len(record) for record in records], dtype=np.int64)
    return Records(1, data, np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)], ends)


def read(path: str, block_bytes: int | None = None) -> Generator[Records | Damage, None, None]:
    """The file's records in order, and where one is damaged, that.

    A record with a wrong checksum is passed over. What comes behind a wrong length, or is cut off, is lost.

    Args:
        path: the file.
        block_bytes: about how many to give at a time, if not four megabytes; a longer record comes alone.

    Raises:
        FileError: the file cannot be read, is no TFRecord file, or its first record cannot be found.
    """
    block_bytes = _BLOCK_BYTES if block_bytes is None else block_bytes
    first, rest, wanted = 1, b"", block_bytes
    fault = ""
    try:
        with _Stream(path) as stream:
            while new := stream.read(wanted):
                rest += new
                data = np.frombuffer(rest + bytes(PADDING), np.uint8)
                starts, lengths, wanted = _find_frames(rest)
                ends = starts + lengths
                sound, wrong = _check(path, first, data, starts, ends, len(rest))
                wanted = max(block_bytes, wanted)
                yield from _divide(Records(first, data, starts[:sound], ends[:sound]), wrong)
                first += sound
                if sound < len(starts) or _has_wrong_header(data, ends, len(rest)):
                    fault = "a length with a wrong checksum; the records behind it cannot be found"
                    break
                if sound:
                    rest = rest[int(ends[-1]) + _FOOTER :]
            fault = fault or stream.fault
    except files.DAMAGE as error:
        raise files.unreadable(path, error, EXPECTED) from error
    if not fault and rest:
        fault = "the end of the file"
    if fault and first == 1:
        if not stream.fault and len(rest) < _HEADER:
            raise _no_tfrecord(path, rest)
        reason = stream.fault or "it ends within record 1"
        raise files.unreadable(path, EOFError(reason), EXPECTED)
    if fault:
        yield Damage(first, fault)


def masked_checksums(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The CRC-32C of spans, masked as TFRecord does it, because a checksum of what holds checksums is weak.

    The spans are cut into chunks, and eight bytes of every chunk are taken in at a time.

    Args:
        data: [m] uint8; a span's first 7 bytes must not be the first of `data` unless its length is a multiple of 8.
        starts: [n] int64.
        ends: [n] int64.

    Returns:
        [n] uint32.
    """
    lengths = ends - starts
    chunks = -(-lengths >> _CHUNK_POWER)
    owners = np.repeat(np.arange(len(starts)), chunks)
    firsts = np.cumsum(chunks) - chunks
    # Chunks are counted from the end: the first may be short, and zeros before it would not change its checksum.
    following = firsts[owners] + chunks[owners] - 1 - np.arange(len(owners))
    stops = ends[owners] - (following << _CHUNK_POWER)
    parts = _unseeded_checksums(data, stops, np.minimum(stops - starts[owners], 1 << _CHUNK_POWER))
    total = np.zeros(len(starts), np.uint32)
    for index in range(int(chunks.max(initial=0))):
        longer = np.flatnonzero(chunks > index)
        total[longer] = _append_zeros(total[longer], _CHUNK_POWER) ^ parts[firsts[longer] + index]
    # What the seed, all ones, comes to depends on the length alone.
    different, which = np.unique(lengths, return_inverse=True)
    seeds = np.full(len(different), 0xFFFFFFFF, np.uint32)
    for power in range(int(different.max(initial=0)).bit_length()):
        odd = np.flatnonzero(different >> power & 1)
        seeds[odd] = _append_zeros(seeds[odd], power)
    checksums = ~(total ^ seeds[which])
    return (checksums >> 15 | checksums << 17) + np.uint32(0xA282EAD8)


class _Stream:
    """A file's bytes, decompressed, as far as they go.

    Attributes:
        fault: what was found where a compressed stream ended too early, once it was read so far.
    """

    def __init__(self, path: str) -> None:
        self._path, self._file, self._position = path, _open(path), 0
        self.fault = ""

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, count: int) -> bytes:
        """The next bytes; fewer at the end."""
        if self.fault:
            return b""
        try:
            data: bytes = self._file.read(count)
        except files.DAMAGE as error:
            if not isinstance(self._file, pa.CompressedInputStream):
                raise
            self.fault = str(error).strip().rstrip(".")
            data = b"".join(self._salvage())
        self._position += len(data)
        return data

    def _salvage(self) -> Iterator[bytes]:
        """What can be read from the position on; a read that fails has given nothing of it."""
        with _open(self._path) as file:
            left = self._position
            while left > 0:
                left -= len(file.read(min(left, _BLOCK_BYTES)))
            with contextlib.suppress(*files.DAMAGE):
                while True:
                    yield file.read(_SALVAGED_BYTES)


def _open(path: str) -> pa.NativeFile:
    """The file's bytes, decompressed: by a compression's magic, unless the first header is one of a plain file."""
    with files.open_raw(path) as raw:
        start = raw.read(_HEADER)
    if len(start) == _HEADER and _is_header(start):
        return pa.PythonFile(files.open_raw(path), "r")
    if start[:1] == b"\x78" and len(start) > 1 and int.from_bytes(start[:2], "big") % 31 == 0:
        # zlib; this codec of Arrow's tells it from gzip.
        return pa.CompressedInputStream(pa.PythonFile(files.open_raw(path), "r"), "gzip")
    return files.open_stream(path)


def _is_header(data: bytes) -> bool:
    found = masked_checksums(np.frombuffer(data, np.uint8), np.array([0]), np.array([8]))
    return int(found[0]) == int.from_bytes(data[8:], "little")


def _find_frames(data: bytes) -> tuple[np.ndarray, np.ndarray, int]:
    """The starts and lengths of whole records, and how many bytes the one that is not whole lacks."""
    starts, lengths, position, size = [], [], 0, len(data)
    unpack = _LENGTH.unpack_from
    lacking = 0
    while position + _HEADER <= size:
        (length,) = unpack(data, position)
        lacking = position + _HEADER + length + _FOOTER - size
        if lacking > 0:
            break
        starts.append(position + _HEADER)
        lengths.append(length)
        position += _HEADER + length + _FOOTER
    return np.array(starts, np.int64), np.array(lengths, np.int64), lacking


def _check(
    path: str, first: int, data: np.ndarray, starts: np.ndarray, ends: np.ndarray, size: int
) -> tuple[int, np.ndarray]:
    """Holds the records against their checksums.

    Returns:
        How many have a sound length, up to the first that has not, which says where the next record would be; and of
        these, `[n]` bool, whether their bytes are wrong.
    """
    wrong = _are_wrong(data, starts - _HEADER, starts - _HEADER + 8)
    if first == 1 and (wrong[:1].any() or not len(starts) and _has_wrong_header(data, ends, size)):
        raise _no_tfrecord(path, data[:size].tobytes())
    sound = int(np.argmax(wrong)) if wrong.any() else len(starts)
    return sound, _are_wrong(data, starts[:sound], ends[:sound])


def _has_wrong_header(data: np.ndarray, ends: np.ndarray, size: int) -> bool:
    """Whether the header behind the last whole record is there, and is wrong."""
    behind = int(ends[-1]) + _FOOTER if len(ends) else 0
    header = np.array([behind], np.int64)
    return behind + _HEADER <= size and bool(_are_wrong(data, header, header + 8).any())


def _are_wrong(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """[n] bool, whether the checksum behind each span is another one than the span's."""
    at_any: np.ndarray = np.ndarray((len(data) - 3,), "<u4", data, 0, (1,))
    wrong: np.ndarray = masked_checksums(data, starts, ends) != at_any[ends]
    return wrong


def _divide(records: Records, wrong: np.ndarray) -> Iterator[Records | Damage]:
    """The records between those that are wrong, and these."""
    begin = 0
    for place in [*np.flatnonzero(wrong).tolist(), len(records)]:
        if place > begin:
            own = slice(begin, place)
            first = records.first + begin
            yield Records(first, records.data, records.starts[own], records.ends[own])
        if place < len(records):
            yield Damage(records.first + place, "bytes with a wrong checksum")
        begin = place + 1


def _no_tfrecord(path: str, data: bytes) -> errors.FileError:
    return errors.FileError(
        f"{path} is no TFRecord file: it starts with {data[:_HEADER]!r}, which is not a record's length with its "
        f"checksum. Expected {EXPECTED}; correct the path, or pass --format."
    )


def _unseeded_checksums(data: np.ndarray, stops: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[n] uint32, of the `sizes` bytes before `stops`, in the linear form: without a seed, and not inverted."""
    words = -(-sizes >> 3)
    order = np.argsort(-words, kind="stable")
    stops, sizes, words = stops[order], sizes[order], words[order]
    # The bits of the first word that stand before the chunk.
    foreign = (64 * words - 8 * sizes).astype(np.uint64)
    at_any: np.ndarray = np.ndarray((max(0, len(data) - 7),), "<u8", data, 0, (1,))
    far, near = _zeros(3), _zeros(2)
    found = np.zeros(len(stops), np.uint64)
    begun = 0
    for left in range(int(words.max(initial=0)), 0, -1):
        live = int(np.searchsorted(-words, -left, "right"))
        word = at_any[stops[:live] - 8 * left]
        word[begun:] = word[begun:] >> foreign[begun:live] << foreign[begun:live]
        word ^= found[:live]
        parts = word.view(np.uint16)
        found[:live] = (
            far[0].take(parts[0::4])
            ^ far[1].take(parts[1::4])
            ^ near[0].take(parts[2::4])
            ^ near[1].take(parts[3::4])
        )
        begun = live
    checksums = np.empty(len(stops), np.uint32)
    checksums[order] = found
    return checksums


def _append_zeros(checksums: np.ndarray, power: int) -> np.ndarray:
    """What `2**power` zero bytes make of [n] uint32 checksums in their linear form."""
    low, high = _zeros(power)
    return low.take(checksums & 0xFFFF) ^ high.take(checksums >> 16)


@functools.cache
def _zeros(power: int) -> np.ndarray:
    """[2, 65536] uint32, what `2**power` zero bytes make of a checksum's low half, and of its high one."""
    images: np.ndarray = np.uint32(1) << np.arange(32, dtype=np.uint32)
    if power:
        images = _append_zeros(_append_zeros(images, power - 1), power - 1)
    else:
        for _ in range(8):
            images = images >> 1 ^ (images & 1) * np.uint32(_POLYNOMIAL)
    tables = np.zeros((2, 1 << 16), np.uint32)
    for bit in range(16):
        for half in range(2):
            known = tables[half, : 1 << bit]
            tables[half, 1 << bit : 2 << bit] = known ^ images[16 * half + bit]
    return tables
