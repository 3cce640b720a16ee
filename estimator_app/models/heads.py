"""The head of a premade Estimator for what the schema says is learnt: one label, or several of them."""

from __future__ import annotations

from typing import Any

from estimator_app.compat import estimator
from estimator_app.models.problem import Problem
from input_fns import errors
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

# --loss -> (head in the wheel, smallest label, largest label, what such a label is)
_LOSSES = {
    "logistic": ("LogisticRegressionHead", 0.0, 1.0, "a share in [0, 1]"),
    "poisson": ("PoissonRegressionHead", 0.0, float("inf"), "a count, 0 or more"),
}

# Each metric of one class is hundreds of counters in the graph of an evaluation.
_MAX_CLASSES_WITH_METRICS = 50


def make(problem: Problem) -> Any:
    """Returns the head: of a multi-label task a `MultiLabelHead`, of several other labels a `MultiHead`.

    The heads inside a `MultiHead` are named as their columns are, and each is of its own label's kind.

    Raises:
      SettingsError: there is --loss for a multi-label task.
      SchemaError: the label is not what --loss is for.
    """
    schema = problem.schema
    if schema.task == "multi_label":
        return _multi_label(problem)
    if schema.label is not None:
        return _of_label(problem, schema.label, None)
    parts = [_of_label(problem, label, label.name) for label in schema.labels]
    return estimator.MultiHead(parts, head_weights=list(problem.settings.head_weights) or None)


def check_weights(problem: Problem) -> None:
    """Refuses `--head_weights` that nothing would heed, whatever the model.

    Raises:
      SettingsError: they are not one for each of several labels that have a loss each.
    """
    schema, weights = problem.schema, problem.settings.head_weights
    if weights and schema.task != "multi_head":
        raise errors.SettingsError(
            f"Expected --head_weights with several labels that have a loss each, found --task={schema.task}. Leave "
            f"--head_weights out."
        )
    if weights and len(weights) != len(schema.labels):
        raise errors.SettingsError(
            f"Expected one number in --head_weights for each of the labels "
            f"{', '.join(label.name for label in schema.labels)}, found {len(weights)}. Correct --head_weights."
        )


def classification_arguments(label: schema_lib.Feature) -> dict[str, Any]:
    """Returns what a classifier or a head wants to know of a label of classes: n_classes, and label_vocabulary."""
    arguments: dict[str, Any] = {"n_classes": len(schema_lib.class_names(label))}
    if label.vocabulary is not None:
        arguments["label_vocabulary"] = list(label.vocabulary)
    return arguments


def common_arguments(problem: Problem) -> dict[str, Any]:
    """Returns what every head takes: weight_column, and loss_reduction if the settings name one."""
    weight, reduction = problem.schema.weight, problem.settings.loss_reduction
    common: dict[str, Any] = {"weight_column": weight.name if weight else None}
    return {**common, "loss_reduction": reduction} if reduction else common


def _multi_label(problem: Problem) -> Any:
    if problem.settings.loss:
        raise errors.SettingsError(
            f"Expected --task=multi_label without --loss, found --loss={problem.settings.loss}: its loss is the cross "
            f"entropy of each class. Leave --loss out."
        )
    names = problem.schema.label_names
    return estimator.MultiLabelHead(
        n_classes=len(names),
        label_vocabulary=list(names),
        thresholds=[0.5],
        classes_for_class_based_metrics=list(range(min(len(names), _MAX_CLASSES_WITH_METRICS))),
        **common_arguments(problem),
    )


def _of_label(problem: Problem, label: schema_lib.Feature, name: str | None) -> Any:
    """Returns the head of one label; `name` is its name among several."""
    common = {**common_arguments(problem), "name": name}
    if problem.settings.loss:
        return getattr(estimator, _check_loss(problem, label))(**common)
    if schema_lib.label_task(label) == "regression":
        return estimator.RegressionHead(**common)
    classes = classification_arguments(label)
    if classes["n_classes"] == 2:
        del classes["n_classes"]
        return estimator.BinaryClassHead(**common, **classes)
    return estimator.MultiClassHead(**common, **classes)


def _check_loss(problem: Problem, label: schema_lib.Feature) -> str:
    """Returns the name of the head for --loss.

    Raises:
      SchemaError: the label is not what the loss is for.
    """
    loss = problem.settings.loss
    head, low, high, what = _LOSSES[loss]
    if schema_lib.label_task(label) != "regression":
        raise errors.SchemaError(
            f"Expected label '{label.name}' to be {what} for --loss={loss}, found classes. Give --task=regression if "
            f"it is an amount, or leave --loss out."
        )
    known = problem.statistics.column(label.name)
    if isinstance(known, statistics_lib.NumericStatistics) and not (
        low <= known.low <= known.high <= high
    ):
        raise errors.SchemaError(
            f"Expected label '{label.name}' to be {what} for --loss={loss}, found values from {known.low:g} to "
            f"{known.high:g}. Correct the data, or leave --loss out."
        )
    return head
