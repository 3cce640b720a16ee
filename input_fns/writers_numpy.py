"""The writer of NumPy's `.npz`: an array a column."""

from __future__ import annotations

import contextlib
import os
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from input_fns import writers, writers_columnar, writers_rows

_DEFLATE = {"none": zipfile.ZIP_STORED, "gzip": zipfile.ZIP_DEFLATED}


class NumpyWriter(writers.Writer):
    """`[n]` int64, float32 or text of fixed width, or `[n, ...]` numbers. A missing number is NaN, missing text empty.

    An array stands in the file as a whole, and how wide its text is shows with the last row. So the rows wait in an
    Arrow file beside it, and are not held in memory.
    """

    def __init__(self, path: str, schema: pa.Schema, compression: str, label: str) -> None:
        self._path, self._schema, self._method = path, schema, _DEFLATE[compression]
        self._count = 0
        self._widths = dict.fromkeys(schema.names, 1)
        self._held_path = f"{path}.rows"
        self._held = writers_columnar.ArrowWriter(self._held_path, schema, "none", label)

    def write(self, rows: pa.RecordBatch) -> None:
        """See `writers.Writer`."""
        self._held.write(rows)
        self._count += rows.num_rows
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            if column.type == pa.string():
                longest = pc.max(pc.utf8_length(column)).as_py() or 0
                self._widths[name] = max(self._widths[name], longest)

    def finish(self) -> None:
        """See `writers.Writer`."""
        self._held.finish()
        self._held.close()
        with (
            pa.memory_map(self._held_path) as held,
            pa.ipc.open_file(held) as rows,
            zipfile.ZipFile(self._path, "w") as archive,
        ):
            for field in self._schema:
                # Made so, its time is 1980: the same rows are the same bytes.
                member = zipfile.ZipInfo(f"{field.name}.npy")
                member.compress_type = self._method
                with archive.open(member, "w", force_zip64=True) as file:
                    dtype, shape = self._layout(field)
                    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]
                    for part in range(rows.num_record_batches):
                        column = rows.get_batch(part).column(field.name)
                        file.write(_to_numpy(column).astype(dtype, copy=False).tobytes())

    def close(self) -> None:
        """See `writers.Writer`."""
        self._held.close()
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._held_path)

    def _layout(self, field: pa.Field) -> tuple[np.dtype, tuple[int, ...]]:
        kind = field.type
        if kind == pa.string():
            return np.dtype(f"<U{self._widths[field.name]}"), (self._count,)
        shape: tuple[int, ...] = ()
        if isinstance(kind, pa.FixedShapeTensorType):
            shape = tuple(kind.shape)
        elif isinstance(kind, pa.FixedSizeListType):
            shape = (kind.list_size,)
        number = kind.value_type if shape else kind
        return np.dtype(number.to_pandas_dtype()).newbyteorder("<"), (self._count, *shape)


def _to_numpy(column: pa.Array) -> np.ndarray:
    """`[n]` or, of lists, all of their numbers one after the other."""
    if writers_rows.is_vector(column.type):
        return writers_rows.flat(column).to_numpy()
    if column.type == pa.string():
        column = pc.fill_null(column, "")
    return column.to_numpy(zero_copy_only=False)
