"""The Keras twin of the recurrent network: what a step is given, and what becomes of padding and of empty lists."""

from __future__ import annotations

import types

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import settings as settings_lib
from estimator_app.models import keras_recurrent
from estimator_app.models.problem import Problem
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

ANY = (0, None)


def network(*features, **settings):
    """The network for an amount, of features whose numbers have the mean 1 and the standard deviation 2."""
    numbers = tuple(
        statistics_lib.NumericStatistics(f.name, f.dtype, 10, 0, 1.0, 2.0, low=0.0, high=9.0)
        for f in features
        if f.dtype != "string"
    )
    problem = Problem(
        schema_lib.Schema(features, (schema_lib.Feature("label", "float32"),)),
        statistics_lib.DatasetStatistics(10, numbers),
        settings_lib.ModelSettings(model="keras_rnn", **settings),
        config=types.SimpleNamespace(tf_random_seed=1),
    )
    return keras_recurrent.network(problem)


def test_a_simple_cell_is_given_the_number_and_the_context_in_every_step():
    heights = schema_lib.Feature("heights", "float32", value_count=ANY)
    age = schema_lib.Feature("age", "int64")
    model = network(heights, age, cell_type="simple_rnn", hidden_units=(3,))
    rows, ages = [[5.0, 1.0, 2.0], [7.0], []], [3, 9, 4]
    sparse = tf.ragged.constant(rows, dtype=tf.float32).to_sparse()
    answers = model({"heights": sparse, "age": np.array(ages)}).numpy()

    kernel, recurrent_kernel, bias, out, out_bias = model.get_weights()
    for row, years, answer in zip(rows, ages, answers):
        state = np.zeros(3)
        for value in row:
            given = np.array([(value - 1) / 2, (years - 1) / 2])
            state = np.tanh(given @ kernel + state @ recurrent_kernel + bias)
        np.testing.assert_allclose(answer, state @ out + out_bias, atol=1e-6)


@pytest.mark.parametrize(
    "feature, cell_type",
    [
        (schema_lib.Feature("few", "string", value_count=ANY, vocabulary=("a", "b")), "lstm"),
        (
            schema_lib.Feature(
                "many", "string", value_count=ANY, vocabulary=tuple("abcdefghijklmnopqrstuvwxyz")
            ),
            "gru",
        ),
        (schema_lib.Feature("unknown", "string", value_count=ANY), "simple_rnn"),
        (
            schema_lib.Feature("ids", "int64", value_count=ANY, low=0, high=5, categorical=True),
            "simple_rnn",
        ),
    ],
    ids=["few-lstm", "many-gru", "unknown-simple_rnn", "ids-simple_rnn"],
)
def test_order_counts_and_padding_does_not(feature, cell_type):
    model = network(feature, cell_type=cell_type, hidden_units=(4, 3))
    one, other = (0, 1) if feature.dtype == "int64" else ("a", "b")
    rows = tf.ragged.constant([[one, other], [other, one], [other]])
    answers = model({feature.name: rows.to_sparse()}).numpy()
    assert abs(answers[0] - answers[1]) > 1e-5
    np.testing.assert_allclose(model({feature.name: rows[2:].to_sparse()}), answers[2:], atol=1e-6)


def test_rows_without_a_value_are_answered_by_the_bias_alone():
    words = schema_lib.Feature("words", "string", value_count=ANY)
    model = network(words, hidden_units=(4,))
    weights = model.get_weights()
    model.set_weights([*weights[:-1], np.float32([2.5])])
    none = tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0], tf.string), [3, 0])
    np.testing.assert_array_equal(model({"words": none}), [[2.5]] * 3)


def test_lists_whose_order_is_not_read_are_counted_or_averaged():
    mask = tf.constant([[True, True, False], [False, False, False]])
    steps = tf.constant([[[1.0], [3.0], [9.0]], [[9.0], [9.0], [9.0]]])
    for combiner, wanted in (("sum", [[4.0], [0.0]]), ("mean", [[2.0], [0.0]])):
        bag = keras_recurrent.Bag(combiner)
        np.testing.assert_array_equal(bag([steps, mask]), wanted)
        assert keras_recurrent.Bag.from_config(bag.get_config()).combiner == combiner


def test_lists_of_one_length_are_read_by_name():
    window = schema_lib.Feature("window", "float32", shape=(2,))
    model = network(window, cell_type="simple_rnn", hidden_units=(4,), sequence_columns=("window",))
    answers = model({"window": np.float32([[1.0, 3.0], [3.0, 1.0]])}).numpy()
    assert abs(answers[0] - answers[1]) > 1e-5


def test_gradients_are_clipped(run_job, small_lists):
    files = {"train_data": small_lists.train, "eval_data": small_lists.eval, "label_column": "age"}
    cells = {"cell_type": "simple_rnn", "hidden_units": (2,), "sequence_columns": ("words",)}
    steps = {"max_steps": 1, "eval_steps": 1, "batch_size": 8}
    step = {"optimizer": "sgd", "learning_rate": 0.01}
    job = run_job(model="keras_rnn", **cells, **steps, **step, **files)
    (bias,) = [
        tf.train.load_variable(str(job.model_dir), name)
        for name, shape in tf.train.list_variables(str(job.model_dir))
        if shape == [1]  # the amount's alone
    ]
    # The error is decades, and so is its gradient; a hundredth of what is left of it is the step.
    np.testing.assert_allclose(np.abs(bias), 0.05, rtol=1e-5)


def test_lists_that_are_read_side_by_side_have_one_length_in_each_row():
    words = tf.ragged.constant([["a"], ["b", "c"]]).to_sparse()
    heights = tf.ragged.constant([[1.0, 2.0], [3.0]]).to_sparse()
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="lists of the same length in each row"
    ):
        keras_recurrent.Steps()([words, heights])
