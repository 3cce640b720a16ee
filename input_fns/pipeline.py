"""Input functions for an Estimator: rows of a source as a `tf.data.Dataset` of batches.

Rows are held and shuffled as NumPy columns. They go to TensorFlow many batches at a time, text as
codes into a small table, and are cut into batches there: Python is entered once for dozens of
batches and the interpreter's lock is held for microseconds a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import math
from typing import Any

import numpy as np
import tensorflow as tf

from input_fns import augmentation, balance, blocks, exit_guard, row_order, row_streams
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

MODES = ("train", "eval", "predict")
_SUPER_BATCH_BYTES = 4 << 20
_MAX_SUPER_BATCH = 64
_STRING_BYTES = 24  # what a short string takes in a tensor
_LIST_VALUES = 64  # what most lists have at most


def make_input_fn(
    source: sources.Source,
    schema: schema_lib.Schema,
    settings: settings_lib.InputSettings,
    mode: str,
    label_as: str = "value",
    shard: tuple[int, int] = (0, 1),
    start: row_order.Position | None = None,
    class_weights: np.ndarray | None = None,
) -> InputFn:
    """The input_fn that an Estimator, or a loop of one's own, calls for a dataset.

    "train" repeats the rows without end, shuffled; batches cross from one epoch into the next, and
    all are of full size. "eval" and "predict" give each row once, in file order; the last batch
    may be smaller. An element is (features, label), for "predict" features alone:

    * features: column name -> `[batch, *shape]` string, int64 or float32, of lists of any length a `tf.SparseTensor` of
      `[batch, longest]`, as `tf.io.parse_example` gives it; the weight, if the schema has one or
      `settings.class_balance` gives one, stands among them for "train" and "eval";
    * label: `[batch]`; of `schema.multi_label` the 0 and 1 of all classes, `[batch, num_classes]` int64; of several
      other labels a dict of column name -> `[batch]`.

    Args:
        source: the examples.
        schema: what they hold.
        settings: batch size, shuffling, seed, cache, bad rows.
        mode: one of `MODES`.
        label_as: "value" gives a label of text as text, as heads with a label_vocabulary want it;
            "index" gives its class id as int64, as Keras wants it. Other labels are the same in both.
        shard: (index, count): this worker's part of the rows.
        start: where in the order of training to go on, from `InputFn.position` of an earlier one; None begins.
        class_weights: [num_classes] from `balance.class_weights`, if the settings have a class_balance.

    Raises:
        SchemaError: a file's columns are not the schema's, or it has no label to learn.
    """
    if mode not in MODES or label_as not in ("value", "index"):
        raise ValueError(f"Unknown mode {mode!r} or label_as {label_as!r}")
    if not 0 <= shard[0] < shard[1]:
        raise ValueError(f"shard must be (index, count) with 0 <= index < count, not {shard}")
    with_label = mode != "predict"
    columns = schema.columns if with_label else schema.features
    if with_label:
        schema.task  # raises, unless the label and its kind are known
    known = [column.name for column in schema.columns]
    named = (*source.label_columns, source.weight_column)
    known += [name for name in named if name not in known]
    source.check_columns([column.name for column in columns], known)
    training = mode == "train"
    weights, repeats = None, None
    if with_label and settings.class_balance != "none":
        weights, repeats = _balance(schema, settings, training, class_weights)
        columns = balance.with_weight(schema).columns if weights else columns
    reader = row_streams.Reader(source, schema, settings, with_label, shard, weights)
    size = super_batch(columns, settings.batch_size)
    rows = row_order.RowOrder(reader, settings, training, size, start, repeats)
    labelled = schema if with_label else None
    images = augmentation.image_features(schema, settings) if training else ()

    def make_dataset() -> tf.data.Dataset:
        dataset = _make_dataset(rows, columns, labelled, label_as)
        if not images:
            return dataset
        place = (start.epoch, start.rows) if start else ()
        return augmentation.apply(dataset, images, settings, place)

    return InputFn(rows, make_dataset)


def _balance(
    schema: schema_lib.Schema,
    settings: settings_lib.InputSettings,
    training: bool,
    class_weights: np.ndarray | None,
) -> tuple[balance.Weights | None, balance.Repeats | None]:
    assert schema.label is not None
    if training and class_weights is None:
        raise ValueError("settings.class_balance needs class_weights; see balance.class_weights")
    if settings.class_balance == "weights":
        weight = balance.with_weight(schema).weight
        assert weight is not None
        by_class = class_weights if training else None
        return balance.Weights(schema.label.name, weight.name, by_class), None
    if training and class_weights is not None:
        return None, balance.Repeats(schema.label.name, class_weights)
    return None, None


class InputFn:
    """A function without arguments that gives the dataset; it knows where a training stands in it."""

    def __init__(
        self, rows: row_order.RowOrder, make_dataset: Callable[[], tf.data.Dataset]
    ) -> None:
        self._rows, self._make_dataset = rows, make_dataset

    def __call__(self) -> tf.data.Dataset:
        """A new dataset."""
        return self._make_dataset()

    def position(self, batches: int) -> row_order.Position:
        """Where in the training rows the dataset that was iterated last stands after so many batches."""
        return self._rows.position(batches)


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


def _make_dataset(
    rows: row_order.RowOrder,
    columns: tuple[schema_lib.Feature, ...],
    labelled: schema_lib.Schema | None,
    label_as: str,
) -> tf.data.Dataset:
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
                rows = tf.RaggedTensor.from_row_lengths(values, tf.reshape(lengths, [-1]), False)
                values = tf.RaggedTensor.from_uniform_row_length(
                    rows, tf.shape(lengths, tf.int64)[1], validate=False
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
    # The first prefetch runs Python, the second cuts batches: each in a thread of its own.
    dataset = dataset.prefetch(1).map(to_batches).unbatch()
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
