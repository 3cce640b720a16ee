"""Keras twins of the premade models for tables, on Keras' own preprocessing layers, through `model_to_estimator`.

| premade | twin | where it differs |
|---|---|---|
| baseline | keras_baseline | two classes are two logits, in all of these |
| linear | keras_linear | |
| dnn | keras_mlp | |
| dnn_linear | keras_wide_deep | one optimizer for both parts, as `compile` takes one |
| rnn | keras_rnn | in `keras_recurrent` |

Nothing is adapted: vocabularies come from the schema, moments and bounds from the statistics, as for feature columns.
Lookups give ids only: with another `output_mode` StringLookup and IntegerLookup refuse to be built anew in an
Estimator's graph ("vocabulary_size cannot be changed", tf-keras 2.15 to 2.21), so CategoryEncoding follows them.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from estimator_app.compat import keras
from estimator_app.models import columns, keras_estimator
from estimator_app.models.problem import Problem
from input_fns import schema as schema_lib

_BASELINE_LEARNING_RATE = 0.3
_LINEAR_LEARNING_RATE = 0.05


def keras_baseline(problem: Problem) -> Any:
    """One number for each class, or one alone, whatever the features."""
    inputs = make_inputs(problem)
    # One feature suffices for the number of rows.
    name, tensor = next(iter(inputs.items()))
    logits = Bias(_num_logits(problem.schema))(tensor)
    return _to_estimator(problem, {name: tensor}, logits, "ftrl", _BASELINE_LEARNING_RATE)


def keras_linear(problem: Problem) -> Any:
    """Linear model on standardised numbers, buckets, categories and crosses."""
    inputs = make_inputs(problem)
    logits = _sum(_wide_logits(problem, inputs) + _linear_logits(problem, inputs))
    return _to_estimator(problem, inputs, logits, "ftrl", _LINEAR_LEARNING_RATE)


def keras_mlp(problem: Problem) -> Any:
    """Fully connected network: numbers standardised, few values one-hot, more embedded."""
    inputs = make_inputs(problem)
    return _to_estimator(problem, inputs, _deep_logits(problem, inputs))


def keras_wide_deep(problem: Problem) -> Any:
    """The logits of both, of buckets, categories and crosses and of the network, added up and trained together."""
    inputs = make_inputs(problem)
    logits = _sum(_wide_logits(problem, inputs) + [_deep_logits(problem, inputs)])
    return _to_estimator(problem, inputs, logits)


class Bias(keras.layers.Layer):
    """`[batch, ...]` of anything -> `[batch, units]` float32, the same in every row."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.bias = self.add_weight("bias", (self.units,), initializer="zeros", dtype="float32")
        super().build(input_shape)

    def call(self, values: Any) -> Any:
        return tf.tile(self.bias[tf.newaxis], [tf.shape(values)[0], 1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def make_inputs(problem: Problem) -> dict[str, Any]:
    """Seeds Keras and returns feature -> input, `[batch, *shape]`, of a list a sparse one `[batch, longest]`."""
    keras.utils.set_random_seed(problem.config.tf_random_seed)
    return {
        feature.name: keras.Input(
            (None,) if feature.is_list else feature.shape,
            name=feature.name,
            dtype=feature.dtype,
            sparse=feature.is_list,
        )
        for feature in problem.schema.features
    }


def _to_estimator(
    problem: Problem,
    inputs: dict[str, Any],
    logits: Any,
    optimizer: str = keras_estimator.DEFAULT_OPTIMIZER,
    learning_rate: float = keras_estimator.DEFAULT_LEARNING_RATE,
) -> Any:
    if problem.schema.task == "regression":
        output = keras.layers.Activation("linear", name="predictions")(logits)
    else:
        output = keras.layers.Activation("softmax", name="probabilities")(logits)
    return keras_estimator.compile_to_estimator(
        keras.Model(inputs, output), problem, optimizer, learning_rate
    )


def _deep_logits(problem: Problem, inputs: dict[str, Any]) -> Any:
    hidden = concatenate(
        [encode(feature, inputs[feature.name], problem) for feature in problem.schema.features]
    )
    for units in problem.settings.hidden_units:
        # In the order of the wheel's dnn.py.
        hidden = keras.layers.Dense(units, problem.settings.activation or "relu")(hidden)
        if problem.settings.dropout:
            hidden = keras.layers.Dropout(problem.settings.dropout)(hidden)
        if problem.settings.batch_norm:
            hidden = keras.layers.BatchNormalization()(hidden)
    return keras.layers.Dense(_num_logits(problem.schema))(hidden)


def _linear_logits(problem: Problem, inputs: dict[str, Any]) -> list[Any]:
    """Returns the logits of standardised numbers, none without a number: one-hot features have a bias in them."""
    numbers = [
        encode(feature, inputs[feature.name], problem)
        for feature in problem.schema.features
        if columns.is_number(feature)
    ]
    dense = keras.layers.Dense(_num_logits(problem.schema), kernel_initializer="zeros")
    return [dense(concatenate(numbers))] if numbers else []


def _wide_logits(problem: Problem, inputs: dict[str, Any]) -> list[Any]:
    """Returns the logits of each feature as ids, then of crosses."""
    logits = []
    for feature in problem.schema.features:
        tensor = inputs[feature.name]
        if not columns.is_number(feature):
            ids, size = look_up(feature, _flat(feature, tensor))
            logits.append(_weights_of(ids, size, problem))
        elif not feature.shape:
            bounds = columns.boundaries(feature, problem.statistics)
            buckets = keras.layers.Discretization(bin_boundaries=bounds)(_flat(feature, tensor))
            logits.append(_weights_of(buckets, len(bounds) + 1, problem))
    for names in columns.crossed_names(problem.schema.features):
        cross = keras.layers.HashedCrossing(columns.CROSS_BUCKETS)
        pair = [_flat(problem.schema.feature(name), inputs[name]) for name in names]
        logits.append(_weights_of(cross(pair), columns.CROSS_BUCKETS, problem))
    return logits


def _weights_of(ids: Any, size: int, problem: Problem) -> Any:
    """Returns `[batch, logits]`: the weights of the ids `[batch, n]`, each in [0, size)."""
    weights = keras.layers.Embedding(
        size, _num_logits(problem.schema), embeddings_initializer="zeros"
    )
    return keras.layers.GlobalAveragePooling1D()(weights(ids))


def encode(feature: schema_lib.Feature, tensor: Any, problem: Problem) -> Any:
    """Returns `[batch, width]` float32 for one feature."""
    if columns.is_number(feature):
        return standardise(feature, _flat(feature, tensor), problem)
    ids, size = look_up(feature, _flat(feature, tensor))
    if columns.num_values(feature) <= columns.ONE_HOT_LIMIT:
        return keras.layers.CategoryEncoding(size, output_mode="multi_hot")(ids)
    embedding = keras.layers.Embedding(size, columns.embedding_dimension(feature))
    return keras.layers.GlobalAveragePooling1D()(embedding(ids))


def standardise(feature: schema_lib.Feature, values: Any, problem: Problem) -> Any:
    """Returns `[batch, n]` float32 for the values `[batch, n]` of a number."""
    mean, stddev = columns.moments(feature, problem.statistics)
    # A constant feature is only centred.
    variance = stddev**2 if stddev > 0 else 1.0
    return keras.layers.Normalization(axis=None, mean=mean, variance=variance)(values)


def look_up(feature: schema_lib.Feature, values: Any) -> tuple[Any, int]:
    """Returns ids, `[batch, n]` int64, for values `[batch, n]` of text or ids, and how many ids there are."""
    size = columns.num_values(feature)
    if feature.vocabulary:
        unknown = "[UNK]"
        while unknown in feature.vocabulary:  # it must not be one of them
            unknown += "_"
        lookup = keras.layers.StringLookup(vocabulary=feature.vocabulary, oov_token=unknown)
        return lookup(values), size + 1
    if feature.categorical and size <= columns.HASH_BUCKETS:
        return keras.layers.IntegerLookup(vocabulary=list(range(size)))(values), size + 1
    return keras.layers.Hashing(size)(values), size


def _flat(feature: schema_lib.Feature, tensor: Any) -> Any:
    """Returns `[batch, n]`, n being 1 for a feature without a shape."""
    return keras.layers.Reshape((math.prod(feature.shape),))(tensor)


def concatenate(tensors: list[Any]) -> Any:
    """Returns the tensors beside each other along their last axis."""
    return tensors[0] if len(tensors) == 1 else keras.layers.Concatenate()(tensors)


def _sum(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else keras.layers.Add()(tensors)


def _num_logits(schema: schema_lib.Schema) -> int:
    return 1 if schema.task == "regression" else schema.num_classes
