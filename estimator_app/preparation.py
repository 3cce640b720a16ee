"""The data of a job, before the first step: read once, checked, described."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import os
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from estimator_app import comparison, job_dir
from estimator_app import settings as settings_lib
from estimator_app import verification
from input_fns import bad_rows as bad_rows_lib
from input_fns import balance, errors, inference, pipeline, row_order
from input_fns import schema as schema_lib
from input_fns import settings as input_settings
from input_fns import sources
from input_fns import statistics as statistics_lib


@dataclasses.dataclass(frozen=True)
class Data:
    """What a job learns from.

    Attributes:
      schema: the columns; inferred, given, or the one that the model directory was made with.
      statistics: of the training data that the job first saw.
      num_train_rows: usable rows of the training data now.
      bad_rows: rows left out, over training and evaluation data.
      settings: how the data is read.
      train: the training rows.
      eval: the evaluation rows.
    """

    schema: schema_lib.Schema
    statistics: statistics_lib.DatasetStatistics
    num_train_rows: int
    bad_rows: int
    settings: input_settings.InputSettings
    train: sources.Source
    eval: sources.Source

    @property
    def model_schema(self) -> schema_lib.Schema:
        """The schema of what the input functions give: with the weight of --class_balance=weights."""
        balanced = self.settings.class_balance == "weights"
        return balance.with_weight(self.schema) if balanced else self.schema

    def train_input_fn(
        self,
        label_as: str,
        shard: tuple[int, int],
        start_step: int,
        start: Optional[row_order.Position],
    ) -> pipeline.InputFn:
        """Returns the input function of training: shuffled, without end.

        Args:
          label_as: "value" or "index", see `registry.Model`.
          shard: (index, count) of this worker.
          start_step: the step that training goes on from.
          start: where in the data it stood then. If that is not known the step changes the order, so that a job that is
            resumed over and over does not see the same first rows each time.

        Raises:
          SchemaError: the label cannot be balanced.
        """
        settings, class_weights = self.settings, None
        if settings.seed is not None:
            settings = dataclasses.replace(settings, seed=settings.seed + start_step)
        if settings.class_balance != "none":
            class_weights = balance.class_weights(self.schema, self.statistics)
        return pipeline.make_input_fn(
            self.train,
            self.schema,
            settings,
            "train",
            label_as=label_as,
            shard=shard,
            start=start,
            class_weights=class_weights,
        )

    def eval_input_fn(self, label_as: str) -> Callable[[], Any]:
        """Returns the input function of an evaluation: every row once, in order."""
        return pipeline.make_input_fn(
            self.eval, self.schema, self.settings, "eval", label_as=label_as
        )

    def sample_rows(self, count: int) -> verification.SampleRows:
        """Returns the first `count` evaluation rows, labels as values."""
        settings = dataclasses.replace(
            self.settings, batch_size=count, cache="none", class_balance="none"
        )
        input_fn = pipeline.make_input_fn(
            self.eval, self.schema, settings, "eval", label_as="value"
        )
        features, labels = next(iter(input_fn()))
        return verification.SampleRows(
            {feature.name: _to_rows(features[feature.name]) for feature in self.schema.features},
            self._by_column(labels),
        )

    def _by_column(self, labels: Any) -> dict[str, np.ndarray]:
        """Returns the labels of a batch, as an input function gives them, by the columns they come from."""
        if self.schema.label is not None:
            return {self.schema.label.name: np.asarray(labels)}
        names = [label.name for label in self.schema.labels]
        if self.schema.multi_label:
            return dict(zip(names, np.asarray(labels).T, strict=True))
        return {name: np.asarray(labels[name]) for name in names}


def _to_rows(values: Any) -> np.ndarray:
    """Returns a tensor as an array, and a SparseTensor of lists as an array of arrays."""
    if not isinstance(values, tf.SparseTensor):
        return values.numpy()
    lists = tf.RaggedTensor.from_sparse(values)
    rows = np.split(lists.values.numpy(), lists.row_splits.numpy()[1:-1])
    return np.fromiter(rows, object)


def prepare(
    settings: settings_lib.RunSettings, say: Callable[[str], None], is_chief: bool = True
) -> Data:
    """Reads training and evaluation data once each, and holds them against the schema.

    The schema is the model directory's if the job was started before (its vocabularies are baked into the
    checkpoint), else the file that the settings name, else inferred. Bad rows that are skipped go to `bad_rows.csv` in
    the model directory.

    Args:
      settings: the job.
      say: called with one line on what was found.
      is_chief: whether this task of the cluster, if there is one, is the one that writes into the model directory.

    Raises:
      InputError: the data cannot be used; one sentence.
    """
    known, known_statistics = known_data(settings)
    train = sources.open_source(settings.input, "train", known)
    evaluation = sources.open_source(settings.input, "eval", known)
    with _bad_rows_writer(settings, is_chief) as writer:
        scanned = inference.scan(train, settings.input, known, writer)
        checked = inference.scan(evaluation, settings.input, scanned.schema, writer)
    scanned.schema.task  # Raises for a label that cannot be learnt.
    if not scanned.schema.features:
        raise errors.SchemaError(
            f"Expected columns to learn from, found none in {train.files[0]} beside label and weight. Add some."
        )
    if settings.train.max_drift is not None:
        _check_drift(scanned.statistics, checked.statistics, known_statistics, settings.train)
    bad_rows = scanned.bad_rows + checked.bad_rows
    say(
        f"{scanned.num_rows} training rows, {checked.num_rows} evaluation rows, {len(scanned.schema.features)} features"
        + (f", {bad_rows} bad rows skipped" if bad_rows else "")
    )
    return Data(
        schema=known if known_statistics and known else scanned.schema,
        statistics=known_statistics or scanned.statistics,
        num_train_rows=scanned.num_rows,
        bad_rows=bad_rows,
        settings=with_cache_dir(settings),
        train=train,
        eval=evaluation,
    )


def _check_drift(
    train: statistics_lib.DatasetStatistics,
    evaluation: statistics_lib.DatasetStatistics,
    before: Optional[statistics_lib.DatasetStatistics],
    settings: settings_lib.TrainSettings,
) -> None:
    """Raises InputError if the training data is unlike what the job first saw, or the evaluation data unlike it."""
    assert settings.max_drift is not None
    now = comparison.Side("the training data", train)
    if before is not None:
        first = comparison.Side(
            f"the training data that {settings.model_dir} was started with", before
        )
        comparison.require_alike(first, now, settings.max_drift)
    then = comparison.Side("the evaluation data", evaluation)
    comparison.require_alike(now, then, settings.max_drift)


def with_cache_dir(settings: settings_lib.RunSettings) -> input_settings.InputSettings:
    """Returns how the data is read, with the cache's files below the model directory if nothing else is said."""
    given = settings.input
    directory = given.cache_dir or os.path.join(settings.train.model_dir, job_dir.CACHE)
    return dataclasses.replace(given, cache_dir=directory)


def record(settings: settings_lib.RunSettings, data: Data) -> None:
    """Writes schema and statistics into the model directory."""
    schema_lib.write(data.schema, os.path.join(settings.train.model_dir, job_dir.SCHEMA))
    statistics_lib.write(
        data.statistics, os.path.join(settings.train.model_dir, job_dir.STATISTICS)
    )


def known_data(
    settings: settings_lib.RunSettings,
) -> tuple[Optional[schema_lib.Schema], Optional[statistics_lib.DatasetStatistics]]:
    """Returns schema and statistics that the job was made with, or the given schema alone, or neither."""
    schema_path = os.path.join(settings.train.model_dir, job_dir.SCHEMA)
    statistics_path = os.path.join(settings.train.model_dir, job_dir.STATISTICS)
    if job_dir.is_started(settings.train.model_dir) and os.path.exists(statistics_path):
        return schema_lib.read(schema_path), statistics_lib.read(statistics_path)
    if settings.input.schema:
        return (
            schema_lib.read(
                settings.input.schema, settings.input.label_column, settings.input.weight_column
            ),
            None,
        )
    return None, None


def _bad_rows_writer(
    settings: settings_lib.RunSettings, is_chief: bool
) -> contextlib.AbstractContextManager[Optional[bad_rows_lib.Writer]]:
    if settings.input.bad_rows == "error" or not is_chief:
        return contextlib.nullcontext()
    os.makedirs(settings.train.model_dir, exist_ok=True)
    return bad_rows_lib.Writer(os.path.join(settings.train.model_dir, job_dir.BAD_ROWS))
