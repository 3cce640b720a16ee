"""TensorFlow's premade Estimators on feature columns, for a classification or a regression label."""

from __future__ import annotations

from typing import Any, Optional

from estimator_app.compat import estimator, keras
from estimator_app.models import columns
from estimator_app.models.problem import Problem

# The deep part's own defaults; the wide part is FTRL with the Estimator's own rate, as in Cheng et al. 2016.
_DEEP_OPTIMIZER = "adam"
_DEEP_LEARNING_RATE = 0.001
_LINEAR_LEARNING_RATE = 0.05


def baseline(problem: Problem) -> Any:
    """Predicts the label's mean, or the classes' shares, whatever the features: what every other model has to beat."""
    inner = _choose(problem, estimator.BaselineClassifier, estimator.BaselineRegressor)(
        optimizer=_optimizer(problem, "ftrl", 0.3), **_head(problem)
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
    return _choose(problem, estimator.LinearClassifier, estimator.LinearRegressor)(
        feature_columns=columns.linear_columns(problem.schema, problem.statistics),
        optimizer=_optimizer(problem, "ftrl", _LINEAR_LEARNING_RATE),
        **_head(problem),
    )


def dnn(problem: Problem) -> Any:
    """Fully connected network on dense columns."""
    return _choose(problem, estimator.DNNClassifier, estimator.DNNRegressor)(
        feature_columns=columns.deep_columns(problem.schema, problem.statistics),
        hidden_units=problem.settings.hidden_units,
        dropout=problem.settings.dropout or None,
        optimizer=_optimizer(problem, _DEEP_OPTIMIZER, _DEEP_LEARNING_RATE),
        **_head(problem),
    )


def dnn_linear(problem: Problem) -> Any:
    """Wide and deep: a linear model on crosses and a network on dense columns, trained together."""
    return _choose(
        problem, estimator.DNNLinearCombinedClassifier, estimator.DNNLinearCombinedRegressor
    )(
        linear_feature_columns=columns.wide_columns(problem.schema, problem.statistics),
        linear_optimizer="Ftrl",
        dnn_feature_columns=columns.deep_columns(problem.schema, problem.statistics),
        dnn_hidden_units=problem.settings.hidden_units,
        dnn_dropout=problem.settings.dropout or None,
        dnn_optimizer=_optimizer(problem, _DEEP_OPTIMIZER, _DEEP_LEARNING_RATE),
        **_head(problem),
    )


def _choose(problem: Problem, classifier: Any, regressor: Any) -> Any:
    return classifier if problem.schema.task == "classification" else regressor


def _head(problem: Problem) -> dict[str, Any]:
    """Returns the arguments that all premade Estimators share."""
    schema = problem.schema
    arguments: dict[str, Any] = {
        "config": problem.config,
        "weight_column": schema.weight.name if schema.weight else None,
    }
    if schema.task == "classification":
        arguments["n_classes"] = schema.num_classes
        if schema.label is not None and schema.label.vocabulary is not None:
            arguments["label_vocabulary"] = list(schema.label.vocabulary)
    return arguments


def _optimizer(problem: Problem, default: str, default_rate: float) -> Any:
    return make_optimizer(
        problem.settings.optimizer or default,
        problem.settings.learning_rate,
        default_rate if not problem.settings.optimizer else None,
    )


def make_optimizer(
    name: str, learning_rate: Optional[float], default_rate: Optional[float] = None
) -> Any:
    """Returns a Keras optimizer of the kind that Estimators take.

    Args:
      name: one of `settings.OPTIMIZERS`.
      learning_rate: the step size asked for, or None.
      default_rate: the step size if none was asked for; None means the optimizer's own.
    """
    # Estimators apply gradients to graph variables, which only the optimizers of before Keras 2.11 do.
    legacy = keras.optimizers.legacy
    if name == "momentum":
        return legacy.SGD(learning_rate or default_rate or 0.01, momentum=0.9)
    cls = {
        "adagrad": legacy.Adagrad,
        "adam": legacy.Adam,
        "ftrl": legacy.Ftrl,
        "rmsprop": legacy.RMSprop,
        "sgd": legacy.SGD,
    }[name]
    rate = learning_rate or default_rate
    return cls(rate) if rate else cls()
