"""Lines of `label index:value index:value ... # comment` as arrays, a whole block of text at a time."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pyarrow as pa

from input_fns import cells

_COMMENT = re.compile(rb"#[^\n]*")
_QUERY = re.compile(rb"^([ \t]*[^\s:]+[ \t]+)qid:[0-9]+(?=\s)", re.MULTILINE)
_SPACE = np.zeros(256, bool)
_SPACE[list(b" \t\r\n\v\f")] = True


@dataclasses.dataclass(frozen=True)
class Fault:
    """A line that does not fit.

    Attributes:
        line: 0-based.
        is_label: whether the label is at fault, else a pair.
        found: that part's text.
        expected: what should have stood there.
    """

    line: int
    is_label: bool
    found: str
    expected: str


@dataclasses.dataclass(frozen=True)
class Rows:
    """The lines that fit; blank ones and those of a comment alone are none.

    Attributes:
        lines: [n] int, each row's 0-based line.
        labels: [n] int64 if all are whole, else float64.
        owners: [k] int, the row, a position in `lines`, of each pair; ascending.
        indices: [k] int64.
        values: [k] int64 or float64.
        faults: the lines left out, in order.
    """

    lines: np.ndarray
    labels: np.ndarray
    owners: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    faults: tuple[Fault, ...]


def parse(text: bytes) -> Rows:
    """The lines of a text; a `qid:` after the label is left out.

    Args:
        text: whole lines, the last one with its line end.
    """
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    if b"qid:" in text:
        text = _QUERY.sub(rb"\1", text)
    chars = np.frombuffer(text, np.uint8)
    # Where words begin and end: each change between white space and something else.
    edges = np.flatnonzero(np.diff(_SPACE[chars], prepend=True))
    starts, ends = edges[::2], edges[1::2]
    line = np.searchsorted(np.flatnonzero(chars == ord("\n")), starts)
    is_label = np.diff(line, prepend=-1) > 0
    colons = np.flatnonzero(chars == ord(":"))
    owners = np.searchsorted(starts, colons, side="right") - 1
    is_pair = ~is_label & (np.bincount(owners, minlength=len(starts)) == 1)
    colon_of = np.zeros(len(starts), np.int64)
    colon_of[owners] = colons
    middle = colon_of[is_pair]
    labels = _numbers(chars, starts[is_label], ends[is_label])
    indices = _numbers(chars, starts[is_pair], middle)
    values = _numbers(chars, middle + 1, ends[is_pair])

    faulty = ~is_label & ~is_pair
    faulty[is_label] = labels.bad | labels.missing
    broken = indices.bad | indices.missing | values.bad | values.missing
    faulty[is_pair] = broken | (indices.values != np.floor(indices.values))
    bad_lines, first = np.unique(line[faulty], return_index=True)
    faults = tuple(
        _to_fault(number, bool(is_label[word]), text[starts[word] : ends[word]])
        for number, word in zip(bad_lines.tolist(), np.flatnonzero(faulty)[first], strict=True)
    )
    good = ~np.isin(line, bad_lines)
    lines = line[is_label & good]
    good_labels, good_pairs = good[is_label], good[is_pair]
    return Rows(
        lines,
        _whole(labels.values[good_labels]),
        np.searchsorted(lines, line[is_pair & good]),
        indices.values[good_pairs].astype(np.int64),
        values.values[good_pairs],
        faults,
    )


def _numbers(chars: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> cells.Numbers:
    """The numbers that stand in `chars` from each start to its end."""
    lengths = ends - starts
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    places = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(chars[places])]
    return cells.parse_numbers(pa.Array.from_buffers(pa.binary(), len(starts), buffers))


def _whole(values: np.ndarray) -> np.ndarray:
    """As int64 if that loses nothing: a class may be written 1 or 1.0."""
    if values.dtype.kind == "f" and (values == np.floor(values)).all():
        if (np.abs(values) < 2.0**63).all():
            return values.astype(np.int64)
    return values


def _to_fault(line: int, is_label: bool, found: bytes) -> Fault:
    expected = "a number, the label" if is_label else "index:value, both of them numbers"
    return Fault(line, is_label, found.decode("utf-8", "backslashreplace"), expected)
