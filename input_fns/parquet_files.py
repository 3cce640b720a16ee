"""Parquet files; a row group is the part that is read, and shuffled, on its own."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from input_fns import arrow_tables, blocks, errors, files
from input_fns import settings as settings_lib

_EXPECTED = "a Parquet file"


class ParquetFormat:
    """See `sources.Format`."""

    label = ""

    def columns(self, path: str) -> tuple[str, ...]:
        """The columns, from the file's footer."""
        with _open(path) as file:
            if not file.metadata.num_rows:
                raise errors.EmptyFileError(
                    f"{path} holds no row. Remove the file or give it rows."
                )
            return arrow_tables.check_columns(path, file.schema_arrow)

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The row groups."""
        with _open(path) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        starts = np.cumsum([1, *sizes]).tolist()
        return tuple(
            blocks.Shard(path, part, start)
            for part, (start, size) in enumerate(zip(starts, sizes, strict=False))
            if size
        )

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows of one row group."""
        with _open(shard.path, for_rows=True) as file:
            size = arrow_tables.block_rows(len(columns))
            batches = file.iter_batches(
                size,
                row_groups=[shard.part],
                columns=list(columns),
                # Of two processors the other one is busy with cutting batches.
                use_threads=(os.cpu_count() or 1) > 2,
            )
            try:
                yield from arrow_tables.to_blocks(shard.path, shard.first_row, batches, columns)
            except files.DAMAGE as error:
                raise files.unreadable(shard.path, error, _EXPECTED) from error


def make(settings: settings_lib.InputSettings, role: str) -> ParquetFormat:
    """The reader; see `formats.FORMATS`."""
    del settings, role
    return ParquetFormat()


@contextlib.contextmanager
def _open(path: str, for_rows: bool = False) -> Iterator[pq.ParquetFile]:
    """The file; for rows its text comes as the file has it, a dictionary and places in it, which halves the time of
    reading and typing census."""
    try:
        raw = files.open_raw(path)
    except OSError as error:
        raise files.unreadable(path, error, _EXPECTED) from error
    with raw:
        try:
            file = pq.ParquetFile(raw, pre_buffer=files.is_remote(path))
            if for_rows:
                texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
                file = pq.ParquetFile(
                    raw,
                    metadata=file.metadata,
                    read_dictionary=texts,
                    pre_buffer=files.is_remote(path),
                )
        except files.DAMAGE as error:
            raise files.unreadable(path, error, _EXPECTED) from error
        with file:
            yield file


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
