"""A compiled Keras model -> an Estimator that trains, weighs rows and exports like the premade ones."""

from __future__ import annotations

from typing import Any

from estimator_app.compat import estimator, keras, model_to_estimator
from estimator_app.models import keras_steps, optimizers
from estimator_app.models.problem import Problem
from input_fns import errors
from input_fns import schema as schema_lib

DEFAULT_OPTIMIZER = "adam"
DEFAULT_LEARNING_RATE = 0.001

# What keras_lib.py calls the output of a model that does not name its own.
_UNNAMED_OUTPUT = "output_1"


def output(hidden: Any, schema: schema_lib.Schema) -> Any:
    """Returns the last layer on `hidden` for the label: "predictions" of an amount, or "probabilities" of classes."""
    if schema.task == "regression":
        return keras.layers.Dense(1, name="predictions")(hidden)
    return keras.layers.Dense(schema.num_classes, "softmax", name="probabilities")(hidden)


def compile_to_estimator(
    model: Any,
    problem: Problem,
    optimizer: str = DEFAULT_OPTIMIZER,
    learning_rate: float = DEFAULT_LEARNING_RATE,
    clip_norm: float | None = None,
) -> Any:
    """Compiles `model` for the label, with the optimizer of the settings, and returns its Estimator.

    Args:
      model: as `to_estimator` takes it, but not compiled.
      problem: gives the settings and what `to_estimator` needs.
      optimizer: the model's own, which the settings may replace.
      learning_rate: of that optimizer.
      clip_norm: the largest norm that the gradient of a variable keeps, None for any.
    """
    classification = problem.schema.task == "classification"
    made = optimizers.make(problem.settings, optimizer, learning_rate)
    made.clipnorm = clip_norm
    model.compile(
        optimizer=made,
        loss="sparse_categorical_crossentropy" if classification else "mse",
        metrics=["accuracy"] if classification else ["mae"],
    )
    return to_estimator(model, problem)


def to_estimator(model: Any, problem: Problem) -> Any:
    """Returns the Estimator of a compiled model; one with a `train_step` of its own trains by that.

    Args:
      model: takes a dict of the schema's features, each `[batch, *shape]`.
      problem: gives the RunConfig, and the weight column if there is one.

    Raises:
      SettingsError: the model is not compiled.
      SchemaError: its inputs are not the schema's features.
    """
    _check(model, problem)
    if keras_steps.overrides_step(model):
        return keras_steps.from_train_step(model, problem)
    # A subclass of Model has no graph of objects before it is called, so that only variables by name can be saved.
    by_object = model._is_graph_network or isinstance(model, keras.Sequential)
    converted = model_to_estimator(
        keras_model=model,
        config=problem.config,
        checkpoint_format="checkpoint" if by_object else "saver",
    )
    weight = problem.schema.weight.name if problem.schema.weight else None

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        if weight and mode != estimator.ModeKeys.PREDICT:
            # The convention of keras_lib.py for weighted rows.
            features = dict(features)
            features = {"sample_weights": features.pop(weight), "features": features}
        spec = converted.model_fn(features, labels, mode, config)
        if mode != estimator.ModeKeys.PREDICT:
            return spec
        predictions = dict(spec.predictions)
        if not by_object and set(predictions) == {_UNNAMED_OUTPUT}:
            name = "probabilities" if problem.schema.task == "classification" else "predictions"
            predictions = {name: predictions[_UNNAMED_OUTPUT]}
        # Keras exports only the default signature; premade Estimators have a "predict" beside it, and clients ask
        # for it.
        outputs = estimator.export.PredictOutput(predictions)
        return spec._replace(
            predictions=predictions,
            export_outputs={"serving_default": outputs, "predict": outputs},
        )

    # model_to_estimator saves the model's initial weights under the model directory and warm-starts from them.
    return estimator.Estimator(
        model_fn, config=converted.config, warm_start_from=converted._warm_start_settings
    )


def _check(model: Any, problem: Problem) -> None:
    if getattr(model, "optimizer", None) is None:
        raise errors.SettingsError(
            f"Expected the Keras model of --model={problem.settings.model} to be compiled, found no optimizer. Call "
            f"its compile(optimizer, loss, metrics)."
        )
    known = [feature.name for feature in problem.schema.features]
    if isinstance(model, keras.Sequential) and not model.built:
        found = "layers without an input"
    elif getattr(model, "inputs", None) is None or set(model.input_names) <= set(known):
        return
    else:
        found = ", ".join(model.input_names)
    raise errors.SchemaError(
        f"Expected the inputs of the Keras model of --model={problem.settings.model} to be named as the features are "
        f"({', '.join(known[:5])}{', ...' if len(known) > 5 else ''}), found {found}. Give keras.Input(..., name=...)."
    )
