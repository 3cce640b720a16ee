"""Names that a graph can have, for columns that are named as people name them.

Feature columns and Keras inputs name their operations after the feature, and TensorFlow allows letters, digits and
`_.-` only: a column "hours a week" would end a job with "is not a valid scope name". Files, schema and
signatures keep the column's own name; only inside the model's function a feature goes by another one.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import re
from typing import Any

from estimator_app.compat import estimator
from estimator_app.models.problem import Problem

_ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

# keras_lib.py of the wheel takes a dict with both of these keys for weighted features.
_RESERVED = ("features", "sample_weights")


def graph_names(names: list[str]) -> dict[str, str]:
    """Returns column name -> name in the graph; the same name where a graph can have it."""
    taken = {name for name in names if _is_allowed(name)}
    chosen = {name: name for name in taken}
    for name in names:
        if name not in chosen:
            stem = "column_" + re.sub(r"[^A-Za-z0-9_.-]", "_", name)
            number, candidate = 1, stem
            while candidate in taken:
                number, candidate = number + 1, f"{stem}_{number}"
            taken.add(candidate)
            chosen[name] = candidate
    return chosen


def build_with_graph_names(build: Callable[[Problem], Any], problem: Problem) -> Any:
    """Returns the Estimator that `build` makes, told of the features by names that a graph can have."""
    names = graph_names([column.name for column in problem.schema.columns])
    if all(name == chosen for name, chosen in names.items()):
        return build(problem)
    inner = build(rename(problem))

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        renamed = {names[name]: value for name, value in features.items()}
        if isinstance(labels, dict):
            labels = {names[name]: value for name, value in labels.items()}
        return inner.model_fn(renamed, labels, mode, config)

    return estimator.Estimator(
        model_fn, config=inner.config, warm_start_from=inner._warm_start_settings
    )


def rename(problem: Problem) -> Problem:
    """Returns the problem with all columns by names that a graph can have."""
    return _renamed(problem, graph_names([column.name for column in problem.schema.columns]))


def _is_allowed(name: str) -> bool:
    return bool(_ALLOWED.fullmatch(name)) and name not in _RESERVED


def _renamed(problem: Problem, names: dict[str, str]) -> Problem:
    def rename(column: Any) -> Any:
        return column and dataclasses.replace(column, name=names.get(column.name, column.name))

    schema, statistics = problem.schema, problem.statistics
    settings = problem.settings
    id_column = names.get(settings.example_id_column, settings.example_id_column)
    lists = tuple(names.get(name, name) for name in settings.sequence_columns)
    return dataclasses.replace(
        problem,
        settings=dataclasses.replace(settings, example_id_column=id_column, sequence_columns=lists),
        features=problem.features.renamed(names),
        schema=dataclasses.replace(
            schema,
            features=tuple(rename(feature) for feature in schema.features),
            labels=tuple(rename(label) for label in schema.labels),
            weight=rename(schema.weight),
        ),
        statistics=dataclasses.replace(
            statistics, columns=tuple(rename(column) for column in statistics.columns)
        ),
    )
