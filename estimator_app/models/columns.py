"""The column that a feature gets by default, from the schema: the deep part's is dense, the wide part's sparse.

| feature | deep | wide |
|---|---|---|
| number | standardised with mean and standard deviation of the training data | in buckets by standard deviations |
| string with up to ONE_HOT_LIMIT known values | one-hot | as it is, and crossed with its like |
| string with more | embedded | as it is, and crossed up to CROSS_LIMIT values |
| string without a vocabulary | hashed, then embedded | hashed |
| int64 that the schema says are ids | as a string with as many values | as it is |

Strings and ids may be lists: one-hot then counts, and an embedding is the mean over the list. Text, dates and lists of
numbers have become such features before they come here, see `derived`.
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


def deep_column(feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics) -> Any:
    """Returns the dense column of a feature."""
    return (
        numeric(feature, statistics)
        if is_number(feature)
        else dense(categorical(feature), num_values(feature))
    )


def wide_column(feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics) -> Any:
    """Returns the sparse column of a feature; a number with a shape, of which there is none, has its dense one."""
    if not is_number(feature):
        return categorical(feature)
    return numeric(feature, statistics) if feature.shape else buckets(feature, statistics)


def distance_column(
    feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics
) -> Any:
    """Returns a dense column without anything to train: a standardised number, everything else one-hot."""
    if is_number(feature):
        return numeric(feature, statistics)
    return tf.feature_column.indicator_column(categorical(feature))


def dense(column: Any, size: int) -> Any:
    """Returns a categorical column of `size` values as a dense one: few values one-hot, more embedded."""
    if size <= ONE_HOT_LIMIT:
        return tf.feature_column.indicator_column(column)
    return tf.feature_column.embedding_column(column, embedding_width(size))


def embedding_dimension(feature: schema_lib.Feature) -> int:
    """Returns the width of the embedding of a feature of text or ids."""
    return embedding_width(num_values(feature))


def embedding_width(size: int) -> int:
    """Returns the width of an embedding: six times the fourth root of the number of values, a common rule of thumb.

    Source: the TensorFlow team's "Introducing TensorFlow Feature Columns" gives the fourth root; six keeps a few dozen
    values apart in a small network.
    """
    return round(6 * size**0.25)


def numeric(feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics) -> Any:
    """Returns the column of a standardised number."""
    return tf.feature_column.numeric_column(
        feature.name,
        shape=feature.shape or (1,),
        normalizer_fn=standardise(*moments(feature, statistics)),
    )


def buckets(feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics) -> Any:
    """Returns the column of a number in buckets, see `boundaries`."""
    source = tf.feature_column.numeric_column(feature.name, shape=feature.shape or (1,))
    return tf.feature_column.bucketized_column(source, boundaries(feature, statistics))


def boundaries(
    feature: schema_lib.Feature, statistics: statistics_lib.DatasetStatistics
) -> list[float]:
    """Returns the bounds of a number's buckets in its own unit, at multiples of the standard deviation."""
    mean, stddev = moments(feature, statistics)
    return sorted({float(np.float32(mean + z * stddev)) for z in _BOUNDARIES})


def categorical(feature: schema_lib.Feature, sequence: bool = False) -> Any:
    """Returns the sparse column of text or ids; as a sequence it keeps the order of a list."""
    if feature.categorical:
        make = maker("identity", sequence)
        return make(feature.name, num_buckets=num_values(feature), default_value=0)
    if feature.vocabulary is None:
        return maker("hash_bucket", sequence)(feature.name, hash_bucket_size=HASH_BUCKETS)
    make = maker("vocabulary_list", sequence)
    return make(
        feature.name, vocabulary_list=feature.vocabulary, dtype=tf.string, num_oov_buckets=1
    )


def maker(kind: str, sequence: bool) -> Callable[..., Any]:
    """Returns TensorFlow's function for categorical columns of a kind, such as "hash_bucket"."""
    prefix = "sequence_" if sequence else ""
    return getattr(tf.feature_column, f"{prefix}categorical_column_with_{kind}")


def crosses(features: Sequence[schema_lib.Feature]) -> list[Any]:
    """Returns the crosses of pairs."""
    return [
        tf.feature_column.crossed_column(pair, CROSS_BUCKETS) for pair in crossed_names(features)
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
