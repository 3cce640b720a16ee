"""Rows of a Parquet file; pyarrow is imported only where one is read."""

from typing import Any, Iterator

from serving_client import errors

_BATCH_ROWS = 1024


class ParquetRows:
    """The rows of a Parquet file, of which a part at a time is in memory."""

    def __init__(self, path: str) -> None:
        """Opens the file.

        Raises:
            errors.InputError: It is no Parquet file, names a column twice, or pyarrow is not there.
            OSError: It cannot be opened.
        """
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise errors.InputError(
                "Reading Parquet takes the package pyarrow, which is not installed. Install it: pip "
                "install 'estimator-service[client]'."
            ) from error
        try:
            self._file = parquet.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise errors.InputError(f"{path} is no Parquet file: {error}.") from error
        names = self._file.schema_arrow.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise errors.InputError(
                f"{path} names {', '.join(map(repr, twice))} more than once among its columns. Rename "
                "or remove the columns that repeat."
            )
        self._count = self._file.metadata.num_rows
        self._read = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the rows, value by column; a null is None."""
        for batch in self._file.iter_batches(batch_size=_BATCH_ROWS):
            self._read += batch.num_rows
            yield from batch.to_pylist()

    def fraction(self) -> float:
        """Returns how much of the file has been read, 0 to 1."""
        return self._read / max(1, self._count)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
