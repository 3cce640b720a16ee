"""The Keras twins of the premade models: what they make of each kind of feature, and that an amount is learnt too."""

from __future__ import annotations

import numpy as np
import pytest

from estimator_app import settings as settings_lib
from estimator_app.compat import keras
from estimator_app.models import columns, keras_tables
from estimator_app.models.problem import Problem
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib


def encoded(feature, values, mean=2.0, stddev=4.0):
    """What the network is given for `values` of the feature."""
    numeric = statistics_lib.NumericStatistics(
        feature.name, feature.dtype, 10, 0, mean, stddev, low=0.0, high=9.0
    )
    problem = Problem(
        schema_lib.Schema((feature,)),
        statistics_lib.DatasetStatistics(10, (numeric,)),
        settings_lib.ModelSettings(),
        config=None,
    )
    tensor = keras.Input(feature.shape, name=feature.name, dtype=feature.dtype)
    model = keras.Model(tensor, keras_tables.encode(feature, tensor, problem))
    return model(np.array(values)).numpy()


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_numbers_are_standardised_and_flattened(dtype):
    number = schema_lib.Feature("number", dtype)
    np.testing.assert_allclose(encoded(number, [2, 10]), [[0.0], [2.0]])
    matrix = schema_lib.Feature("matrix", dtype, shape=(2, 2))
    np.testing.assert_allclose(encoded(matrix, [[[2, 6], [10, 2]]]), [[0.0, 1.0, 2.0, 0.0]])


def test_a_constant_number_is_only_centred():
    number = schema_lib.Feature("number", "float32")
    np.testing.assert_allclose(encoded(number, [2.0, 3.0], stddev=0.0), [[0.0], [1.0]])


def test_few_words_are_one_hot_and_the_first_place_is_for_unknown_ones():
    words = schema_lib.Feature("word", "string", vocabulary=("a", "[UNK]", "b"))
    np.testing.assert_array_equal(
        encoded(words, ["b", "a", "[UNK]", "x"]),
        [[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]],
    )


def test_several_words_are_multi_hot():
    words = schema_lib.Feature("words", "string", shape=(2,), vocabulary=("a", "b"))
    np.testing.assert_array_equal(encoded(words, [["b", "a"], ["b", "x"]]), [[0, 1, 1], [1, 0, 1]])


def test_few_ids_are_one_hot_and_the_first_place_is_for_unknown_ones():
    ids = schema_lib.Feature("id", "int64", low=0, high=2, categorical=True)
    np.testing.assert_array_equal(
        encoded(ids, [2, 0, 7]), [[0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]]
    )


@pytest.mark.parametrize(
    "feature",
    [
        schema_lib.Feature("known", "string", vocabulary=tuple(f"v{i}" for i in range(100))),
        schema_lib.Feature("unknown", "string"),
        schema_lib.Feature("ids", "int64", low=0, high=99, categorical=True),
        schema_lib.Feature("many ids", "int64", low=0, high=20_000, categorical=True),
    ],
    ids=lambda feature: feature.name,
)
def test_many_values_are_embedded(feature):
    values = ["v1", "v2", "v1", "new"] if feature.dtype == "string" else [1, 2, 1, 500]
    answers = encoded(feature, values)
    assert answers.shape == (4, columns.embedding_dimension(feature))
    np.testing.assert_array_equal(answers[0], answers[2])
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


def test_bias_is_the_same_in_every_row_of_anything():
    layer = keras_tables.Bias(2)
    layer(np.array([b"a", b"b"]))
    layer.set_weights([np.float32([1.0, 2.0])])
    np.testing.assert_array_equal(layer(np.array([b"a", b"b"])), [[1.0, 2.0], [1.0, 2.0]])
    assert keras_tables.Bias.from_config(layer.get_config()).units == 2


def test_an_amount_is_learnt(run_job):
    job = run_job(model="keras_wide_deep", label_column="age", max_steps=3)
    assert {"loss", "mae"} <= set(job.result.metrics)
    assert job.result.exports[0].comparison.rows
