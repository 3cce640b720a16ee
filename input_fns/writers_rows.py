"""Rows on their way into a file: typed by a schema as training sees them, but what is missing stays missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import math

import numpy as np
import pyarrow as pa

from input_fns import blocks, conversion, inference
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

_TYPES = {"string": pa.string(), "int64": pa.int64(), "float32": pa.float32()}


def read(
    source: sources.Source, schema: schema_lib.Schema, settings: settings_lib.InputSettings
) -> Iterator[pa.RecordBatch]:
    """All rows that fit, in order, with the columns in the order of the source's.

    A column is of Arrow's type string, int64 or float32, or a list of them, of fixed size where it is fixed; of two and
    more dimensions, a tensor of fixed shape. A missing value is null, a missing list empty. Classes named by whole
    numbers are int64, since that is what they were.

    Args:
        source: the rows.
        schema: what they hold.
        settings: says what becomes of bad rows.

    Raises:
        BadRowError: a row does not fit, and the settings do not say to skip it.
    """
    types = arrow_schema(schema, source.column_names)
    features = {feature.name: feature for feature in schema.columns}
    converter = conversion.Converter(schema, with_label=True)
    for shard in source.shards:
        for raw in source.read(shard):
            columns = {f.name: converter.convert_column(raw, f) for f in schema.columns}
            bad = conversion.find_bad_rows(raw, columns)
            if bad and settings.bad_rows == "error":
                raise inference.to_error(bad[0])
            arrays = [_to_arrow(columns[f.name], features[f.name], f.type) for f in types]
            batch = pa.RecordBatch.from_arrays(arrays, schema=types)
            if len(bad) > len(raw.misshapen):
                good = ~np.logical_or.reduce([column.bad for column in columns.values()])
                batch = batch.take(pa.array(np.flatnonzero(good)))
            if batch.num_rows:
                yield batch


def arrow_schema(schema: schema_lib.Schema, order: Sequence[str]) -> pa.Schema:
    """The columns' names and Arrow's types, in that order; those that the schema does not know are left out."""
    features = {feature.name: feature for feature in schema.columns}
    return pa.schema(
        [(name, _type_of(features[name], schema)) for name in order if name in features]
    )


def shortest(column: pa.Array) -> pa.Array:
    """Float32 numbers as the float64 ones that are written with the fewest digits: 0.1 and not 0.10000000149.

    Args:
        column: `[n]` float32, or any other array, which stays what it is.
    """
    if column.type != pa.float32():
        return column
    return column.cast(pa.string()).cast(pa.float64())


def flat(column: pa.Array) -> pa.Array:
    """The numbers of all lists, one after the other.

    Args:
        column: `[n]` lists of fixed size, or tensors of fixed shape.
    """
    return (column.storage if isinstance(column, pa.ExtensionArray) else column).flatten()


def is_vector(kind: pa.DataType) -> bool:
    """Whether a value has one dimension or more."""
    return isinstance(kind, (pa.FixedSizeListType, pa.FixedShapeTensorType))


def is_list(kind: pa.DataType) -> bool:
    """Whether a value is a list of any length."""
    return bool(pa.types.is_large_list(kind))


def _type_of(feature: schema_lib.Feature, schema: schema_lib.Schema) -> pa.DataType:
    if feature.is_list:
        return pa.large_list(_TYPES[feature.dtype])
    if feature.dtype == "string":
        named_by_numbers = feature in schema.labels and all(
            map(_is_whole, feature.vocabulary or ("",))
        )
        return pa.int64() if named_by_numbers else pa.string()
    number = _TYPES[feature.dtype]
    if not feature.shape:
        return number
    if len(feature.shape) == 1:
        return pa.list_(number, feature.shape[0])
    return pa.fixed_shape_tensor(number, feature.shape)


def _is_whole(name: str) -> bool:
    """Whether the name is how a whole number of 64 bits is written."""
    try:
        return str(int(name)) == name and -(2**63) <= int(name) < 2**63
    except ValueError:
        return False


def _to_arrow(
    column: conversion.Converted, feature: schema_lib.Feature, kind: pa.DataType
) -> pa.Array:
    values = column.values
    if isinstance(values, blocks.Lists):
        items = values.values
        flat = _to_texts(items) if isinstance(items, blocks.Strings) else pa.array(items)
        return pa.LargeListArray.from_arrays(pa.array(values.offsets), flat).cast(kind)
    if isinstance(values, blocks.Strings):
        return _to_texts(values, column.missing).cast(kind)
    if not feature.shape:
        return pa.array(values, kind, mask=column.missing)
    numbers = pa.array(np.ascontiguousarray(values).reshape(-1))
    lists = pa.FixedSizeListArray.from_arrays(numbers, math.prod(feature.shape))
    return pa.ExtensionArray.from_storage(kind, lists) if len(feature.shape) > 1 else lists


def _to_texts(values: blocks.Strings, missing: np.ndarray | None = None) -> pa.StringArray:
    texts = pa.array(values.values.tolist(), pa.binary()).cast(pa.string())
    return texts.take(pa.array(values.codes, mask=missing))
