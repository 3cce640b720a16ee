"""TensorFlow's premade Estimators on feature columns, for a label of classes or an amount, or for several labels."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from estimator_app.compat import estimator
from estimator_app.models import heads, optimizers, sdca, treatment
from estimator_app.models.problem import Problem

# The deep part's own defaults; the wide part is FTRL with the Estimator's own rate, as in Cheng et al. 2016.
_DEEP_OPTIMIZER = "adam"
_DEEP_LEARNING_RATE = 0.001
_LINEAR_LEARNING_RATE = 0.05
_BASELINE_LEARNING_RATE = 0.3


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
        feature_columns=treatment.linear_columns(problem),
        optimizer=optimizers.make(problem.settings, "ftrl", _LINEAR_LEARNING_RATE),
    )


def dnn(problem: Problem) -> Any:
    """Fully connected network on dense columns."""
    return _make(
        problem,
        "DNN",
        feature_columns=treatment.deep_columns(problem),
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
        linear_feature_columns=treatment.wide_columns(problem),
        linear_optimizer="Ftrl",
        dnn_feature_columns=treatment.deep_columns(problem),
        dnn_hidden_units=problem.settings.hidden_units,
        dnn_activation_fn=_activation(problem),
        dnn_dropout=problem.settings.dropout or None,
        batch_norm=problem.settings.batch_norm,
        dnn_optimizer=optimizers.make(problem.settings, _DEEP_OPTIMIZER, _DEEP_LEARNING_RATE),
    )


def _make(problem: Problem, kind: str, **arguments: Any) -> Any:
    """Returns the premade Estimator of a kind ("Linear", "DNN") with the head that labels and --loss ask for."""
    schema = problem.schema
    if schema.task not in ("classification", "regression") or problem.settings.loss:
        return getattr(estimator, f"{kind}Estimator")(
            head=heads.make(problem), config=problem.config, **arguments
        )
    common = heads.common_arguments(problem)
    if schema.task == "regression":
        return getattr(estimator, f"{kind}Regressor")(config=problem.config, **common, **arguments)
    assert schema.label is not None  # else the task were another
    common.update(heads.classification_arguments(schema.label))
    return getattr(estimator, f"{kind}Classifier")(config=problem.config, **common, **arguments)


def _activation(problem: Problem) -> Any:
    return getattr(tf.nn, problem.settings.activation or "relu")
