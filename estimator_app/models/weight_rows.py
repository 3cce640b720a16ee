"""What the rows of a premade model's weights stand for, by names that stay the same when a vocabulary changes.

A row of a linear weight or of an embedding is a value of its feature; a row of the first hidden layer's kernel is one
of the numbers that the feature columns give, such as the place of a value in a one-hot vector.
"""

from __future__ import annotations

import itertools
from typing import Any

import tensorflow as tf

from estimator_app.models import derived, naming, treatment
from estimator_app.models.problem import Problem

_DEEP = ("dnn", "dnn_linear")
_WIDE = {"linear": treatment.linear_columns, "dnn_linear": treatment.wide_columns}
MODELS = tuple(sorted({*_DEEP, *_WIDE}))


def names(problem: Problem) -> dict[str, list[str]]:
    """Returns variable name -> name of each of its rows; empty for a model that is not made of feature columns.

    The variables are those of linear.py, dnn.py and dnn_linear_combined.py of the wheel.
    """
    model = problem.settings.model
    inside = naming.rename(derived.derive(problem)[0])
    found: dict[str, list[str]] = {}
    if model in _WIDE:
        for column in _WIDE[model](inside):
            found[f"linear/linear_model/{column.name}/weights"] = _of_values(column)
    if model not in _DEEP:
        return found
    inputs: list[str] = []
    # DenseFeatures puts the columns side by side in the order of their names.
    dense = treatment.deep_columns(inside)
    for column in sorted(dense, key=lambda column: column.name):
        width = column.variable_shape.num_elements()
        values = getattr(column, "categorical_column", None)
        is_embedding = hasattr(column, "dimension")
        if is_embedding:
            name = f"dnn/input_from_feature_columns/input_layer/{column.name}/embedding_weights"
            found[name] = _of_values(values)
        rows = _of_values(values) if values and not is_embedding else _numbered(width)
        if len(rows) != width:  # of an embedding that is shared
            rows = _numbered(width)
        inputs += [f"{column.name}: {row}" for row in rows]
    found["dnn/hiddenlayer_0/kernel"] = inputs
    return found | _of_shared(dense)


def _of_shared(dense: list[Any]) -> dict[str, list[str]]:
    """Returns the rows of embeddings that several features share; TensorFlow names them after all of these."""
    groups: dict[Any, list[Any]] = {}
    for column in dense:
        creator = getattr(column, "shared_embedding_column_creator", None)
        if creator is not None:
            groups.setdefault(creator, []).append(column.categorical_column)
    found = {}
    for group in groups.values():
        features = "_".join(sorted(column.name for column in group))
        found[f"{features}_shared_embedding"] = _of_values(group[0])
    return found


def _of_values(column: Any) -> list[str]:
    """Returns one name a row: the values of a vocabulary, then its places for others; else places by number."""
    if hasattr(column, "weight_feature_key"):
        column = column.categorical_column
    vocabulary = getattr(column, "vocabulary_list", None)
    if hasattr(column, "vocabulary_file"):
        vocabulary = _lines(column)
    if vocabulary is not None:
        # As Python writes them, so that a value with a line break stays one line of a vocabulary's file.
        others = [f"other {i}" for i in range(column.num_oov_buckets)]
        return [repr(value) for value in vocabulary] + others
    count = getattr(column, "num_buckets", None)
    return _numbered(column.variable_shape.num_elements() if count is None else count)


def _lines(column: Any) -> list[Any]:
    """Returns the values of a vocabulary file, as a list in the file of `--features` would have them."""
    with tf.io.gfile.GFile(column.vocabulary_file) as file:
        lines = itertools.islice(file, column.vocabulary_size)
        values = [line.rstrip("\r\n") for line in lines]
    return values if column.dtype == tf.string else [int(value) for value in values]


def _numbered(count: int) -> list[str]:
    return [f"{i} of {count}" for i in range(count)]
