"""LIBSVM files, as SVMlight and XGBoost write them too: sparse rows of numbers, plain or compressed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import functools

import numpy as np
import pyarrow as pa

from input_fns import arrow_tables, blocks, errors, files, libsvm_text
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib

FEATURES = "features"
LABEL = "label"
_BLOCK_BYTES = 1 << 20  # of text
_DENSE_BYTES = 8 << 20  # of features
_MAX_WIDTH = 1 << 20
_EXPECTED = "lines of `label index:value ...` (LIBSVM), plain or compressed"


@dataclasses.dataclass(frozen=True)
class Layout:
    """How indices become places.

    Attributes:
        first: the lowest index, 0 or 1.
        width: how many features a row has.
    """

    first: int
    width: int


class LibsvmFormat:
    """See `sources.Format`. The columns are `features`, [width] float32, 0 where a line has no such index, and `label`.

    The training files decide how an index is understood, in evaluation too: a row is as wide as the largest index in
    any of them, and indices count from 0 if an index 0 stands in any of them, else from 1. That takes a pass over them.
    A schema's shape of `features` goes before the width that was found. A row with an index beyond is bad.

    Rows are not sparse from here on: what is held to shuffle takes 4 bytes a feature.
    """

    label = LABEL

    def __init__(self, training_files: Sequence[str], width: int = 0) -> None:
        """Reads nothing.

        Args:
            training_files: at least one.
            width: of a row; 0 takes the largest index in the training files.
        """
        self._training_files, self._width = tuple(training_files), width

    def columns(self, path: str) -> tuple[str, ...]:
        """`FEATURES` and `LABEL`, for a file that has a line, and training files that have an index."""
        if not any(text.strip() for _, text in _texts(path)):
            raise errors.EmptyFileError(f"{path} holds no row. Remove the file or give it rows.")
        self._layout  # raises
        return (FEATURES, LABEL)

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The file as a whole: where its lines begin is not known."""
        return (blocks.Shard(path),)

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows in order. Rows are lines: one that is blank or a comment is none, and is counted."""
        layout, path = self._layout, shard.path
        for first_line, text in _texts(path):
            rows = libsvm_text.parse(text)
            misplaced = _find_misplaced(rows, layout)
            bad = _to_bad_rows(path, first_line, text, [*rows.faults, *misplaced])
            fits = ~np.isin(rows.lines, [fault.line for fault in misplaced])
            for numbers, cells in _to_dense(rows, fits, layout):
                yield blocks.RawBlock(path, first_line + numbers, cells, bad)
                bad = ()

    @functools.cached_property
    def _layout(self) -> Layout:
        first, high = 1, -1
        for path in self._training_files:
            for first_line, text in _texts(path):
                rows = libsvm_text.parse(text)
                if not len(rows.indices):
                    continue
                first = min(first, 0 if (rows.indices == 0).any() else 1)
                high = max(high, int(rows.indices.max()))
                if high > _MAX_WIDTH:
                    line = first_line + rows.lines[rows.owners[rows.indices.argmax()]]
                    raise errors.FileError(
                        f"{path}, row {line}: index {high} makes rows of as many numbers. Expected at most "
                        f"{_MAX_WIDTH}; correct the row, or hash the features into fewer."
                    )
        if high < first:
            raise errors.FileError(
                f"{', '.join(self._training_files)}: no line has an index and a value. Expected {_EXPECTED}."
            )
        return Layout(first, self._width or high + 1 - first)


def make(settings: settings_lib.InputSettings, role: str) -> LibsvmFormat:
    """The reader; see `formats.FORMATS`."""
    del role
    width = 0
    if settings.schema:
        given = schema_lib.read(settings.schema, settings.label_column, settings.weight_column)
        shapes = [column.shape for column in given.features if column.name == FEATURES]
        width = shapes[0][0] if shapes and shapes[0] else 0
    return LibsvmFormat(files.find(settings.train_data), width)


def _texts(path: str) -> Iterator[tuple[int, bytes]]:
    """Runs of whole lines: the number of the first one, from 1, and their text."""
    number, rest = 1, list[bytes]()
    try:
        with files.open_stream(path) as stream:
            while data := stream.read(_BLOCK_BYTES):
                lines, end, begun = data.rpartition(b"\n")
                if end:
                    text = b"".join([*rest, lines, end])
                    yield number, text
                    number += text.count(b"\n")
                    rest = []
                rest.append(begun)
    except files.DAMAGE as error:
        raise files.unreadable(path, error, _EXPECTED) from error
    if last := b"".join(rest):
        yield number, last + b"\n"


def _find_misplaced(rows: libsvm_text.Rows, layout: Layout) -> list[libsvm_text.Fault]:
    """The rows with an index that is out of range, or that stands there twice."""
    last = layout.first + layout.width - 1
    outside = (rows.indices < layout.first) | (rows.indices > last)
    order = np.lexsort((rows.indices, rows.owners))
    twice = np.zeros(len(order), bool)
    twice[order[1:]] = (np.diff(rows.owners[order]) == 0) & (np.diff(rows.indices[order]) == 0)
    misplaced = np.flatnonzero(outside | twice)
    owners, first = np.unique(rows.owners[misplaced], return_index=True)
    faults = []
    for owner, pair in zip(owners.tolist(), misplaced[first].tolist(), strict=True):
        expected = (
            f"an index from {layout.first} to {last}, as in the training data"
            if outside[pair]
            else "each index once"
        )
        found = f"{rows.indices[pair]}:{rows.values[pair]:g}"
        faults.append(libsvm_text.Fault(int(rows.lines[owner]), False, found, expected))
    return faults


def _to_bad_rows(
    path: str, first_line: int, text: bytes, faults: Sequence[libsvm_text.Fault]
) -> tuple[blocks.BadRow, ...]:
    lines = text.split(b"\n") if faults else []
    return tuple(
        blocks.BadRow(
            path,
            first_line + fault.line,
            LABEL if fault.is_label else FEATURES,
            fault.found,
            fault.expected,
            lines[fault.line].decode("utf-8", "backslashreplace").rstrip("\r"),
        )
        for fault in sorted(faults, key=lambda fault: fault.line)
    )


def _to_dense(
    rows: libsvm_text.Rows, fits: np.ndarray, layout: Layout
) -> Iterator[tuple[np.ndarray, dict[str, pa.Array | np.ndarray]]]:
    """The lines and the cells of the rows that fit, some megabytes at a time; once, if there is none."""
    size = max(1, min(arrow_tables.BLOCK_ROWS, _DENSE_BYTES // (4 * layout.width)))
    for start in range(0, max(1, len(rows.lines)), size):
        chosen = np.flatnonzero(fits[start : start + size]) + start
        features = np.zeros((len(fits[start : start + size]), layout.width), np.float32)
        low, high = np.searchsorted(rows.owners, (start, start + size))
        pairs = np.arange(low, high)[fits[rows.owners[low:high]]]
        features[rows.owners[pairs] - start, rows.indices[pairs] - layout.first] = rows.values[
            pairs
        ]
        yield rows.lines[chosen], {
            FEATURES: features[chosen - start],
            LABEL: pa.array(rows.labels[chosen]),
        }
