"""A job that begins with the weights of another one, whatever values its vocabularies gained, lost or reordered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import math
import os
import re
from typing import Any, Optional

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from estimator_app import feature_file, job_dir
from estimator_app.compat import estimator
from estimator_app.models import feature_config, feature_parser, registry, weight_rows
from estimator_app.models.problem import Problem
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

DIRECTORY = "warm_start"  # below the model directory: the rows of weights before and now

# Where the label's classes stand in the last dimension: of premade models, and of Keras models for images.
_OF_LABEL = re.compile(r"linear/linear_model/|(.*/)?(logits|probabilities)/")
# Models without rows that are known, but with a label that is; kmeans has no use for one.
_LABEL_KNOWN = (
    "kmeans",
    "rnn",
    *(name for name, model in registry.MODELS.items() if model.takes_images),
)
# Not trained, but learnt all the same: the moments of batch normalisation.
_MOVING = re.compile(r".*/moving_(mean|variance)")


class WarmStartError(ValueError):
    """There is nothing that the job could begin with."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the weights come from.

    Attributes:
      checkpoint: path of the checkpoint, without an ending.
      shapes: variable name -> shape.
      schema: what that job learnt from; None where there is no job but the checkpoint alone.
      statistics: of its training data.
      features: what its file of `--features` said.
    """

    checkpoint: str
    shapes: Mapping[str, tuple[int, ...]]
    schema: Optional[schema_lib.Schema] = None
    statistics: Optional[statistics_lib.DatasetStatistics] = None
    features: feature_config.FeatureConfig = feature_config.FeatureConfig()


def find(path: str) -> Origin:
    """Returns the newest checkpoint of a model directory, or the checkpoint of that path, with the job's schema.

    Raises:
      WarmStartError: there is no checkpoint, it is damaged, or a vocabulary file of that job holds something else now.
    """
    checkpoint = tf.train.latest_checkpoint(path) if os.path.isdir(path) else path
    if not checkpoint or not os.path.exists(f"{checkpoint}.index"):
        raise WarmStartError(
            f"Expected --warm_start_from={path} to be the model directory of a job, or a checkpoint such as "
            f"runs/census/model.ckpt-1000, found none there. Correct the path."
        )
    directory = os.path.dirname(checkpoint)
    known = [os.path.join(directory, name) for name in (job_dir.SCHEMA, job_dir.STATISTICS)]
    try:
        shapes = _shapes(checkpoint)
    except tf.errors.OpError as error:
        raise WarmStartError(
            f"Expected --warm_start_from={path} to hold a whole checkpoint, found {checkpoint}.index damaged: "
            f"{error.message}. Name another checkpoint."
        ) from error
    if not all(map(os.path.exists, known)):
        return Origin(checkpoint, shapes)
    changed = job_dir.changed_vocabularies(directory)
    if changed:
        raise WarmStartError(
            f"Expected {', '.join(changed)} to hold what {directory} was made with, whose rows of weights go by it; "
            f"found another content. Restore the file, and give the new values a file of another name."
        )
    path = os.path.join(directory, job_dir.FEATURES)
    features = feature_parser.read(path if os.path.exists(path) else "")
    return Origin(
        checkpoint, shapes, schema_lib.read(known[0]), statistics_lib.read(known[1]), features
    )


class WarmStartHook(tf.compat.v1.train.SessionRunHook):
    """Sets the initial values of a graph's variables before its session is made: `tf.compat.v1.train.warm_start`.

    A hook and not `warm_start_from` of an Estimator, because only with the graph at hand is it known which variables
    there are and of which shape; and because a Keras model's Estimator begins with that model's weights by then.
    """

    def __init__(
        self, origin: Origin, problem: Problem, pattern: str, say: Callable[[str], None]
    ) -> None:
        """Makes the hook.

        Args:
          origin: where the weights come from.
          problem: what is learnt now.
          pattern: regular expression; variables whose names begin with it are taken.
          say: called with lines on what was taken and what was not.
        """
        self._origin, self._problem, self._pattern, self._say = origin, problem, pattern, say

    def begin(self) -> None:
        """Called with the complete graph as the default one.

        Raises:
          WarmStartError: no variable can be taken, or the features are others and the model is none whose rows are
            known.
        """
        before, now = self._rows()
        taken: list[Any] = []
        left: list[str] = []
        vocabularies: dict[str, Any] = {}
        for variable in _variables():
            name = variable.op.name
            if not re.match(self._pattern, name):
                continue
            shape, old = tuple(variable.shape.as_list()), self._origin.shapes.get(name)
            same_rows = before.get(name) == now.get(name)
            if old is None or not self._fits(name):
                left.append(name)
            elif same_rows and shape == old:
                taken.append(variable)
            elif not same_rows and _is_remappable(shape, old, before.get(name), now.get(name)):
                taken.append(variable)
                vocabularies[name] = self._vocabulary(name, shape, before[name], now[name])
            else:
                left.append(name)
        if not taken:
            raise WarmStartError(
                f"Expected variables of --model={self._problem.settings.model} in {self._origin.checkpoint}, found "
                f"none of the same name and shape that --warm_start_vars={self._pattern} allows. Give the job of a "
                f"model alike, or leave --warm_start_from out."
            )
        tf.compat.v1.train.warm_start(self._origin.checkpoint, taken, vocabularies)
        self._say(
            f"{len(taken)} variables begin as in {self._origin.checkpoint}"
            + (f", {len(vocabularies)} of them with their rows moved" if vocabularies else "")
        )
        if left:
            self._say(f"begun anew: {', '.join(left[:8])}{', ...' if len(left) > 8 else ''}")

    def _rows(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Returns the rows' names by variable, before and now; none where the old job's schema is not known."""
        schema, statistics = self._origin.schema, self._origin.statistics
        if schema is None or statistics is None:
            return {}, {}
        old = dataclasses.replace(
            self._problem, schema=schema, statistics=statistics, features=self._origin.features
        )
        before, now = weight_rows.names(old), weight_rows.names(self._problem)
        model = self._problem.settings.model
        same = (
            _values(schema) == _values(self._problem.schema)
            and _content(self._origin.features) == _content(self._problem.features)
            and (self._has_same_labels() or model in _LABEL_KNOWN)
        )
        if not now and not same:
            raise WarmStartError(
                f"Expected the features, with their vocabularies and --features, and the label of "
                f"{os.path.dirname(self._origin.checkpoint)} for --model={model}, found others; rows of weights are "
                f"moved for {', '.join(weight_rows.MODELS)} alone. Give that job's schema.pbtxt by --schema, or leave "
                f"--warm_start_from out."
            )
        return before, now

    def _fits(self, name: str) -> bool:
        """Returns False for a variable whose columns are classes of other labels."""
        return not _OF_LABEL.match(name) or self._has_same_labels()

    def _has_same_labels(self) -> bool:
        schema = self._origin.schema
        return schema is None or (
            [(label.name, label.vocabulary) for label in schema.labels]
            == [(label.name, label.vocabulary) for label in self._problem.schema.labels]
        )

    def _vocabulary(
        self, name: str, shape: tuple[int, ...], before: list[str], now: list[str]
    ) -> Any:
        """Writes the rows before and now to files, and returns how to find the ones among the others."""
        directory = os.path.join(self._problem.config.model_dir, DIRECTORY)
        os.makedirs(directory, exist_ok=True)
        paths = []
        for role, rows in (("old", before), ("new", now)):
            paths.append(os.path.join(directory, f"{name.replace('/', '.')}.{role}.txt"))
            with job_dir.replacing(paths[-1]) as file:
                file.writelines(f"{row}\n" for row in rows)
        return estimator.VocabInfo(
            new_vocab=paths[1],
            new_vocab_size=len(now),
            num_oov_buckets=0,  # the places of other values are rows with a name
            old_vocab=paths[0],
            old_vocab_size=len(before),
            backup_initializer=_initializer(name, shape),
        )


def _values(schema: schema_lib.Schema) -> list[Any]:
    """Returns what decides on the layout of a model's input: each feature with its values."""
    return [
        (feature.name, feature.shape, feature.vocabulary, feature.categorical and feature.high)
        for feature in schema.features
    ]


def _content(features: feature_config.FeatureConfig) -> feature_file.Mapping | dict[str, Any]:
    return feature_file.read(features.path) if features.path else {}


def _initializer(name: str, shape: tuple[int, ...]) -> Any:
    """Returns what the wheel begins such a variable with: zeros, an embedding's normal, or the uniform of
    Glorot and Bengio 2010."""
    if name.startswith("linear/"):
        return tf.compat.v1.zeros_initializer()
    if name.endswith(("/embedding_weights", "_shared_embedding")):
        return tf.compat.v1.truncated_normal_initializer(stddev=1 / math.sqrt(shape[1]))
    limit = math.sqrt(6 / sum(shape))
    return tf.compat.v1.random_uniform_initializer(-limit, limit)


def _is_remappable(
    shape: tuple[int, ...],
    old: tuple[int, ...],
    before: Optional[list[str]],
    now: Optional[list[str]],
) -> bool:
    if before is None or now is None or len(shape) != 2 or len(old) != 2:
        return False
    return (len(before), len(now)) == (old[0], shape[0]) and shape[1] == old[1]


def _variables() -> list[Any]:
    trainable = tf.compat.v1.trainable_variables()
    known = {variable.op.name for variable in trainable}
    return trainable + [
        variable
        for variable in tf.compat.v1.global_variables()
        if _MOVING.fullmatch(variable.op.name) and variable.op.name not in known
    ]


def _shapes(checkpoint: str) -> dict[str, tuple[int, ...]]:
    """Returns variable name -> shape, also of a Keras model's checkpoint, which has keys of its own for them."""
    reader = tf.train.load_checkpoint(checkpoint)
    shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
    if "_CHECKPOINTABLE_OBJECT_GRAPH" not in shapes:
        return shapes
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    )
    return {
        attribute.full_name: shapes[attribute.checkpoint_key]
        for node in graph.nodes
        for attribute in node.attributes
        if attribute.checkpoint_key in shapes
    }
