"""Rows as batches of TensorFlow's.

Rows are held and shuffled as NumPy columns. They go to TensorFlow many batches at a time, text as codes into a small
table, and are cut into batches there: Python is entered once for dozens of batches and the interpreter's lock is held
for microseconds a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
import math
from typing import Any

import numpy as np
import tensorflow as tf

from input_fns import blocks, exit_guard, row_order
from input_fns import schema as schema_lib

_SUPER_BATCH_BYTES = 4 << 20
_MAX_SUPER_BATCH = 128
_RUN_AHEAD = 4  # blocks of batches
_STRING_BYTES = 24  # what a short string takes in a tensor
_LIST_VALUES = 64  # what most lists have at most


def super_batch(columns: tuple[schema_lib.Feature, ...], batch_size: int) -> int:
    """How many batches to hand over at a time: up to some megabytes of them."""
    sizes = {"string": _STRING_BYTES, "int64": 8, "float32": 4}
    row_bytes = sum(sizes[column.dtype] * _num_values(column) for column in columns)
    return max(1, min(_MAX_SUPER_BATCH, _SUPER_BATCH_BYTES // (row_bytes * batch_size)))


def _num_values(column: schema_lib.Feature) -> int:
    """How many values a row has, or may have of a list."""
    if column.value_count is None:
        return math.prod(column.shape)
    most = column.value_count[1]
    return _LIST_VALUES if most is None else max(1, min(most, _LIST_VALUES))


def make_dataset(
    rows: row_order.RowOrder,
    columns: tuple[schema_lib.Feature, ...],
    labelled: schema_lib.Schema | None,
    label_as: str,
) -> tf.data.Dataset:
    """Batches as `pipeline.make_input_fn` describes them.

    Args:
        rows: the rows in their order.
        columns: what is handed over: the rows' columns, or some of them.
        labelled: whose labels are given apart; None gives features alone.
        label_as: "value" or "index".
    """
    labels = labelled.labels if labelled else ()
    signature: list[tf.TensorSpec] = []
    for column in columns:
        shape = [None] if column.is_list else [None, None, *column.shape]
        if column.is_list:
            signature.append(tf.TensorSpec([None, None], tf.int64))
        if column.dtype == "string":
            signature.append(tf.TensorSpec([None], tf.string))
            signature.append(tf.TensorSpec(shape, tf.int32))
        else:
            signature.append(tf.TensorSpec(shape, column.dtype))

    def flat_parts() -> Iterator[tuple[np.ndarray, ...]]:
        for block in rows.super_batches():
            for part in rows.cut(block):
                yield _flatten(part, columns, rows.batch_of(part))

    def generate() -> Iterator[tuple[np.ndarray, ...]]:
        return exit_guard.watched(flat_parts())

    def to_batches(*arrays: tf.Tensor) -> Any:
        parts = iter(arrays)
        features: dict[str, tf.Tensor] = {}
        for column in columns:
            lengths = next(parts) if column.is_list else None
            values = next(parts)
            if column.dtype == "string":
                codes = next(parts)
                as_index = column in labels and label_as == "index"
                if as_index:
                    values = tf.cast(codes, tf.int64)
                else:  # tf.gather takes three times as long for text
                    values = tf.gather_nd(values, codes[..., tf.newaxis])
            if lengths is not None:
                lists = tf.RaggedTensor.from_row_lengths(values, tf.reshape(lengths, [-1]), False)
                values = tf.RaggedTensor.from_uniform_row_length(
                    lists, tf.shape(lengths, tf.int64)[1], validate=False
                )
            features[column.name] = values
        if labelled is None:
            return features
        apart = {label.name: features.pop(label.name) for label in labels}
        if labelled.label is not None:
            return features, apart[labelled.label.name]
        if labelled.multi_label:
            return features, tf.stack(list(apart.values()), axis=-1)
        return features, apart

    def to_sparse(features: dict[str, Any], *label: tf.Tensor) -> Any:
        """A batch's lists as sparse tensors, each as wide as the longest of the batch."""
        sparse = {
            name: values.to_sparse() if isinstance(values, tf.RaggedTensor) else values
            for name, values in features.items()
        }
        return (sparse, *label) if label else sparse

    dataset = tf.data.Dataset.from_generator(generate, output_signature=tuple(signature))
    # The first prefetch runs Python, the second cuts batches: each in a thread of its own. Python runs some blocks
    # ahead, because it stops for the time of many when it fills the shuffle window again.
    dataset = dataset.prefetch(_RUN_AHEAD).map(to_batches)
    # A slice shares the memory of its block where that is aligned; unbatch copies, text value by value, and takes twice
    # the time.
    dataset = dataset.flat_map(
        lambda *parts: tf.data.Dataset.from_tensor_slices(parts if labelled else parts[0])
    )
    if any(column.is_list for column in columns):
        dataset = dataset.map(to_sparse)
    dataset = dataset.prefetch(rows.super_batch)
    options = tf.data.Options()
    # There is nothing to tune, and the tuner's thread takes a tenth of two cores.
    options.autotune.enabled = False
    # A generator cannot be split by tf.data; `shard` does it.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


def _flatten(
    block: blocks.Block, columns: tuple[schema_lib.Feature, ...], batch: int
) -> tuple[np.ndarray, ...]:
    """The block's columns as `[k, batch, ...]` arrays; of text the table and the codes into it; of lists their lengths
    and, flat, the values of all."""
    arrays = []
    for column in columns:
        values = block.columns[column.name]
        shape = (-1, batch, *column.shape)
        if isinstance(values, blocks.Lists):
            arrays.append(values.lengths.reshape(-1, batch))
            values, shape = values.values, (-1,)
        if isinstance(values, blocks.Strings):
            table, codes = values.values, values.codes
            if len(table) > len(codes) and not values.fixed:
                used, codes = np.unique(codes, return_inverse=True)
                table = table[used]
            arrays += [table, codes.astype(np.int32, copy=False).reshape(shape)]
        else:
            arrays.append(values.reshape(shape))
    return tuple(arrays)
