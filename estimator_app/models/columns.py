"""Feature columns from the schema: the deep part's dense ones, the wide part's sparse ones.

| feature | deep | wide |
|---|---|---|
| number | standardised with mean and standard deviation of the training data | in buckets by standard deviations |
| string with up to ONE_HOT_LIMIT known values | one-hot | as it is, and crossed with its like |
| string with more | embedded | as it is, and crossed up to CROSS_LIMIT values |
| string without a vocabulary | hashed, then embedded | hashed |
| int64 that the schema says are ids | as a string with as many values | as it is |
| list of strings or ids | as one of them: the sum of the one-hots, the mean of the embeddings | all of them |

A list of numbers has no column here; `sequence_column` has one for a recurrent network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from input_fns import errors
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

ONE_HOT_LIMIT = 24
CROSS_LIMIT = 64
HASH_BUCKETS = 10_000

# Crosses of the wide part: of the string features with the most (up to CROSS_LIMIT) values, every pair.
_CROSSED_FEATURES = 5
CROSS_BUCKETS = 5_000

# Bucket boundaries of a number, in standard deviations from its mean.
_BOUNDARIES = (-1.5, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)


def deep_columns(
    schema: schema_lib.Schema, statistics: statistics_lib.DatasetStatistics
) -> list[Any]:
    """Returns the dense columns, one a feature in the schema's order."""
    return [_deep_column(feature, statistics) for feature in schema.features]


def wide_columns(
    schema: schema_lib.Schema, statistics: statistics_lib.DatasetStatistics
) -> list[Any]:
    """Returns the sparse columns of a linear model: each feature, then crosses of pairs."""
    columns = [_wide_column(feature, statistics) for feature in schema.features]
    return columns + _crosses(schema)


def linear_columns(
    schema: schema_lib.Schema, statistics: statistics_lib.DatasetStatistics
) -> list[Any]:
    """Returns the columns of the plain linear model: standardised numbers beside the wide columns."""
    # The wide columns have the numbers with a shape already.
    scalars = [
        feature
        for feature in schema.features
        if is_number(feature) and not feature.shape and not feature.is_list
    ]
    numbers = [_numeric(feature, statistics) for feature in scalars]
    return numbers + wide_columns(schema, statistics)


def sequence_column(
    feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics
) -> Any:
    """Returns the column of a list of which the order counts: for each of its values, a step, a vector."""
    if is_number(feature):
        normalise = standardise(*moments(feature, statistics))
        return tf.feature_column.sequence_numeric_column(
            feature.name, normalizer_fn=lambda lists: tf.sparse.map_values(normalise, lists)
        )
    if feature.categorical:
        steps = tf.feature_column.sequence_categorical_column_with_identity(
            feature.name, num_values(feature), default_value=0
        )
    elif feature.vocabulary is None:
        steps = tf.feature_column.sequence_categorical_column_with_hash_bucket(
            feature.name, HASH_BUCKETS
        )
    else:
        steps = tf.feature_column.sequence_categorical_column_with_vocabulary_list(
            feature.name, feature.vocabulary, dtype=tf.string, num_oov_buckets=1
        )
    return _dense(feature, steps)


def distance_columns(
    schema: schema_lib.Schema, statistics: statistics_lib.DatasetStatistics
) -> list[Any]:
    """Returns dense columns without anything to train: standardised numbers, everything else one-hot."""
    return [
        (
            _numeric(feature, statistics)
            if is_number(feature)
            else tf.feature_column.indicator_column(_categorical(feature))
        )
        for feature in schema.features
    ]


def moments(
    feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics
) -> tuple[float, float]:
    """Returns mean and standard deviation of a number in the training data.

    Raises:
      InputError: the statistics have no such number.
    """
    known = statistics.column(feature.name)
    if not isinstance(known, statistics_lib.NumericStatistics):
        raise errors.InputError(
            f"Expected statistics of a number for column '{feature.name}', found those of a {known.dtype}. Remove "
            f"statistics.pbtxt from the model directory, so that it is made anew."
        )
    return known.mean, known.stddev


def standardise(mean: float, stddev: float) -> Callable[[Any], Any]:
    """Returns the function (x - mean) / stddev on tensors; a constant feature (stddev 0) is only centred."""
    scale = stddev if stddev > 0 else 1.0

    def normalizer_fn(values: Any) -> Any:
        return (tf.cast(values, tf.float32) - mean) / scale

    return normalizer_fn


def is_number(feature: schema_lib.Feature) -> bool:
    """Returns True for an amount, False for text and for ids."""
    return feature.dtype != "string" and not feature.categorical


def num_values(feature: schema_lib.Feature) -> int:
    """Returns how many values a feature of text or ids is known to have, HASH_BUCKETS if that is not known."""
    if feature.vocabulary is not None:
        return len(feature.vocabulary)
    return (
        int(feature.high) + 1 if feature.categorical and feature.high is not None else HASH_BUCKETS
    )


def _deep_column(feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics) -> Any:
    if is_number(feature):
        return _numeric(feature, statistics)
    return _dense(feature, _categorical(feature))


def _dense(feature: schema_lib.Feature, categorical: Any) -> Any:
    if num_values(feature) <= ONE_HOT_LIMIT:
        return tf.feature_column.indicator_column(categorical)
    return tf.feature_column.embedding_column(categorical, embedding_dimension(feature))


def embedding_dimension(feature: schema_lib.Feature) -> int:
    """Returns the width of an embedding: six times the fourth root of the number of values, a common rule of thumb.

    Source: the TensorFlow team's "Introducing TensorFlow Feature Columns" gives the fourth root; six keeps a few dozen
    values apart in a small network.
    """
    return round(6 * num_values(feature) ** 0.25)


def _wide_column(feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics) -> Any:
    if not is_number(feature):
        return _categorical(feature)
    if feature.shape:
        return _numeric(feature, statistics)
    # Unscaled: the boundaries are in the feature's own unit.
    return tf.feature_column.bucketized_column(
        tf.feature_column.numeric_column(feature.name), boundaries(feature, statistics)
    )


def boundaries(
    feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics
) -> list[float]:
    """Returns the bounds of a number's buckets in its own unit, at multiples of the standard deviation."""
    mean, stddev = moments(feature, statistics)
    return sorted({float(np.float32(mean + z * stddev)) for z in _BOUNDARIES})


def _crosses(schema: schema_lib.Schema) -> list[Any]:
    return [
        tf.feature_column.crossed_column(pair, CROSS_BUCKETS)
        for pair in crossed_names(schema.features)
    ]


def crossed_names(features: Sequence[schema_lib.Feature]) -> list[tuple[str, ...]]:
    """Returns the pairs to cross: of the features of text with the most values, up to CROSS_LIMIT, every pair."""
    crossable = [
        feature
        for feature in features
        if feature.vocabulary is not None
        and 2 <= len(feature.vocabulary) <= CROSS_LIMIT
        and not feature.shape
        and not feature.is_list
    ]
    # The sort is stable: of equals, those that stand first in the schema.
    richest = sorted(crossable, key=lambda feature: -len(feature.vocabulary or ()))[
        :_CROSSED_FEATURES
    ]
    return list(itertools.combinations(sorted(feature.name for feature in richest), 2))


def _categorical(feature: schema_lib.Feature) -> Any:
    if feature.categorical:
        return tf.feature_column.categorical_column_with_identity(
            feature.name, num_values(feature), default_value=0
        )
    if feature.vocabulary is None:
        return tf.feature_column.categorical_column_with_hash_bucket(feature.name, HASH_BUCKETS)
    return tf.feature_column.categorical_column_with_vocabulary_list(
        feature.name, feature.vocabulary, dtype=tf.string, num_oov_buckets=1
    )


def _numeric(feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics) -> Any:
    return tf.feature_column.numeric_column(
        feature.name,
        shape=feature.shape or (1,),
        normalizer_fn=standardise(*moments(feature, statistics)),
    )
