"""The feature columns of a problem: what the file of `--features` says of a feature, else the default of its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from estimator_app.models import columns, feature_config
from estimator_app.models.problem import Problem
from input_fns import errors
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

_Column = feature_config.Column
_OF_NUMBERS = ("numeric", "bucketized")
_NORMALIZERS: dict[str, Callable[[statistics_lib.NumericStatistics], Callable[[Any], Any]]] = {
    "standard": lambda known: columns.standardise(known.mean, known.stddev),
    "min_max": lambda known: columns.standardise(known.low, known.high - known.low),
    "log1p": lambda known: log1p,
    "none": lambda known: lambda values: tf.cast(values, tf.float32),
}


def deep_columns(problem: Problem) -> list[Any]:
    """Returns the dense columns: features in the schema's order, then shared embeddings, then crosses.

    Raises:
      SettingsError: the file asks for what a feature cannot be, or leaves no column.
    """
    made = _part(problem, "deep", columns.deep_column)
    for shared in problem.features.shared:
        made += _shared_embeddings(problem, shared)
    for cross in problem.features.crosses or ():
        if cross.column.dense:
            made.append(_dense(_cross(problem, cross), cross.hash_bucket_size, cross.column))
    return _some(problem, made, "deep")


def wide_columns(problem: Problem) -> list[Any]:
    """Returns the sparse columns of a linear model: each feature, then crosses.

    Raises:
      SettingsError: see `deep_columns`.
    """
    return _some(problem, _part(problem, "wide", columns.wide_column) + _crosses(problem), "wide")


def linear_columns(problem: Problem) -> list[Any]:
    """Returns the columns of the plain linear model: standardised numbers beside the wide columns.

    Raises:
      SettingsError: see `deep_columns`.
    """
    numbers = [
        columns.numeric(feature, problem.statistics)
        for feature in problem.schema.features
        # A number with a shape is one of the wide columns already.
        if columns.is_number(feature)
        and not feature.shape
        and _given(problem, feature.name, "wide") is None
    ]
    return numbers + wide_columns(problem)


def sequence_columns(problem: Problem, lists: Sequence[schema_lib.Feature]) -> list[Any]:
    """Returns the dense columns of lists, which keep the order of their values: what a recurrent network reads.

    Raises:
      SettingsError: see `deep_columns`.
    """
    made = []
    for feature in lists:
        given = _given(problem, feature.name, "deep")
        wanted = (_Column(),) if given is None else given
        made += [_sequence_column(problem, feature, column) for column in wanted]
    return made


def context_columns(problem: Problem, features: Sequence[schema_lib.Feature]) -> list[Any]:
    """Returns the dense columns of features that stand beside every step of the sequences.

    Raises:
      SettingsError: see `deep_columns`.
    """
    schema = dataclasses.replace(problem.schema, features=tuple(features))
    return deep_columns(dataclasses.replace(problem, schema=schema)) if features else []


def distance_columns(problem: Problem) -> list[Any]:
    """Returns dense columns without anything to train: standardised numbers, everything else one-hot.

    Raises:
      SettingsError: the file asks for an embedding, or see `deep_columns`.
    """
    trained = [shared.column for shared in problem.features.shared] + [
        column
        for treatment in problem.features.treatments.values()
        for column in treatment.deep or ()
        if column.dense == "embedding"
    ]
    if trained:
        feature_config.fail(
            trained[0].where,
            f"columns with nothing to train for --model={problem.settings.model}",
            "an embedding",
            "Take indicator",
        )
    return _some(problem, _part(problem, "deep", columns.distance_column), "deep")


def log1p(values: Any) -> Any:
    """Returns log(1 + x); of a negative number -log(1 - x)."""
    numbers = tf.cast(values, tf.float32)
    return tf.sign(numbers) * tf.math.log1p(tf.abs(numbers))


def _given(problem: Problem, name: str, part: str) -> tuple[_Column, ...] | None:
    """Returns the columns that the file gives a feature in a part, None if it says nothing of it."""
    treatment = problem.features.treatments.get(name)
    return None if treatment is None else getattr(treatment, part)


def _part(
    problem: Problem,
    part: str,
    default: Callable[[schema_lib.Feature, statistics_lib.DatasetStatistics], Any],
) -> list[Any]:
    shared = {name for shared in problem.features.shared for name in shared.features}
    made = []
    for feature in problem.schema.features:
        if part == "deep" and feature.name in shared:
            continue
        given = _given(problem, feature.name, part)
        if given is None:
            made.append(default(feature, problem.statistics))
        else:
            made += [_column(problem, feature, column, part) for column in given]
    return made


def _some(problem: Problem, made: list[Any], part: str) -> list[Any]:
    if not made:
        raise errors.SettingsError(
            f"{problem.features.path}: expected a column in the {part} part of --model={problem.settings.model}, found "
            f"none. Leave a feature in."
        )
    return made


def _column(problem: Problem, feature: schema_lib.Feature, column: _Column, part: str) -> Any:
    if column.base in _OF_NUMBERS:
        made, size = _number(problem, feature, column)
    else:
        made, size = _weighted(*_categorical(feature, column), column)
    if column.dense or (part == "deep" and column.base not in _OF_NUMBERS):
        return _dense(made, size, column)
    return made


def _sequence_column(problem: Problem, feature: schema_lib.Feature, column: _Column) -> Any:
    if column.base == "bucketized":
        feature_config.fail(
            column.where,
            "a kind that there is of sequences",
            "bucketized",
            "Take numeric, or identity for ids",
        )
    if column.base == "numeric" or (not column.base and columns.is_number(feature)):
        normalize = _normalizer(problem, feature, column)
        return tf.feature_column.sequence_numeric_column(
            feature.name,
            default_value=column.options.get("default", 0.0),
            normalizer_fn=lambda lists: lists.with_values(normalize(lists.values)),
        )
    return _dense(*_weighted(*_categorical(feature, column, sequence=True), column), column)


def _weighted(made: Any, size: int, column: _Column) -> tuple[Any, int]:
    if column.weight_feature:
        made = tf.feature_column.weighted_categorical_column(made, column.weight_feature)
    return made, size


def _number(problem: Problem, feature: schema_lib.Feature, column: _Column) -> tuple[Any, int]:
    """Returns the column of a number, and how many values it has if it is one of buckets, else 0."""
    if feature.dtype == "string" or feature.is_list:
        feature_config.fail(
            column.where,
            f"numbers for {column.base or 'numeric'}",
            "text" if feature.dtype == "string" else "lists",
            (
                "Take a kind for text, such as hash_bucket"
                if feature.dtype == "string"
                else "Take a kind for ids, such as identity"
            ),
        )
    shape = feature.shape or (1,)
    if column.base != "bucketized":
        if "default" in column.options:
            feature_config.fail(
                column.where,
                "default for a list that is read as a sequence, to stand after its end",
                "one value",
                "Give what stands for a missing value in the schema",
            )
        normalizer = _normalizer(problem, feature, column)
        return tf.feature_column.numeric_column(feature.name, shape, normalizer_fn=normalizer), 0
    known = _statistics(problem, feature)
    boundaries = column.options.get("boundaries") or _quantiles(known, column)
    source = tf.feature_column.numeric_column(feature.name, shape)
    return tf.feature_column.bucketized_column(source, boundaries), len(boundaries) + 1


def _normalizer(
    problem: Problem, feature: schema_lib.Feature, column: _Column
) -> Callable[[Any], Any]:
    name = column.options.get("normalizer", "standard")
    return _NORMALIZERS[name](_statistics(problem, feature))


def _statistics(problem: Problem, feature: schema_lib.Feature) -> statistics_lib.NumericStatistics:
    columns.moments(feature, problem.statistics)  # raises where there are none
    known = problem.statistics.column(feature.name)
    assert isinstance(known, statistics_lib.NumericStatistics)
    return known


def _quantiles(known: statistics_lib.NumericStatistics, column: _Column) -> list[float]:
    """Returns the bounds between so many buckets that hold as many of the training rows each."""
    ends = [bucket.high for bucket in known.quantiles]
    wanted = column.options["quantiles"]
    if not ends:
        raise errors.InputError(
            f"Expected statistics with the quantiles of column '{known.name}', found them made before there were any. "
            f"Remove statistics.pbtxt from the model directory, so that it is made anew."
        )
    # Of a number that many rows have, several quantiles are one.
    found = {
        float(np.float32(ends[max(0, round(index * len(ends) / wanted) - 1)]))
        for index in range(1, wanted)
    }
    return sorted(found)


def _categorical(
    feature: schema_lib.Feature, column: _Column, sequence: bool = False
) -> tuple[Any, int]:
    """Returns the column of text or ids, and how many values it has."""
    name, options = feature.name, column.options
    if feature.dtype == "float32" or (not column.base and columns.is_number(feature)):
        feature_config.fail(
            column.where,
            f"text or ids for {column.base or column.dense or 'weighted_categorical'}",
            f"{feature.dtype}, an amount",
            "Take bucketized or numeric" + (", or identity" if feature.dtype == "int64" else ""),
        )
    if not column.base:
        return columns.categorical(feature, sequence), _default_size(feature)
    make = columns.maker(column.base, sequence)
    dtype = tf.string if feature.dtype == "string" else tf.int64
    if column.base == "hash_bucket":
        size = options["size"]
        return make(name, hash_bucket_size=size, dtype=dtype), size
    if column.base == "identity":
        _check_ids(feature, column, dtype is tf.int64, "whole numbers")
        size = options["num_buckets"]
        default_value = options.get("default_value", 0)
        return make(name, num_buckets=size, default_value=default_value), size
    outside = {
        option: options[option]
        for option in ("num_oov_buckets", "default_value")
        if option in options
    } or {"num_oov_buckets": 1}
    if column.base == "vocabulary_list":
        values = options["values"]
        what = "text" if isinstance(values[0], str) else "whole numbers"
        _check_ids(feature, column, isinstance(values[0], str) == (dtype is tf.string), what)
        made = make(name, vocabulary_list=values, dtype=dtype, **outside)
        return made, len(values) + outside.get("num_oov_buckets", 0)
    path = options["path"]
    if not tf.io.gfile.exists(path):
        feature_config.fail(
            column.where, "a vocabulary_file", f"none at {path}", "Correct the path"
        )
    size = options.get("size")
    made = make(name, vocabulary_file=path, vocabulary_size=size, dtype=dtype, **outside)
    return made, made.num_buckets


def _check_ids(feature: schema_lib.Feature, column: _Column, fits: bool, what: str) -> None:
    if not fits:
        found = "text" if feature.dtype == "string" else "whole numbers"
        feature_config.fail(
            column.where,
            f"a feature of {what} for {column.base}",
            found,
            "Take a kind for text, such as hash_bucket" if found == "text" else "List numbers",
        )


def _default_size(feature: schema_lib.Feature) -> int:
    """Returns how many values the default column of text or ids has: a vocabulary's has one more, for the unknown."""
    return columns.num_values(feature) + (feature.vocabulary is not None)


def _dense(made: Any, size: int, column: _Column) -> Any:
    if column.dense == "indicator":
        return tf.feature_column.indicator_column(made)
    if column.dense != "embedding":
        return columns.dense(made, size)
    return tf.feature_column.embedding_column(made, **_embedding(size, column))


def _embedding(size: int, column: _Column) -> dict[str, Any]:
    """Returns the arguments of an embedding of `size` values."""
    given = dict(column.embedding)
    arguments = {
        "dimension": given.get("dimension") or columns.embedding_width(size),
        "combiner": given.get("combiner", "mean"),
        "max_norm": given.get("max_norm"),
        "trainable": given.get("trainable", True),
    }
    if "checkpoint" in given:
        checkpoint, tensor = given["checkpoint"], given["tensor"]
        shape = _shape_in(checkpoint, tensor, column)
        arguments["dimension"] = given.get("dimension") or shape[-1]
        if shape != [size, arguments["dimension"]]:
            feature_config.fail(
                column.where,
                f"weights of {[size, arguments['dimension']]} in '{tensor}' of {checkpoint}",
                shape,
                "Name other weights, or give the feature as many values",
            )
        arguments |= {"ckpt_to_load_from": checkpoint, "tensor_name_in_ckpt": tensor}
    return arguments


def _shape_in(checkpoint: str, tensor: str, column: _Column) -> list[int]:
    try:
        shapes = dict(tf.train.list_variables(checkpoint))
    except (ValueError, tf.errors.OpError) as error:
        feature_config.fail(
            column.where,
            f"a checkpoint at {checkpoint}",
            str(error).rstrip("."),
            "Correct the path",
        )
    if tensor not in shapes:
        feature_config.fail(
            column.where,
            f"a tensor of {checkpoint} ({', '.join(sorted(shapes)[:10])})",
            repr(tensor),
            feature_config.nearest(tensor, shapes),
        )
    return list(shapes[tensor])


def _shared_embeddings(problem: Problem, shared: feature_config.SharedEmbedding) -> list[Any]:
    features = [problem.schema.feature(name) for name in shared.features]
    column = shared.column
    if not column.base:
        known = [feature.vocabulary for feature in features]
        if None in known:
            feature_config.fail(
                column.where,
                "one kind of categories for all of them",
                "none",
                "Write for example 'hash_bucket: 1000'",
            )
        values = sorted({value for vocabulary in known for value in vocabulary or ()})
        column = dataclasses.replace(column, base="vocabulary_list", options={"values": values})
    made = [_categorical(feature, column) for feature in features]
    arguments = _embedding(made[0][1], column)
    with tf.Graph().as_default():  # refused where operations run at once, though it makes none
        return tf.feature_column.shared_embeddings(
            [categorical for categorical, _ in made], **arguments
        )


def _crosses(problem: Problem) -> list[Any]:
    if problem.features.crosses is not None:
        return [_cross(problem, cross) for cross in problem.features.crosses]
    return columns.crosses(
        [
            feature
            for feature in problem.schema.features
            if _given(problem, feature.name, "wide") != ()
        ]
    )


def _cross(problem: Problem, cross: feature_config.Cross) -> Any:
    keys = []
    for name, buckets in cross.keys:
        feature = problem.schema.feature(name)
        if buckets is not None:
            keys.append(_number(problem, feature, buckets)[0])
        elif columns.is_number(feature):
            keys.append(_buckets_of(problem, feature))
        else:
            keys.append(name)
    return tf.feature_column.crossed_column(keys, cross.hash_bucket_size)


def _buckets_of(problem: Problem, feature: schema_lib.Feature) -> Any:
    """Returns a number in the buckets that the file gives it elsewhere, or in the default ones."""
    for part in ("wide", "deep"):
        for column in _given(problem, feature.name, part) or ():
            if column.base == "bucketized":
                return _number(problem, feature, column)[0]
    return columns.buckets(feature, problem.statistics)
