"""Keras models for tables, turned into Estimators with `model_to_estimator`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from estimator_app.compat import keras
from estimator_app.models import columns, keras_estimator
from estimator_app.models.problem import Problem
from input_fns import schema as schema_lib

# A feature without a one-hot vocabulary is hashed; four buckets a known value keep collisions rare.
_BUCKETS_A_VALUE = 4


def keras_mlp(problem: Problem) -> Any:
    """Fully connected network on the schema's features: numbers standardised, few values one-hot, more embedded."""
    keras.utils.set_random_seed(problem.config.tf_random_seed)
    inputs, dense = {}, []
    for feature in problem.schema.features:
        tensor = keras.Input(feature.shape, name=feature.name, dtype=feature.dtype)
        inputs[feature.name] = tensor
        dense.append(_encode(feature, tensor, problem))
    hidden = dense[0] if len(dense) == 1 else keras.layers.Concatenate()(dense)
    for units in problem.settings.hidden_units:
        # In the order of the wheel's dnn.py.
        hidden = keras.layers.Dense(units, problem.settings.activation or "relu")(hidden)
        if problem.settings.dropout:
            hidden = keras.layers.Dropout(problem.settings.dropout)(hidden)
        if problem.settings.batch_norm:
            hidden = keras.layers.BatchNormalization()(hidden)
    model = keras.Model(inputs, keras_estimator.output(hidden, problem.schema))
    return keras_estimator.compile_to_estimator(model, problem)


class OneHot(keras.layers.Layer):
    """`[batch]` strings -> `[batch, len(vocabulary) + 1]` float32; the last column is for values not in the vocabulary.

    Compares instead of looking up: Keras' own StringLookup refuses a vocabulary in the graph that an Estimator builds
    ("the vocabulary size cannot be changed after the layer is called", tf-keras 2.15 to 2.21).
    """

    def __init__(self, vocabulary: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary = list(vocabulary)

    def call(self, values: Any) -> Any:
        known = tf.cast(
            tf.equal(values[:, tf.newaxis], tf.constant(self.vocabulary)[tf.newaxis, :]), tf.float32
        )
        return tf.concat([known, 1.0 - tf.reduce_sum(known, axis=1, keepdims=True)], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "vocabulary": self.vocabulary}


class HashedIds(keras.layers.Layer):
    """`[batch]` strings -> `[batch]` int64 in [0, num_buckets), by TensorFlow's stable Farmhash."""

    def __init__(self, num_buckets: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_buckets = num_buckets

    def call(self, values: Any) -> Any:
        return tf.strings.to_hash_bucket_fast(values, self.num_buckets)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_buckets": self.num_buckets}


class Standardise(keras.layers.Layer):
    """`[batch, *shape]` numbers -> `[batch, size]` float32, (x - mean) / stddev."""

    def __init__(self, mean: float, stddev: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean, self.stddev = mean, stddev

    def call(self, values: Any) -> Any:
        size = 1
        for width in values.shape[1:]:
            size *= width
        return tf.reshape(columns.standardise(self.mean, self.stddev)(values), [-1, size])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


def _encode(feature: schema_lib.Feature, tensor: Any, problem: Problem) -> Any:
    """Returns `[batch, width]` float32 for one feature."""
    if columns.is_number(feature):
        return Standardise(*columns.moments(feature, problem.statistics))(tensor)
    size = columns.num_values(feature)
    if feature.categorical:
        return keras.layers.Embedding(size, columns.embedding_dimension(feature))(tensor)
    if feature.vocabulary is not None and size <= columns.ONE_HOT_LIMIT:
        return OneHot(feature.vocabulary)(tensor)
    size = size * _BUCKETS_A_VALUE if feature.vocabulary else size
    return keras.layers.Embedding(size, columns.embedding_dimension(feature))(
        HashedIds(size)(tensor)
    )
