"""From schema to feature columns."""

import numpy as np
import pytest
import tensorflow as tf

from estimator_app.models import columns
from input_fns import errors
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

NUMBER = schema_lib.Feature("hours", "int64", low=0, high=99)
FEW = schema_lib.Feature("gender", "string", vocabulary=("Female", "Male"))
MANY = schema_lib.Feature("job", "string", vocabulary=tuple(f"job {i}" for i in range(40)))
UNKNOWN = schema_lib.Feature("name", "string")
IDS = schema_lib.Feature("kind", "int64", low=0, high=3, categorical=True)
STATISTICS = statistics_lib.DatasetStatistics(
    2, (statistics_lib.NumericStatistics("hours", "int64", 2, 0, 40.0, 10.0, 30, 50),)
)


def dense(column, features):
    """Returns what one column makes of a batch, `[batch, width]`."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layer = tf.compat.v1.feature_column.input_layer(
            {name: tf.constant(values) for name, values in features.items()}, [column]
        )
        session.run(
            [tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()]
        )
        return session.run(layer)


def test_numbers_are_standardised_with_the_training_datas_moments():
    hours = columns.deep_column(NUMBER, STATISTICS)
    np.testing.assert_allclose(dense(hours, {"hours": [40, 60]}), [[0.0], [2.0]])


def test_constant_number_is_only_centred():
    assert float(columns.standardise(5.0, 0.0)(tf.constant(7.0))) == 2.0


def test_few_known_values_are_one_hot_with_a_place_for_unknown_ones():
    gender = columns.deep_column(FEW, STATISTICS)
    np.testing.assert_array_equal(
        dense(gender, {"gender": ["Male", "Female", "?"]}), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    )


@pytest.mark.parametrize("feature", [MANY, UNKNOWN])
def test_more_values_are_embedded_by_their_number(feature):
    column = columns.deep_column(feature, STATISTICS)
    width = dense(column, {feature.name: ["a", "b", "c"]}).shape
    assert width == (3, columns.embedding_dimension(feature))
    assert columns.embedding_dimension(feature) == {"job": 15, "name": 60}[feature.name]


def test_ids_are_one_hot():
    kind = columns.deep_column(IDS, STATISTICS)
    np.testing.assert_array_equal(dense(kind, {"kind": [3]}), [[0, 0, 0, 1]])


def test_wide_part_buckets_numbers_by_standard_deviations():
    hours = columns.wide_column(NUMBER, STATISTICS)
    assert hours.boundaries[:3] == (25.0, 30.0, 35.0) and 40.0 in hours.boundaries


def test_wide_part_crosses_features_with_known_values_only():
    crossed = columns.crosses((NUMBER, FEW, MANY, UNKNOWN, IDS))
    assert [column.keys for column in crossed] == [("gender", "job")]


def test_number_without_statistics_of_a_number_names_the_fix():
    with pytest.raises(errors.InputError, match="hours"):
        columns.moments(NUMBER, statistics_lib.DatasetStatistics(0, ()))
    text = statistics_lib.StringStatistics("hours", "string", 1, 0, 1, ())
    with pytest.raises(errors.InputError, match="Remove statistics.pbtxt from the model directory"):
        columns.moments(NUMBER, statistics_lib.DatasetStatistics(0, (text,)))
