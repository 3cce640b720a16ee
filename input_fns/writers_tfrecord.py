"""The writer of TFRecord files of tf.Example."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from typing import Any

from google.protobuf import wrappers_pb2
import numpy as np
import pyarrow as pa
import tensorflow as tf

from input_fns import writers, writers_rows

_KINDS = {"none": "", "gzip": "GZIP"}


class TFRecordWriter(writers.Writer):
    """An Example a row: int64_list, float_list or bytes_list by the column's type.

    What is missing is left out. But the first Example names every column, a missing one without a list, so that a
    column is not lost to who looks for them there.
    """

    def __init__(self, path: str, schema: pa.Schema, compression: str, label: str) -> None:
        del schema, label
        self._is_first = True
        with _os_errors(path):
            self._file = tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(_KINDS[compression]))
        self._path = path

    def write(self, rows: pa.RecordBatch) -> None:
        """See `writers.Writer`."""
        columns = [
            _encode(name, column)
            for name, column in zip(rows.schema.names, rows.columns, strict=True)
        ]
        if self._is_first:
            for name, column in zip(rows.schema.names, columns, strict=True):
                column[0] = column[0] or _features(name)
            self._is_first = False
        with _os_errors(self._path):
            for parts in zip(*columns, strict=True):
                # The bytes of a Features, one for each column, after one another are those of all its columns; and an
                # Example on the wire is a message with one field of bytes, as BytesValue is.
                self._file.write(wrappers_pb2.BytesValue(value=b"".join(parts)).SerializeToString())

    def close(self) -> None:
        """See `writers.Writer`."""
        with _os_errors(self._path):
            self._file.close()


def _encode(name: str, column: pa.Array) -> list[bytes]:
    """Of each row the bytes of a tf.train.Features with this column alone, or none if the value is missing."""
    kind = column.type
    if writers_rows.is_list(kind):
        return _encode_lists(name, column)
    if writers_rows.is_vector(kind):
        values = writers_rows.flat(column).to_numpy().reshape(len(column), -1)
        if values.dtype == np.float32:
            return _encode_floats(name, values)
        return [_features(name, int64_list=tf.train.Int64List(value=row)) for row in values]
    if kind == pa.float32():
        valid = column.is_valid().to_pylist()
        filled = column.fill_null(0).to_numpy(zero_copy_only=False)
        encoded = _encode_floats(name, filled.reshape(-1, 1))
        return [e if there else b"" for e, there in zip(encoded, valid, strict=True)]
    # Few of the values differ, so each is encoded once.
    distinct = column.dictionary_encode()
    table = [_encode_one(name, value) for value in distinct.dictionary.to_pylist()]
    return [b"" if code is None else table[code] for code in distinct.indices.to_pylist()]


def _encode_lists(name: str, column: pa.Array) -> list[bytes]:
    """Of each list the bytes; none if it is empty."""
    if column.type.value_type == pa.string():
        texts = column.cast(pa.large_list(pa.binary())).to_pylist()
        return [
            _features(name, bytes_list=tf.train.BytesList(value=row)) if row else b""
            for row in texts
        ]
    flat = column.flatten().to_numpy()
    offsets = np.diff(column.offsets.to_numpy()).cumsum()
    rows = np.split(flat, offsets[:-1])
    if flat.dtype == np.float32:
        return [
            _features(name, float_list=tf.train.FloatList(value=row)) if len(row) else b""
            for row in rows
        ]
    return [
        _features(name, int64_list=tf.train.Int64List(value=row)) if len(row) else b""
        for row in rows
    ]


def _encode_one(name: str, value: int | str) -> bytes:
    if isinstance(value, int):
        return _features(name, int64_list=tf.train.Int64List(value=[value]))
    return _features(name, bytes_list=tf.train.BytesList(value=[value.encode()]))


def _encode_floats(name: str, values: np.ndarray) -> list[bytes]:
    """Of each row of `[n, k]` float32 the bytes: numbers of one size stand at the end of them, after the same start."""
    size = 4 * values.shape[1]
    start = _features(name, float_list=tf.train.FloatList(value=values[0]))[:-size]
    data = np.ascontiguousarray(values, "<f4").tobytes()
    return [start + data[i : i + size] for i in range(0, len(data), size)]


def _features(name: str, **lists: Any) -> bytes:
    features = tf.train.Features(feature={name: tf.train.Feature(**lists)})
    return bytes(features.SerializeToString())


@contextlib.contextmanager
def _os_errors(path: str) -> Iterator[None]:
    """TensorFlow's errors as Python's own."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{path}: {error.message}") from error
