"""The Keras twin of `rnn`: recurrent layers over lists of any length, on Keras' own preprocessing layers.

Lists come as `tf.SparseTensor`s `[batch, longest]`, and Keras' functional API takes them: an input with `sparse=True`
goes through `model_to_estimator` on every TensorFlow. Its lookups would read them too, but Normalization and the
recurrent layers do not, so each list becomes padded values and a mask at once, by `Steps`. The mask is handed to the
layers as an argument: lookups and Embedding would drop one that Keras carries along by itself.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from estimator_app.compat import keras
from estimator_app.models import columns, keras_estimator, keras_tables, recurrent
from estimator_app.models.problem import Problem
from input_fns import schema as schema_lib

_CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "simple_rnn": keras.layers.SimpleRNN}


def keras_rnn(problem: Problem) -> Any:
    """LSTM, GRU or simple cells over lists, a value a step; all other features are given to every step.

    Raises:
      SchemaError: there is no list, or one of numbers that is not read step by step.
      SettingsError: `sequence_columns` names something else, or lists of different lengths.
    """
    return keras_estimator.compile_to_estimator(
        network(problem), problem, clip_norm=recurrent.CLIP_NORM
    )


def network(problem: Problem) -> Any:
    """Returns the Keras model, not compiled: a dict of the features -> the answer.

    Raises:
      SchemaError, SettingsError: see `keras_rnn`.
    """
    lists = recurrent.choose_lists(problem)
    settings = problem.settings
    inputs = keras_tables.make_inputs(problem)
    *values, mask = Steps()([inputs[feature.name] for feature in lists])
    hidden = keras_tables.concatenate(
        [_encode_steps(feature, tensor, problem) for feature, tensor in zip(lists, values)]
    )
    context = [
        _encode_context(feature, inputs[feature.name], problem)
        for feature in problem.schema.features
        if feature not in lists
    ]
    if context:
        hidden = BesideEveryStep()([hidden, keras_tables.concatenate(context)])
    make = _CELLS[settings.cell_type or recurrent.CELL_TYPE]
    for index, units in enumerate(settings.hidden_units):
        is_last = index == len(settings.hidden_units) - 1
        hidden = make(units, return_sequences=not is_last)(hidden, mask=mask)
        if settings.dropout:
            hidden = keras.layers.Dropout(settings.dropout)(hidden)
    return keras.Model(inputs, keras_estimator.output(hidden, problem.schema))


class Steps(keras.layers.Layer):
    """Lists that are read side by side, each `[batch, longest]` -> their values, padded, and where there is one.

    A list of SparseTensors, or of tensors of lists of one length, becomes a list of as many tensors
    `[batch, max(longest, 1)]` of the same dtypes, padded with zeros or empty text, and a last one of bool, False where
    a row has no value any more. An error ends the step if the lists of a row differ in length.
    """

    def call(self, lists: Any) -> Any:
        # Where a model is built anew, Keras gives a list of one as the one.
        steps = [recurrent.to_steps(values) for values in tf.nest.flatten(lists)]
        present = [
            tf.sparse.to_dense(
                tf.SparseTensor(
                    step.indices, tf.ones_like(step.indices[:, 0], tf.bool), step.dense_shape
                )
            )
            for step in steps
        ]
        same = [
            tf.debugging.assert_equal(
                tf.reduce_sum(tf.cast(other, tf.int32), 1),
                tf.reduce_sum(tf.cast(present[0], tf.int32), 1),
                "Expected lists of the same length in each row, which are read side by side.",
            )
            for other in present[1:]
        ]
        with tf.control_dependencies(same):
            return [tf.sparse.to_dense(step) for step in steps] + [tf.identity(present[0])]


class BesideEveryStep(keras.layers.Layer):
    """`[batch, steps, width]` and `[batch, other width]` -> both beside each other in every step."""

    def call(self, tensors: Any) -> Any:
        steps, context = tensors
        repeated = tf.repeat(context[:, tf.newaxis], tf.shape(steps)[1], axis=1)
        return tf.concat([steps, repeated], axis=2)


class Bag(keras.layers.Layer):
    """`[batch, steps, width]` and `[batch, steps]` bool -> sum or mean of the steps that there are; of none zeros.

    GlobalAveragePooling1D divides by zero where a list is empty.
    """

    def __init__(self, combiner: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.combiner = combiner

    def call(self, tensors: Any) -> Any:
        steps, mask = tensors
        weights = tf.cast(mask, steps.dtype)[..., tf.newaxis]
        total = tf.reduce_sum(steps * weights, axis=1)
        if self.combiner == "sum":
            return total
        return tf.math.divide_no_nan(total, tf.reduce_sum(weights, axis=1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "combiner": self.combiner}


def _encode_steps(feature: schema_lib.Feature, values: Any, problem: Problem) -> Any:
    """Returns `[batch, steps, width]` float32 for the values `[batch, steps]` of a list."""
    if columns.is_number(feature):
        numbers = keras_tables.standardise(feature, values, problem)
        return keras.layers.Reshape((-1, 1))(numbers)
    ids, size = keras_tables.look_up(feature, values)
    if columns.num_values(feature) <= columns.ONE_HOT_LIMIT:
        # CategoryEncoding gives a row one vector at most, so it is asked for each step.
        one_hot = keras.layers.CategoryEncoding(size, output_mode="one_hot")
        return keras.layers.TimeDistributed(one_hot)(keras.layers.Reshape((-1, 1))(ids))
    return keras.layers.Embedding(size, columns.embedding_dimension(feature))(ids)


def _encode_context(feature: schema_lib.Feature, tensor: Any, problem: Problem) -> Any:
    """Returns `[batch, width]` float32: a list of text or ids, whose order is not read, counted or averaged."""
    if not feature.is_list:
        return keras_tables.encode(feature, tensor, problem)
    values, mask = Steps()([tensor])
    few = columns.num_values(feature) <= columns.ONE_HOT_LIMIT
    return Bag("sum" if few else "mean")([_encode_steps(feature, values, problem), mask])
