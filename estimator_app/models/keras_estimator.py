"""A compiled Keras model -> an Estimator that trains, weighs rows and exports like the premade ones."""

from __future__ import annotations

from typing import Any

from estimator_app.compat import estimator, model_to_estimator
from estimator_app.models.problem import Problem


def to_estimator(model: Any, problem: Problem) -> Any:
    """Returns the Estimator of a compiled functional model.

    Args:
      model: takes a dict of the schema's features, each `[batch, *shape]`; its optimizer is a legacy one.
      problem: gives the RunConfig, and the weight column if there is one.
    """
    converted = model_to_estimator(keras_model=model, config=problem.config)
    weight = problem.schema.weight.name if problem.schema.weight else None

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        if weight and mode != estimator.ModeKeys.PREDICT:
            # The convention of keras_lib.py for weighted rows.
            features = dict(features)
            features = {"sample_weights": features.pop(weight), "features": features}
        spec = converted.model_fn(features, labels, mode, config)
        if mode != estimator.ModeKeys.PREDICT:
            return spec
        # Keras exports only the default signature; premade Estimators have a "predict" beside it, and clients ask
        # for it.
        return spec._replace(
            export_outputs={
                **spec.export_outputs,
                "predict": estimator.export.PredictOutput(spec.predictions),
            }
        )

    # model_to_estimator saves the model's initial weights under the model directory and warm-starts from them.
    return estimator.Estimator(
        model_fn, config=converted.config, warm_start_from=converted._warm_start_settings
    )
