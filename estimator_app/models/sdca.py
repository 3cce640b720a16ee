"""The linear model trained by stochastic dual coordinate ascent (`LinearSDCA` of the wheel).

The optimizer keeps a dual variable for every row, in a table that checkpoints hold, and finds it by the row's id. The
id is a column of the data: a hash of the row's content would do only for rows that are all different, since equal rows
would share one dual variable and count once.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from estimator_app.compat import estimator
from estimator_app.models import treatment
from estimator_app.models.problem import Problem
from input_fns import errors
from input_fns import schema as schema_lib


class _Head(estimator.BinaryClassHead):
    """Takes class ids as labels, which LinearSDCA needs, where the wheel's head wants text as its vocabulary has it."""

    def create_estimator_spec(
        self, features: Any, mode: str, logits: Any, labels: Any = None, **arguments: Any
    ) -> Any:
        if labels is not None:
            labels = tf.gather(self._label_vocabulary, labels)
        return super().create_estimator_spec(features, mode, logits, labels, **arguments)


def linear_sdca(problem: Problem) -> Any:
    """Returns the Estimator.

    Raises:
      SettingsError: the id column is no id, or the label is not one that SDCA can learn.
    """
    schema, settings = problem.schema, problem.settings
    optimizer = _make_optimizer(problem)
    id_feature = _check(problem)
    learnt = tuple(feature for feature in schema.features if feature is not id_feature)
    head: dict[str, Any] = {"weight_column": schema.weight.name if schema.weight else None}
    if settings.loss_reduction:
        head["loss_reduction"] = settings.loss_reduction
    label_names = list(schema.label_names) if schema.task == "classification" else None
    has_text = schema.label is not None and schema.label.vocabulary is not None
    if label_names is None:
        made = estimator.RegressionHead(**head)
    elif has_text:
        made = _Head(label_vocabulary=label_names, **head)
    else:
        made = estimator.BinaryClassHead(**head)
    inner = estimator.LinearEstimator(
        made,
        feature_columns=treatment.linear_columns(
            dataclasses.replace(problem, schema=dataclasses.replace(schema, features=learnt))
        ),
        optimizer=optimizer,
        config=problem.config,
    )

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        ids = features[id_feature.name]
        ids = ids if ids.dtype == tf.string else tf.strings.as_string(ids)
        if has_text and labels is not None:
            labels = tf.argmax(tf.equal(labels[:, tf.newaxis], tf.constant(label_names)), axis=1)
        return inner.model_fn({**features, id_feature.name: ids}, labels, mode, config)

    return estimator.Estimator(model_fn, config=inner.config)


def _check(problem: Problem) -> schema_lib.Feature:
    """Returns the feature that holds the rows' ids."""
    name, schema = problem.settings.example_id_column, problem.schema
    if schema.label is None or schema.multi_label:
        raise errors.SettingsError(
            f"Expected one label for --optimizer=sdca, found {', '.join(label.name for label in schema.labels)}. "
            f"Choose --optimizer=ftrl."
        )
    classes = schema.num_classes if schema.task == "classification" else 2
    if problem.settings.loss or classes != 2:
        found = f"--loss={problem.settings.loss}" if problem.settings.loss else f"{classes} classes"
        raise errors.SettingsError(
            f"Expected two classes, or an amount with squared error, for --optimizer=sdca; found {found}. "
            f"Choose --optimizer=ftrl."
        )
    feature = {feature.name: feature for feature in schema.features}.get(name)
    if feature is None or feature.shape or feature.dtype == "float32":
        raise errors.SettingsError(
            f"Expected --example_id_column={name} to be a feature of text or whole numbers, found "
            f"{feature.dtype if feature else 'no such feature'}. Name a column with another value in every row."
        )
    known = problem.statistics.column(name)
    if known.missing:
        raise errors.SettingsError(
            f"Expected a value of --example_id_column={name} in every row, found {known.missing} rows without. "
            f"Fill them in."
        )
    values = len(feature.vocabulary) if feature.vocabulary is not None else known.count
    if values < known.count:
        raise errors.SettingsError(
            f"Expected another value of --example_id_column={name} in every row, found {values} values in "
            f"{known.count} rows. Name another column."
        )
    return feature


def _make_optimizer(problem: Problem) -> Any:
    settings = problem.settings
    if not settings.example_id_column:
        raise errors.SettingsError(
            "Expected --example_id_column with --optimizer=sdca, found none. Name a column with another value in every "
            "row, such as a row number, by which the optimizer knows a row again."
        )
    if settings.learning_rate:
        raise errors.SettingsError(
            f"Expected no --learning_rate with --optimizer=sdca, which finds its own steps; found "
            f"{settings.learning_rate:g}. Leave it out."
        )
    if settings.l2 == 0.0:
        raise errors.SettingsError(
            "Expected --l2 > 0 with --optimizer=sdca, which divides by it; found 0. Leave it out for 1."
        )
    return estimator.experimental.LinearSDCA(
        example_id_column=settings.example_id_column,
        # It converges if no fewer than the workers that train at once.
        num_loss_partitions=max(1, problem.config.num_worker_replicas),
        num_table_shards=max(1, problem.config.num_ps_replicas),
        symmetric_l1_regularization=settings.l1,
        symmetric_l2_regularization=1.0 if settings.l2 is None else settings.l2,
    )
