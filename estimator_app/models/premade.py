"""TensorFlow's premade Estimators on feature columns, for a label of classes or an amount."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from estimator_app.compat import estimator
from estimator_app.models import columns, optimizers, sdca
from estimator_app.models.problem import Problem
from input_fns import errors
from input_fns import statistics as statistics_lib

# The deep part's own defaults; the wide part is FTRL with the Estimator's own rate, as in Cheng et al. 2016.
_DEEP_OPTIMIZER = "adam"
_DEEP_LEARNING_RATE = 0.001
_LINEAR_LEARNING_RATE = 0.05
_BASELINE_LEARNING_RATE = 0.3

# --loss -> (head in the wheel, smallest label, largest label, what such a label is)
_LOSSES = {
    "logistic": ("LogisticRegressionHead", 0.0, 1.0, "a share in [0, 1]"),
    "poisson": ("PoissonRegressionHead", 0.0, float("inf"), "a count, 0 or more"),
}


def baseline(problem: Problem) -> Any:
    """Predicts the label's mean, or the classes' shares, whatever the features: what every other model has to beat."""
    inner = _make(
        problem,
        "Baseline",
        optimizer=optimizers.make(problem.settings, "ftrl", _BASELINE_LEARNING_RATE),
    )
    kept = {problem.schema.features[0].name} | (
        {problem.schema.weight.name} if problem.schema.weight else set()
    )

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        # The wheel looks at features for the batch size only, but with more than one of them it makes its variable's
        # initial value depend on a batch (baseline.py, _baseline_model_fn_builder_v2), and the first session then fails
        # with "the iterator has not been initialized".
        return inner.model_fn(
            {name: features[name] for name in features if name in kept}, labels, mode, config
        )

    return estimator.Estimator(model_fn, config=inner.config)


def linear(problem: Problem) -> Any:
    """Linear model on standardised numbers, categories and crosses."""
    if problem.settings.optimizer == "sdca":
        return sdca.linear_sdca(problem)
    return _make(
        problem,
        "Linear",
        feature_columns=columns.linear_columns(problem.schema, problem.statistics),
        optimizer=optimizers.make(problem.settings, "ftrl", _LINEAR_LEARNING_RATE),
    )


def dnn(problem: Problem) -> Any:
    """Fully connected network on dense columns."""
    return _make(
        problem,
        "DNN",
        feature_columns=columns.deep_columns(problem.schema, problem.statistics),
        hidden_units=problem.settings.hidden_units,
        activation_fn=_activation(problem),
        dropout=problem.settings.dropout or None,
        batch_norm=problem.settings.batch_norm,
        optimizer=optimizers.make(problem.settings, _DEEP_OPTIMIZER, _DEEP_LEARNING_RATE),
    )


def dnn_linear(problem: Problem) -> Any:
    """Wide and deep: a linear model on crosses and a network on dense columns, trained together."""
    return _make(
        problem,
        "DNNLinearCombined",
        linear_feature_columns=columns.wide_columns(problem.schema, problem.statistics),
        linear_optimizer="Ftrl",
        dnn_feature_columns=columns.deep_columns(problem.schema, problem.statistics),
        dnn_hidden_units=problem.settings.hidden_units,
        dnn_activation_fn=_activation(problem),
        dnn_dropout=problem.settings.dropout or None,
        batch_norm=problem.settings.batch_norm,
        dnn_optimizer=optimizers.make(problem.settings, _DEEP_OPTIMIZER, _DEEP_LEARNING_RATE),
    )


def _make(problem: Problem, kind: str, **arguments: Any) -> Any:
    """Returns the premade Estimator of a kind ("Linear", "DNN") with the head that label and --loss ask for."""
    schema, settings = problem.schema, problem.settings
    head: dict[str, Any] = {"weight_column": schema.weight.name if schema.weight else None}
    if settings.loss_reduction:
        head["loss_reduction"] = settings.loss_reduction
    if settings.loss:
        make_head = getattr(estimator, _check_loss(problem))
        return getattr(estimator, f"{kind}Estimator")(
            head=make_head(**head), config=problem.config, **arguments
        )
    if schema.task == "regression":
        return getattr(estimator, f"{kind}Regressor")(config=problem.config, **head, **arguments)
    head["n_classes"] = schema.num_classes
    if schema.label is not None and schema.label.vocabulary is not None:
        head["label_vocabulary"] = list(schema.label.vocabulary)
    return getattr(estimator, f"{kind}Classifier")(config=problem.config, **head, **arguments)


def _check_loss(problem: Problem) -> str:
    """Returns the name of the head for --loss.

    Raises:
      SchemaError: the label is not what the loss is for.
    """
    loss, label = problem.settings.loss, problem.schema.label
    head, low, high, what = _LOSSES[loss]
    assert label is not None  # else there was no task
    if problem.schema.task != "regression":
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


def _activation(problem: Problem) -> Any:
    return getattr(tf.nn, problem.settings.activation or "relu")
