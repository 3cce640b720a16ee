"""Gradient boosted trees: grown by ydf from one pass over the rows, evaluated and exported by TensorFlow.

TensorFlow's own boosted trees lost their kernels. ydf grows trees from rows in memory, outside of TensorFlow, while an
Estimator is given batches: so a training step collects a batch, and each checkpoint is preceded by the trees of the
rows so far. The last one has them all.
"""

from __future__ import annotations

import logging
import os
import shutil
from typing import Any

import numpy as np
import tensorflow as tf

from estimator_app.compat import estimator
from estimator_app.models import columns, forest, heads
from estimator_app.models.problem import Problem
from input_fns import errors
from input_fns import schema as schema_lib

PACKAGE = "ydf"
YDF_DIR = "ydf"  # below the model directory: the same model as ydf keeps it

_N_TREES = 100
_MAX_DEPTH = 6
_LEARNING_RATE = 0.1

_logger = logging.getLogger(__name__)


def boosted_trees(problem: Problem) -> Any:
    """Trees that each correct the sum of those before; a label of classes or an amount.

    Raises:
      SettingsError: the job runs on a cluster.
    """
    schema, settings = problem.schema, problem.settings
    if problem.config.num_worker_replicas > 1:
        raise errors.SettingsError(
            f"Expected --model={settings.model} in one process, since its trees grow from rows in memory; found a "
            f"cluster of {problem.config.num_worker_replicas}. Unset TF_CONFIG."
        )
    num_logits = schema.num_classes if schema.task == "classification" else 1
    num_logits = 1 if num_logits == 2 else num_logits
    depth = _MAX_DEPTH if settings.max_depth is None else settings.max_depth

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        inputs = _to_matrix(features, schema)
        trees = forest.Forest(
            **{
                name: tf.Variable(
                    value,
                    name=f"forest/{name}",
                    trainable=False,
                    shape=value.shape if name == "bias" else [None],
                )
                for name, value in vars(forest.empty(num_logits)).items()
            }
        )
        read = forest.Forest(**{name: part.read_value() for name, part in vars(trees).items()})
        spec = heads.make(problem).create_estimator_spec(
            features,
            mode,
            forest.logits(read, inputs, depth, num_logits),
            labels,
            train_op_fn=_count_step,
        )
        if mode != estimator.ModeKeys.TRAIN:
            return spec
        weight = features[schema.weight.name] if schema.weight else tf.ones_like(inputs[:, 0])
        collector = _Collector((inputs, labels, weight), problem.statistics.num_rows)
        grower = _Grower(problem, collector, trees)
        saver = tf.compat.v1.train.CheckpointSaverHook(
            config.model_dir, save_steps=config.save_checkpoints_steps, listeners=[grower]
        )
        return spec._replace(training_chief_hooks=[collector, saver])

    return estimator.Estimator(model_fn, config=problem.config)


def _count_step(loss: Any) -> Any:
    """Returns what a training step does, after its loss: a batch was read."""
    with tf.control_dependencies([loss]):
        return tf.compat.v1.assign_add(tf.compat.v1.train.get_global_step(), 1)


def _num_codes(feature: schema_lib.Feature) -> int:
    """Returns how many codes a feature of text or ids has; the last one is for values that are not known."""
    return columns.num_values(feature) + 1


def _to_matrix(features: Any, schema: schema_lib.Schema) -> Any:
    """Returns all features side by side, `[batch, inputs]` float32: numbers, and codes of text and ids."""
    parts = []
    for feature in schema.features:
        values, last = features[feature.name], _num_codes(feature) - 1
        if feature.vocabulary is not None:
            known = tf.lookup.KeyValueTensorInitializer(
                list(feature.vocabulary), np.arange(last), tf.string, tf.int64
            )
            values = tf.lookup.StaticHashTable(known, last).lookup(values)
        elif feature.dtype == "string":
            values = tf.strings.to_hash_bucket_fast(values, last)
        elif feature.categorical:
            values = tf.where((values >= 0) & (values < last), values, last)
        parts.append(tf.reshape(tf.cast(values, tf.float32), [-1, _width(feature)]))
    return tf.concat(parts, axis=1)


def _width(feature: schema_lib.Feature) -> int:
    return int(np.prod(feature.shape, dtype=int))


class _Collector(tf.compat.v1.train.SessionRunHook):
    """Keeps the rows of one pass as they go by."""

    def __init__(self, tensors: tuple[Any, Any, Any], num_rows: int) -> None:
        self._tensors, self._num_rows = tensors, num_rows
        self._batches: list[tuple[np.ndarray, ...]] = []
        self.count = 0

    def begin(self) -> None:
        """Called with the complete graph as the default one."""
        self._restart = tf.compat.v1.assign(tf.compat.v1.train.get_global_step(), 0)

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Called when variables have their values: rows that an interrupted start had read are read again."""
        del coord
        session.run(self._restart)

    def before_run(self, run_context: Any) -> Any:
        """Called before a training step."""
        if self.count >= self._num_rows:
            return None
        return tf.compat.v1.train.SessionRunArgs(self._tensors)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Called after a training step."""
        if run_values.results is None:
            return
        left = self._num_rows - self.count
        self._batches.append(tuple(part[:left] for part in run_values.results))
        self.count += len(self._batches[-1][0])

    def rows(self) -> tuple[np.ndarray, ...]:
        """Returns inputs `[rows, inputs]`, labels `[rows]` and weights `[rows]` so far."""
        self._batches = [tuple(np.concatenate(parts) for parts in zip(*self._batches, strict=True))]
        return self._batches[0]


class _Grower(tf.compat.v1.train.CheckpointSaverListener):
    """Grows trees from the collected rows before a checkpoint is written."""

    def __init__(self, problem: Problem, collector: _Collector, trees: forest.Forest) -> None:
        self._problem, self._collector, self._grown = problem, collector, 0
        self._feeds = {
            name: tf.compat.v1.placeholder(part.dtype, part.shape)
            for name, part in vars(trees).items()
        }
        self._assign = [vars(trees)[name].assign(feed) for name, feed in self._feeds.items()]

    def before_save(self, session: Any, global_step_value: Any) -> None:
        """Called with the session whose variables are about to be written."""
        if self._collector.count == self._grown:
            return
        self._grown = self._collector.count
        grown = _grow(self._problem, *self._collector.rows())
        if grown is not None:
            feeds = {feed: vars(grown)[name] for name, feed in self._feeds.items()}
            session.run(self._assign, feeds)


def _grow(
    problem: Problem, inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> forest.Forest | None:
    """Returns the trees, and keeps ydf's own model in the model directory; None while a class has no row."""
    import ydf  # here, since it is an extra

    schema, settings = problem.schema, problem.settings
    keys: list[str] = []  # numbers, since a graph's names and a label's may be anything
    codes: dict[str, int] = {}
    for feature in schema.features:
        own = [str(len(keys) + place) for place in range(_width(feature))]
        keys += own
        if not columns.is_number(feature):
            codes.update(dict.fromkeys(own, _num_codes(feature)))
    data: dict[str, Any] = {
        key: column.astype(np.int64).astype(str) if key in codes else column
        for key, column in zip(keys, inputs.T, strict=True)
    }
    is_amount = schema.task == "regression"
    data["label"] = labels if is_amount else _class_ids(schema, labels).astype(str)
    data["weight"] = weights
    num_classes = 0 if is_amount else schema.num_classes
    if not is_amount and len(set(data["label"])) < num_classes:
        _logger.warning("No trees were grown: of %d rows none is of some class.", len(labels))
        return None
    ydf.verbose(0)
    depth = _MAX_DEPTH if settings.max_depth is None else settings.max_depth
    model = ydf.GradientBoostedTreesLearner(
        label="label",
        weights="weight",
        task=ydf.Task.REGRESSION if is_amount else ydf.Task.CLASSIFICATION,
        features=[
            (
                ydf.Feature(
                    key, ydf.Semantic.CATEGORICAL, min_vocab_frequency=1, max_vocab_count=-1
                )
                if key in codes
                else ydf.Feature(key, ydf.Semantic.NUMERICAL)
            )
            for key in keys
        ],
        num_trees=_N_TREES if settings.n_trees is None else settings.n_trees,
        max_depth=depth + 1,  # ydf counts the leaf
        shrinkage=_LEARNING_RATE if settings.learning_rate is None else settings.learning_rate,
        l1_regularization=settings.l1,
        l2_regularization=settings.l2 or 0.0,
        # All rows are learnt from; the evaluation has others.
        validation_ratio=0.0,
        early_stopping="NONE",
        random_seed=problem.config.tf_random_seed or 0,
    ).train(data)
    directory = os.path.join(problem.config.model_dir, YDF_DIR)
    shutil.rmtree(directory, ignore_errors=True)
    model.save(directory)
    classes = [] if is_amount else [int(name) for name in model.label_classes()]
    return forest.from_ydf(model, classes, keys, codes)


def _class_ids(schema: schema_lib.Schema, labels: np.ndarray) -> np.ndarray:
    assert schema.label is not None  # the registry refuses several
    if schema.label.vocabulary is None:
        return labels
    ids = {name.encode(): place for place, name in enumerate(schema.label.vocabulary)}
    return np.array([ids[name] for name in labels])
