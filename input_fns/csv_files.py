"""CSV files with a header, plain or gzip, read in blocks of text columns.

Arrow reads and splits; memory is bounded by its blocks, whatever the size of a file.
"""

from __future__ import annotations

from collections.abc import Iterator
import csv
import glob
import gzip
import io
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from input_fns import blocks, errors

_BLOCK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


def find_files(patterns: str) -> tuple[str, ...]:
    """The files that comma separated paths or globs name, each once, sorted within a glob.

    Raises:
        FileError: a pattern matches nothing.
    """
    found: dict[str, None] = {}
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        matches = sorted(glob.glob(pattern, recursive=True))
        if not matches:
            raise errors.FileError(
                f"No file matches {pattern!r}. Check the path; a glob is expanded by this program, "
                "so quote it in a shell."
            )
        found.update(dict.fromkeys(matches))
    if not found:
        raise errors.FileError(f"No file is named by {patterns!r}. Give a path or a glob.")
    return tuple(found)


def read_header(path: str) -> tuple[str, ...]:
    """The names of the columns of a file that has at least one row.

    Raises:
        FileError: the file cannot be opened, is empty, holds only a header, is not UTF-8, is
            damaged, or names a column twice.
    """
    try:
        with open(path, "rb") as plain:
            compressed = plain.read(2) == _GZIP_MAGIC
            plain.seek(0)
            data = gzip.GzipFile(fileobj=plain) if compressed else plain
            # A cell that is not UTF-8 is a bad row, found in the pass over the rows.
            with io.TextIOWrapper(data, "utf-8-sig", "surrogateescape", newline="") as text:
                lines = (row for row in csv.reader(text) if row)
                header, first = next(lines, None), next(lines, None)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise _unreadable(path, error) from error
    if header is not None and not _is_utf8("".join(header)):
        raise errors.FileError(
            f"{path} is not text in UTF-8, its header is {ascii(','.join(header))}. Convert it: "
            f"iconv -f LATIN1 -t UTF-8 {path}, if it is Latin-1."
        )
    if header is None:
        raise errors.FileError(f"{path} is empty. Expected a line with the columns' names.")
    if first is None:
        raise errors.FileError(
            f"{path} holds a header and no row. Remove the file or give it rows."
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise errors.FileError(
            f"{path} names {', '.join(map(repr, twice))} more than once in its header. Rename or "
            "remove the columns that repeat."
        )
    return tuple(header)


def read_blocks(path: str, header: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
    """The file's rows in order, every column as text.

    Args:
        path: the file.
        header: what `read_header` gave for it.

    Yields:
        Blocks of about a megabyte, their cells as binary Arrow arrays.

    Raises:
        FileError: the file turns out damaged.
    """
    misshapen: list[blocks.BadRow] = []

    def keep_misshapen(row: pacsv.InvalidRow) -> str:
        expected = f"{row.expected_columns} columns as in the header"
        text = row.text.rstrip("\r\n")
        # Arrow numbers the header as row 1.
        misshapen.append(blocks.BadRow(path, row.number - 1, "", text, expected, text))
        return "skip"

    next_row = 1
    try:
        with open(path, "rb") as plain:
            compression = "gzip" if plain.read(2) == _GZIP_MAGIC else None
        with (
            pa.input_stream(path, compression=compression) as stream,
            pacsv.open_csv(
                stream,
                # Only a serial read tells the number of a row that it could not split.
                pacsv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
                pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep_misshapen),
                pacsv.ConvertOptions(
                    column_types=dict.fromkeys(header, pa.binary()),
                    check_utf8=False,
                    strings_can_be_null=False,
                ),
            ) as reader,
        ):
            for batch in reader:
                rows = _row_numbers(next_row, batch.num_rows, misshapen)
                next_row = int(rows[-1]) + 1 if len(rows) else next_row
                passed = tuple(bad for bad in misshapen if bad.row < next_row)
                del misshapen[: len(passed)]
                cells = dict(zip(header, batch.columns, strict=True))
                yield blocks.RawBlock(path, rows, cells, passed)
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    if misshapen:
        none = dict.fromkeys(header, pa.array([], pa.binary()))
        yield blocks.RawBlock(path, np.zeros(0, np.int64), none, tuple(misshapen))


def _row_numbers(first: int, count: int, misshapen: list[blocks.BadRow]) -> np.ndarray:
    numbers = np.arange(first, first + count + len(misshapen))
    if misshapen:
        numbers = np.setdiff1d(numbers, [bad.row for bad in misshapen])
    return numbers[:count]


def _is_utf8(text: str) -> bool:
    """Whether the text was decoded without an escape."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(path: str, error: Exception) -> errors.FileError:
    if isinstance(error, (FileNotFoundError, IsADirectoryError, PermissionError)):
        return errors.FileError(f"Cannot read {path}: {error.strerror}.")
    if "straddling object" in str(error):
        return errors.FileError(
            f"{path} has a row of more than {_BLOCK_BYTES} bytes. Expected rows of a line each; "
            "look for a quote that is opened and never closed."
        )
    return errors.FileError(
        f"{path} is damaged: {error}. Expected CSV, plain or gzip; make or copy the file again."
    )
