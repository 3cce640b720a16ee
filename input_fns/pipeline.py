"""Input functions for an Estimator: from a source and settings to what gives a `tf.data.Dataset` of batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from input_fns import augmentation, balance, batching, errors, row_order, row_streams
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

MODES = ("train", "eval", "predict")


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
        SchemaError: a file's columns are not the schema's, or it has no label to learn, or nothing to learn from.
    """
    if mode not in MODES or label_as not in ("value", "index"):
        raise ValueError(f"Unknown mode {mode!r} or label_as {label_as!r}")
    if not 0 <= shard[0] < shard[1]:
        raise ValueError(f"shard must be (index, count) with 0 <= index < count, not {shard}")
    with_label = mode != "predict"
    columns = schema.columns if with_label else schema.features
    if with_label:
        schema.task  # raises, unless the label and its kind are known
    if not schema.features:
        raise errors.SchemaError(
            f"Expected columns to learn from, found none beside {', '.join(c.name for c in schema.columns) or 'them'}. "
            "Add columns to the data, or correct --label_column and --weight_column."
        )
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
    size = batching.super_batch(columns, settings.batch_size)
    rows = row_order.RowOrder(reader, settings, training, size, start, repeats)
    labelled = schema if with_label else None
    images = augmentation.image_features(schema, settings) if training else ()

    def make_dataset() -> tf.data.Dataset:
        dataset = batching.make_dataset(rows, columns, labelled, label_as)
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
