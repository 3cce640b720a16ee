"""Rows that Python code of the user's gives: a DataFrame, arrays, a `tf.data.Dataset`, a generator.

On the command line they are named as `--train_data=package.module:function`, in a notebook as `__main__:function`, or
handed over:

    source = python_objects.from_object(frame, label_column="income")
    data = settings.InputSettings(train_data=source.files[0], batch_size=128)
    found = inference.scan(source, data)
    input_fn = pipeline.make_input_fn(source, found.schema, data, "train")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
import inspect
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.interchange

from input_fns import arrow_tables, blocks, errors, files, named_objects, object_rows
from input_fns import settings as settings_lib
from input_fns import sources


class PythonFormat:
    """See `sources.Format`. The "files" are names of objects, or of functions without arguments that give one.

    A function is called once for its columns and anew for each pass over its rows, so it may be a generator, or give
    something that can be read only once. An object is kept; it may be

    * a DataFrame: of pandas (without its index), or any other with `__arrow_c_stream__` or `__dataframe__`;
    * a table, record batch, reader or dataset of pyarrow;
    * a dict of column -> array-like of any rank whose first dimension is the rows, a pair of such a dict and a label,
      or a structured NumPy array;
    * a `tf.data.Dataset` of dicts or of (dict, label) pairs, batched or not; see `dataset_rows.DatasetRows`;
    * anything else that gives dicts, or (dict, label) pairs, one by one: each a row. See `object_rows.DictRows`.

    The label of pairs is the column `label`, and their features, where they are an array and no dict, the column
    `features`. What an exception of the user's code says stays as it is.
    """

    def __init__(self, objects: Mapping[str, Any]) -> None:
        """Looks at the columns of each.

        Args:
            objects: name -> object, or function without arguments that gives one.

        Raises:
            FileError: one has no row, or is of another kind.
            SchemaError: a column is of a type that no feature has.
        """
        self._objects = dict(objects)
        rows = [self._open(name) for name in self._objects]
        self._columns = {name: own.columns for name, own in zip(self._objects, rows, strict=True)}
        self.label = rows[0].label

    def columns(self, path: str) -> tuple[str, ...]:
        """The object's columns."""
        return self._columns[path]

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The object as a whole."""
        return (blocks.Shard(path),)

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows in order.

        Raises:
            FileError: a function gives other columns than before.
        """
        rows = self._open(shard.path)
        if sorted(rows.columns) != sorted(columns):
            raise errors.FileError(
                f"{shard.path} gives the columns {', '.join(rows.columns)}, and gave {', '.join(columns)} when it was "
                "first called. Expected the same each time."
            )
        yield from rows.read()

    def _open(self, name: str) -> object_rows.Rows:
        made = self._objects[name]
        if callable(made):
            _check_call(name, made)
            made = made()
        elif isinstance(made, (Iterator, pa.RecordBatchReader)):
            raise errors.FileError(
                f"{name} is a {type(made).__name__}, which can be read once. Expected what can be read over and over; "
                "name the function that makes it."
            )
        return _open(name, made)


def make(settings: settings_lib.InputSettings, role: str) -> PythonFormat:
    """The reader; see `formats.FORMATS`."""
    named = settings.eval_data if role == "eval" else settings.train_data
    return PythonFormat(
        {
            name: named_objects.find(name, f"{role}_data", errors.FileError)
            for name in files.split(named)
        }
    )


def from_object(
    data: Any, label_column: str = "", weight_column: str = "", task: str = "auto", name: str = ""
) -> sources.Source:
    """An object in memory as what `inference.scan` and `pipeline.make_input_fn` take.

    Args:
        data: see `PythonFormat`.
        label_column: the column to learn, or several separated by commas; empty takes the label of pairs.
        weight_column: the column of example weights, or empty.
        task: "auto", "classification" or "regression".
        name: stands for the data in messages; empty takes its type's.

    Raises:
        InputError: the data cannot be read, or lacks a column.
    """
    name = name or type(data).__name__
    return sources.Source(PythonFormat({name: data}), [name], label_column, weight_column, task)


def _check_call(name: str, function: Callable[..., Any]) -> None:
    """Raises FileError if the function cannot be called without arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # one of C may not tell
        return
    needed = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise errors.FileError(
            f"{name} needs the arguments {', '.join(needed)}. Expected a function without arguments; name one that "
            "calls it with them."
        )


def _open(name: str, data: Any) -> object_rows.Rows:
    """The rows of an object, by its kind."""
    if _is_of(data, "tensorflow", lambda tf: tf.data.Dataset):
        from input_fns import dataset_rows

        return dataset_rows.DatasetRows(name, data)
    if _is_of(data, "pandas", lambda pandas: pandas.DataFrame):
        return object_rows.FrameRows(name, data)
    stream = _to_stream(data)
    if stream is not None:
        return object_rows.ArrowRows(name, *stream)
    if isinstance(data, Mapping):
        return object_rows.ArrayRows(name, data)
    if isinstance(data, np.ndarray) and data.dtype.names is not None:
        return object_rows.ArrayRows(name, {field: data[field] for field in data.dtype.names})
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Mapping):
        if not isinstance(data[1], Mapping):
            return object_rows.ArrayRows(name, data[0], data[1])
    if isinstance(data, tuple) and len(data) == 2 and _is_matrix(data[0]):
        return object_rows.ArrayRows(name, {object_rows.FEATURES: data[0]}, data[1])
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, np.ndarray)):
        return object_rows.DictRows(name, data)
    fix = " Return what its collect() gives." if hasattr(data, "collect") else ""  # polars
    raise errors.FileError(
        f"{name} is of type {type(data).__name__}. Expected {object_rows.ACCEPTED}.{fix}"
    )


def _is_matrix(data: Any) -> bool:
    """Whether it is an array, or a tensor, of rows that are arrays or numbers."""
    return hasattr(data, "__array__") and hasattr(data, "shape") and not hasattr(data, "columns")


def _is_of(data: Any, library: str, choose: Callable[[Any], type]) -> bool:
    """Whether the object is of a library's type; none is of a library that nobody has loaded."""
    module = sys.modules.get(library)
    return module is not None and isinstance(data, choose(module))


def _to_stream(data: Any) -> tuple[pa.Schema, Iterable[pa.RecordBatch]] | None:
    """Schema and batches of what Arrow can read."""
    if isinstance(data, pa.RecordBatch):
        return data.schema, [data]
    if not isinstance(data, (pa.Table, pa.dataset.Dataset, pa.RecordBatchReader)):
        if hasattr(data, "__arrow_c_stream__"):
            data = pa.RecordBatchReader.from_stream(data)
        elif hasattr(data, "__dataframe__"):
            data = pa.interchange.from_dataframe(data)
        else:
            return None
    if isinstance(data, pa.dataset.Dataset):
        return data.schema, data.to_batches(batch_size=arrow_tables.BLOCK_ROWS)
    return data.schema, data if isinstance(data, pa.RecordBatchReader) else data.to_batches()
