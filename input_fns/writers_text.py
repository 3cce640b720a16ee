"""Writers of text: CSV and TSV, JSON lines, LIBSVM; plain or compressed as a whole."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from input_fns import writers, writers_rows

_SPECIAL = r'["\r\n{}]'  # a cell with one of these is quoted


class _TextWriter(writers.Writer):
    """A file of text in UTF-8.

    Attributes:
        file: takes bytes.
    """

    def __init__(self, path: str, schema: pa.Schema, compression: str, label: str) -> None:
        self.path, self.schema, self.label = path, schema, label
        self._raw = open(path, "wb")
        self.file: BinaryIO | pa.NativeFile = self._raw
        if compression == "gzip":
            # Without name and time, so that the same rows are the same bytes.
            self.file = gzip.GzipFile("", "wb", 6, self._raw, mtime=0)  # type: ignore[assignment]
        elif compression == "zstd":
            self.file = pa.CompressedOutputStream(self._raw, "zstd")

    def close(self) -> None:
        """See `writers.Writer`."""
        try:
            self.file.close()
        finally:
            self._raw.close()


class CsvWriter(_TextWriter):
    """CSV with a header; in `.tsv` and `.tab` a tab stands between the cells. A missing value is an empty cell."""

    def __init__(self, path: str, schema: pa.Schema, compression: str, label: str) -> None:
        super().__init__(path, schema, compression, label)
        ending = writers.split_ending(path, "csv")[1].lower()
        self._delimiter = "\t" if ending.startswith((".tsv", ".tab")) else ","
        header = io.StringIO()
        csv.writer(header, delimiter=self._delimiter, lineterminator="\n").writerow(schema.names)
        self.file.write(header.getvalue().encode())

    def write(self, rows: pa.RecordBatch) -> None:
        """See `writers.Writer`."""
        # An empty line would be no row.
        empty = '""' if rows.num_columns == 1 else ""
        cells = [pc.fill_null(self._to_cells(column), empty) for column in rows.columns]
        lines = pc.binary_join_element_wise(*cells, self._delimiter)
        lines = pc.binary_join_element_wise(lines, "", "\n")
        self.file.write(lines.buffers()[2])  # the lines, one after the other

    def _to_cells(self, column: pa.Array) -> pa.StringArray:
        text = column.cast(pa.string())
        if column.type == pa.float32():
            # 3.0 and not 3: a column of whole numbers would be read as one of int64.
            whole = pc.match_substring_regex(text, "^-?[0-9]+$")
            return pc.if_else(whole, pc.binary_join_element_wise(text, "0", "."), text)
        if column.type == pa.string():
            special = pc.match_substring_regex(text, _SPECIAL.format(self._delimiter))
            doubled = pc.replace_substring(text, '"', '""')
            quoted = pc.binary_join_element_wise('"', doubled, '"', "")
            return pc.if_else(special, quoted, text)
        return text


class JsonLinesWriter(_TextWriter):
    """An object a line, with all columns in each: a missing value is null, so that no column is lost."""

    _encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

    def write(self, rows: pa.RecordBatch) -> None:
        """See `writers.Writer`."""
        columns = [_to_json(column) for column in rows.columns]
        names = rows.schema.names
        lines = (
            self._encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)
        )
        self.file.write("".join(f"{line}\n" for line in lines).encode())


class LibsvmWriter(_TextWriter):
    """`label index:value ...`, indices from 1, zeros left out; a list takes an index for each of its numbers."""

    def write(self, rows: pa.RecordBatch) -> None:
        """See `writers.Writer`."""
        columns = [
            writers_rows.flat(column) if writers_rows.is_vector(column.type) else column
            for name, column in zip(rows.schema.names, rows.columns, strict=True)
            if name != self.label
        ]
        values = np.hstack([c.to_numpy().reshape(rows.num_rows, -1) for c in columns])
        texts = np.hstack([_to_texts(c).reshape(rows.num_rows, -1) for c in columns])
        # The last index stands in each block's first row, so that all files have rows of one width.
        stands = values != 0
        stands[0, -1] = True
        labels = _to_texts(rows.column(self.label))
        lines = [
            " ".join([label, *(f"{i + 1}:{text[i]}" for i in np.flatnonzero(there).tolist())])
            for label, text, there in zip(labels, texts, stands, strict=True)
        ]
        self.file.write("".join(f"{line}\n" for line in lines).encode())


def _to_json(column: pa.Array) -> list[object]:
    if writers_rows.is_list(column.type):
        lists = pa.LargeListArray.from_arrays(column.offsets, writers_rows.shortest(column.values))
        found: list[object] = lists.to_pylist()
        return found
    if not writers_rows.is_vector(column.type):
        values: list[object] = writers_rows.shortest(column).to_pylist()
        return values
    numbers = writers_rows.shortest(writers_rows.flat(column)).to_numpy()
    rows: list[object] = numbers.reshape(len(column), -1).tolist()
    return rows


def _to_texts(column: pa.Array) -> np.ndarray:
    return column.cast(pa.string()).to_numpy(zero_copy_only=False)
