"""CSV and TSV files, plain or compressed, read in blocks of text columns.

Arrow reads and splits; memory is bounded by its blocks, whatever the size of a file.
"""

from __future__ import annotations

from collections.abc import Iterator
import csv
import dataclasses
import io

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from input_fns import blocks, column_names, errors, files
from input_fns import settings as settings_lib

_BLOCK_BYTES = 1 << 20
# Python's module reads the first row; of the others Arrow takes cells of up to a block.
csv.field_size_limit(max(csv.field_size_limit(), _BLOCK_BYTES))


@dataclasses.dataclass(frozen=True)
class CsvFormat:
    """CSV files; see `sources.Format`.

    Attributes:
        delimiter: what stands between two cells; empty tells by the name: a tab in `.tsv` and `.tab`, else a comma.
        names: the columns of files without a header; empty when the first line names them.
    """

    delimiter: str = ""
    names: tuple[str, ...] = ()
    label: str = ""

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The file as a whole: where its lines begin is not known."""
        return (blocks.Shard(path),)

    def columns(self, path: str) -> tuple[str, ...]:
        """The names of the columns of a file that has at least one row.

        Raises:
            FileError: the file cannot be opened, is empty, holds only a header, is not UTF-8, is
                damaged, or names a column twice.
        """
        try:
            # A cell that is not UTF-8 is a bad row, found in the pass over the rows.
            with (
                files.open_stream(path) as data,
                io.TextIOWrapper(data, "utf-8-sig", "surrogateescape", newline="") as text,
            ):
                rows = csv.reader(text, delimiter=self._delimiter(path))
                lines = (row for row in rows if row)
                header, first = next(lines, None), next(lines, None)
        except (*files.DAMAGE, csv.Error) as error:
            raise _unreadable(path, error) from error
        if self.names:
            header, first = list(self.names), header
        if header is not None and not _is_utf8("".join(header)):
            raise errors.FileError(
                f"{path} is not text in UTF-8, its header is {ascii(','.join(header))}. Convert it: "
                f"iconv -f LATIN1 -t UTF-8 {path}, if it is Latin-1."
            )
        if header is None:
            raise errors.EmptyFileError(
                f"{path} is empty. Expected a line with the columns' names."
            )
        if first is None and self.names:
            raise errors.EmptyFileError(f"{path} is empty. Remove the file or give it rows.")
        if first is None:
            raise errors.EmptyFileError(
                f"{path} holds a header and no row. Remove the file or give it rows."
            )
        twice = column_names.repeated(header)
        if twice:
            shown = ", ".join(map(repr, twice))
            fix = "Rename or remove the columns that repeat"
            if self.names:
                raise errors.FileError(f"--columns names {shown} more than once. {fix}.")
            raise errors.FileError(
                f"{path} names {shown} more than once in its header. {fix}; if its first line is no header, pass "
                "--columns=NAME,NAME,..."
            )
        return tuple(header)

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The file's rows in order, every column as text, in blocks of about a megabyte."""
        path = shard.path
        misshapen: list[blocks.BadRow] = []
        header_lines = 0 if self.names else 1

        def keep_misshapen(row: pacsv.InvalidRow) -> str:
            where = "--columns" if self.names else "the header"
            expected = f"{row.expected_columns} columns as in {where}"
            text = row.text.rstrip("\r\n")
            # Arrow numbers the header as row 1.
            number = row.number - header_lines
            misshapen.append(blocks.BadRow(path, number, "", text, expected, text))
            return "skip"

        next_row = 1
        try:
            with (
                files.open_stream(path) as stream,
                pacsv.open_csv(
                    stream,
                    # Only a serial read tells the number of a row that it could not split.
                    pacsv.ReadOptions(
                        use_threads=False,
                        block_size=_BLOCK_BYTES,
                        column_names=list(self.names) or None,
                    ),
                    pacsv.ParseOptions(
                        delimiter=self._delimiter(path),
                        newlines_in_values=True,
                        invalid_row_handler=keep_misshapen,
                    ),
                    pacsv.ConvertOptions(
                        column_types=dict.fromkeys(columns, pa.binary()),
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
                    cells = dict(zip(columns, batch.columns, strict=True))
                    yield blocks.RawBlock(path, rows, cells, passed)
        except files.DAMAGE as error:
            raise _unreadable(path, error) from error
        if misshapen:
            none = dict.fromkeys(columns, pa.array([], pa.binary()))
            yield blocks.RawBlock(path, np.zeros(0, np.int64), none, tuple(misshapen))

    def _delimiter(self, path: str) -> str:
        name = path.lower()
        is_tsv = any(ending in name.rsplit("/", 1)[-1] for ending in (".tsv", ".tab"))
        return self.delimiter or ("\t" if is_tsv else ",")


def make(settings: settings_lib.InputSettings, role: str) -> CsvFormat:
    """The reader that the settings describe; see `formats.FORMATS`."""
    del role
    return CsvFormat(settings.delimiter, settings.columns)


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
    if "straddling object" in str(error):
        return errors.FileError(
            f"{path} has a row of more than {_BLOCK_BYTES} bytes. Expected rows of a line each; "
            "look for a quote that is opened and never closed."
        )
    return files.unreadable(path, error, "CSV, plain or compressed")
