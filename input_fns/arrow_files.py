"""Arrow's own files: IPC files, which Feather's are, whose record batches are parts; and IPC streams."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib

import pyarrow as pa

from input_fns import arrow_tables, blocks, errors, files
from input_fns import settings as settings_lib

_MAGIC = b"ARROW1"
_EXPECTED = "an Arrow file, an Arrow stream or a Feather file of version 2"


class ArrowFormat:
    """See `sources.Format`."""

    label = ""

    def columns(self, path: str) -> tuple[str, ...]:
        """The columns, from the file's schema."""
        shards = self.shards(path)
        with _open(path) as reader:
            if isinstance(reader, pa.RecordBatchStreamReader):
                has_rows = any(batch.num_rows for batch in reader)
            else:
                has_rows = bool(shards)
        if not has_rows:
            raise errors.EmptyFileError(f"{path} holds no row. Remove the file or give it rows.")
        return read_columns(path)

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The record batches of a file; a stream is read from its start only, so it is one part."""
        with _open(path) as reader:
            if isinstance(reader, pa.RecordBatchStreamReader):
                return (blocks.Shard(path),)
            found, row = [], 1
            for part in range(reader.num_record_batches):
                size = reader.get_batch(part).num_rows
                if size:
                    found.append(blocks.Shard(path, part, row))
                row += size
        return tuple(found)

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows of one record batch, or of the stream."""
        with _open(shard.path) as reader:
            if isinstance(reader, pa.RecordBatchStreamReader):
                batches = iter(reader)
            else:
                batches = iter([reader.get_batch(shard.part)])
            yield from arrow_tables.to_blocks(shard.path, shard.first_row, batches, columns)


def read_columns(path: str) -> tuple[str, ...]:
    """The columns, of a file without rows as well."""
    with _open(path) as reader:
        return arrow_tables.check_columns(path, reader.schema)


def make(settings: settings_lib.InputSettings, role: str) -> ArrowFormat:
    """The reader; see `formats.FORMATS`."""
    del settings, role
    return ArrowFormat()


@contextlib.contextmanager
def _open(path: str) -> Iterator[pa.RecordBatchFileReader | pa.RecordBatchStreamReader]:
    """The reader of a file; damage that is found while it is open names the file."""
    try:
        if files.is_remote(path):
            source = pa.PythonFile(files.open_raw(path), "r")
        else:
            source = pa.memory_map(path)
        with source:
            start = source.read(len(_MAGIC))
            source.seek(0)
            if start == _MAGIC:
                yield pa.ipc.open_file(source)
            else:
                with pa.ipc.open_stream(files.open_stream(path)) as stream:
                    yield stream
    except files.DAMAGE as error:
        raise files.unreadable(path, error, _EXPECTED) from error
