"""K-means on the schema's features; the label, which a schema has, plays no part."""

from __future__ import annotations

from typing import Any

from estimator_app.compat import estimator, estimator_v1
from estimator_app.models import treatment
from estimator_app.models.problem import Problem
from input_fns import errors

_DEFAULT_NUM_CLUSTERS = 8


def kmeans(problem: Problem) -> Any:
    """Mini-batch K-means on standardised numbers and one-hot categories.

    It answers with `cluster_index` and with `all_distances`, the squared distance to each centre. The loss of an
    evaluation is the sum over a batch of the squared distances to the nearest centre.

    Raises:
      SettingsError: rows are to be weighed.
    """
    if problem.schema.weight:
        raise errors.SettingsError(
            f"Expected neither --weight_column nor --class_balance=weights with --model={problem.settings.model}, "
            f"which cannot weigh rows; found rows weighed by {problem.schema.weight.name}. Leave it out."
        )
    inner = estimator_v1.experimental.KMeans(
        num_clusters=problem.settings.num_clusters or _DEFAULT_NUM_CLUSTERS,
        seed=problem.config.tf_random_seed,
        feature_columns=treatment.distance_columns(problem),
        config=problem.config,
    )

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        spec = inner.model_fn(features, None, mode, config)
        if mode != estimator.ModeKeys.PREDICT:
            return spec
        # The wheel exports a signature for each prediction and calls what it answers "output"; a client asks for
        # predictions by their names.
        outputs = estimator.export.PredictOutput(spec.predictions)
        return spec._replace(export_outputs={"serving_default": outputs, "predict": outputs})

    return estimator.Estimator(model_fn, config=problem.config)
