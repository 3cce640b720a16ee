"""Writers of Arrow's tables: Parquet in row groups and Arrow in record batches, each of bounded size."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from input_fns import writers

# A group is what is shuffled, and given to a worker, as one; it is held in memory while it is gathered.
_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 32 << 20


class _GroupsWriter(writers.Writer):
    """Gathers rows until they are a group."""

    def __init__(self) -> None:
        self._pending: list[pa.RecordBatch] = []

    def write(self, rows: pa.RecordBatch) -> None:
        """See `writers.Writer`."""
        self._pending.append(rows)
        full = sum(batch.num_rows for batch in self._pending) >= _GROUP_ROWS
        if full or sum(batch.nbytes for batch in self._pending) >= _GROUP_BYTES:
            self.finish()

    def finish(self) -> None:
        """See `writers.Writer`."""
        if self._pending:
            group, self._pending = pa.Table.from_batches(self._pending), []
            self.write_group(group)

    def write_group(self, group: pa.Table) -> None:
        """Writes some rows as a group of their own."""
        raise NotImplementedError


class ParquetWriter(_GroupsWriter):
    """Parquet; a group is a row group."""

    def __init__(self, path: str, schema: pa.Schema, compression: str, label: str) -> None:
        del label
        super().__init__()
        self._file = pq.ParquetWriter(path, schema, compression=compression)

    def write_group(self, group: pa.Table) -> None:
        """See `_GroupsWriter`."""
        self._file.write_table(group, row_group_size=group.num_rows)

    def close(self) -> None:
        """See `writers.Writer`."""
        self._file.close()


class ArrowWriter(_GroupsWriter):
    """Arrow's IPC file, which is Feather's too; a group is a record batch."""

    def __init__(self, path: str, schema: pa.Schema, compression: str, label: str) -> None:
        del label
        super().__init__()
        options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
        self._raw = pa.OSFile(path, "wb")
        self._file = pa.ipc.new_file(self._raw, schema, options=options)

    def write_group(self, group: pa.Table) -> None:
        """See `_GroupsWriter`."""
        self._file.write_table(group.combine_chunks())

    def close(self) -> None:
        """See `writers.Writer`; may be called again."""
        if self._raw.closed:
            return
        try:
            self._file.close()
        finally:
            self._raw.close()
