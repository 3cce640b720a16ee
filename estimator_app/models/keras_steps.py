"""A Keras model with a `train_step` of its own -> an Estimator that runs this very step.

`model_to_estimator` never calls `train_step`: it builds the loss of `compile` anew, in the way of Keras before 2.2, and
so would train something else without a word. Here Keras traces the model's own `train_step`, `test_step` and call as it
does for `fit`, GradientTape and all, and the traced graphs become a part of the Estimator's. Variables are the only
thing that they share with the outside: each becomes a variable of the Estimator's graph with the value that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import re
from typing import Any

import numpy as np
import tensorflow as tf

from estimator_app.compat import estimator, keras
from estimator_app.models.problem import Problem
from input_fns import errors

_LOSS = "loss"


def overrides_step(model: Any) -> bool:
    """Returns whether the model's class has a `train_step` or a `test_step` of its own."""
    return any(
        getattr(type(model), name) is not getattr(keras.Model, name)
        for name in ("train_step", "test_step")
    )


def from_train_step(model: Any, problem: Problem) -> Any:
    """Returns the Estimator whose training step is `model.train_step`.

    `train_step` and `test_step` are given (features, labels), or with a weight column (features, labels, weights), and
    return a dict with a scalar "loss". What `model.metrics` lists are the evaluation's metrics. An evaluation calls
    `test_step` twice a batch: once for the loss of the batch, once for the metrics of all of them.

    Args:
      model: compiled; takes a dict of the schema's features.
      problem: gives the RunConfig and what the features are.
    """
    traced = _Traced(model, problem)

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        graph = _Variables(traced.variables)
        features = dict(features)
        weight = features.pop(problem.schema.weight.name, None) if problem.schema.weight else None
        inputs = tf.nest.flatten(features)
        if mode == estimator.ModeKeys.PREDICT:
            predictions, _ = traced.call.insert(graph, inputs)
            outputs = estimator.export.PredictOutput(predictions)
            return estimator.EstimatorSpec(
                mode,
                predictions=predictions,
                export_outputs={"serving_default": outputs, "predict": outputs},
                scaffold=graph.scaffold(),
            )
        batch = inputs + [labels] + ([weight] if weight is not None else [])
        if mode == estimator.ModeKeys.TRAIN:
            graph.make_all()
            loss, reset = _loss_of_batch(traced.train, graph, batch)
            step = tf.compat.v1.train.get_global_step()
            return estimator.EstimatorSpec(
                mode,
                loss=loss,
                train_op=tf.group(reset, step.assign_add(1)),
                scaffold=graph.scaffold(),
            )
        loss, reset = _loss_of_batch(traced.test, graph, batch)
        with tf.control_dependencies([reset]):
            loss = tf.identity(loss)
        over_all = graph.with_other_metrics()
        seen, done = traced.test.insert(over_all, batch)
        update = tf.group(*seen.values(), done)
        values, _ = traced.results.insert(over_all, [])
        metrics = {name: (value, update) for name, value in values.items() if name != _LOSS}
        return estimator.EstimatorSpec(
            mode, loss=loss, eval_metric_ops=metrics, scaffold=graph.scaffold()
        )

    return estimator.Estimator(model_fn, config=problem.config)


def _loss_of_batch(step: "_Step", graph: "_Variables", batch: Sequence[Any]) -> tuple[Any, Any]:
    """Returns the loss that a step gives for a batch, and an operation that runs the step.

    Metrics begin anew with every batch: a loss that is a metric, as Keras' own steps return it, is a mean over all that
    the metric has seen.
    """
    results, done = step.insert(graph, batch)
    with tf.control_dependencies([*results.values(), done]):
        return results[_LOSS], graph.reset_metrics()


class _Step:
    """One traced function: flat tensors -> dict of tensors."""

    def __init__(self, function: Callable[..., Any], specs: Sequence[Any]) -> None:
        self._concrete = tf.function(function).get_concrete_function(*specs)
        graph = self._concrete.graph
        by_handle = {id(variable.handle): variable for variable in graph.variables}
        # In the order of their use: the graph's own list has another one each time.
        self.variables = [
            by_handle[id(handle)] for handle, _ in graph.captures if id(handle) in by_handle
        ]
        self.outputs = self._concrete.structured_outputs

    def insert(self, variables: "_Variables", inputs: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        """Puts the function's graph into the current one.

        Returns:
          the outputs by name, and an operation that has every side effect behind it.
        """
        graph = self._concrete.graph
        input_map = {}
        for outside, inside in graph.captures:
            if variables.knows(outside):
                input_map[inside.name] = variables.find(outside).handle
            elif outside.dtype in (tf.resource, tf.variant):
                raise errors.SettingsError(
                    "Expected a Keras model with a train_step of its own to hold variables only, found a table or "
                    "another resource. Keep vocabularies out of the model, such as by hashing."
                )
            else:
                input_map[inside.name] = tf.constant(outside.numpy())
        free = [tensor for tensor in graph.inputs if tensor.name not in input_map]
        input_map.update({tensor.name: value for tensor, value in zip(free, inputs)})
        names = [tensor.name for tensor in graph.outputs]
        effects = [operation.name for operation in graph.control_outputs]
        found = tf.graph_util.import_graph_def(
            graph.as_graph_def(),
            input_map=input_map,
            return_elements=names + effects,
            name="traced",
        )
        outputs = tf.nest.pack_sequence_as(self.outputs, found[: len(names)])
        return outputs, tf.group(*found[len(names) :])


@dataclasses.dataclass(frozen=True)
class _First:
    """A variable of the model as it is before training."""

    name: str
    value: np.ndarray
    trainable: bool
    of_metric: bool


class _Traced:
    """The model's functions, and its variables by the ids of their handles: by these a traced graph has them."""

    def __init__(self, model: Any, problem: Problem) -> None:
        schema = problem.schema
        features = {
            feature.name: tf.TensorSpec([None, *feature.shape], feature.dtype)
            for feature in schema.features
        }
        label = tf.TensorSpec([None], "int64" if schema.task == "classification" else "float32")
        weights = [tf.TensorSpec([None], "float32")] if schema.weight else []
        flat = [*tf.nest.flatten(features), label, *weights]

        # A functional model warns about what it is given beyond its inputs.
        known = set(features) if model.inputs is None else set(model.input_names)

        def of(tensors: Sequence[Any]) -> Any:
            packed = tf.nest.pack_sequence_as(features, tensors[: len(features)])
            return {name: tensor for name, tensor in packed.items() if name in known}

        def data(tensors: Sequence[Any]) -> Any:
            return (of(tensors), *tensors[len(features) :])

        self.train = _Step(lambda *tensors: model.train_step(data(tensors)), flat)
        self.test = _Step(lambda *tensors: model.test_step(data(tensors)), flat)
        for step, name in ((self.train, "train_step"), (self.test, "test_step")):
            outputs = step.outputs
            if not isinstance(outputs, dict) or _LOSS not in outputs:
                found = sorted(outputs) if isinstance(outputs, dict) else type(outputs).__name__
                raise errors.SettingsError(
                    f"Expected {name} of --model={problem.settings.model} to return a dict with '{_LOSS}', found "
                    f"{found}. Return it."
                )
        output = "probabilities" if schema.task == "classification" else "predictions"

        def call(*tensors: Any) -> Any:
            answer = model(of(tensors), training=False)
            return answer if isinstance(answer, dict) else {output: answer}

        self.call = _Step(call, tf.nest.flatten(features))
        self.results = _Step(lambda: {metric.name: metric.result() for metric in model.metrics}, [])
        metrics = [variable for metric in model.metrics for variable in metric.variables]
        of_metrics = {id(variable.handle) for variable in metrics}
        optimizer = model.optimizer.variables
        ordered = [*model.weights, *(optimizer() if callable(optimizer) else optimizer), *metrics]
        for step in (self.train, self.test, self.call, self.results):
            ordered += step.variables
        self._alive = ordered  # as long as they are, their ids are theirs
        self.variables: dict[int, _First] = {}
        for variable in ordered:
            key = id(variable.handle)
            if key not in self.variables:
                # By number: Keras counts layers in names over the life of a process ("dense_1", "dense_2").
                leaf = re.sub(r"[^A-Za-z0-9_.-]", "_", variable.name.split(":")[0].split("/")[-1])
                self.variables[key] = _First(
                    f"keras/{len(self.variables)}/{leaf}",
                    variable.numpy(),
                    variable.trainable,
                    key in of_metrics,
                )


class _Variables:
    """The variables of one graph of the Estimator: those of metrics are local, the others go into checkpoints."""

    def __init__(self, known: dict[int, _First]) -> None:
        self._known = known
        self._made: dict[int, Any] = {}
        self._feeds: dict[Any, Any] = {}

    def knows(self, handle: Any) -> bool:
        """Returns whether `handle` is that of a variable of the model."""
        return id(handle) in self._known

    def find(self, handle: Any) -> Any:
        """Returns the graph's variable for the model's one with that handle."""
        return self._find(id(handle))

    def make_all(self) -> None:
        """Makes what goes into checkpoints, needed in this graph or not."""
        for key, first in self._known.items():
            if not first.of_metric:
                self._find(key)

    def reset_metrics(self) -> Any:
        """Returns an operation that sets the metrics' variables back."""
        known = self._known
        return tf.group(
            *[
                made.assign(tf.constant(known[key].value))
                for key, made in self._made.items()
                if known[key].of_metric
            ]
        )

    def with_other_metrics(self) -> "_Variables":
        """Returns the same variables but for those of metrics, which are separate."""
        other = _Variables(self._known)
        other._feeds = self._feeds
        other._made = {
            key: made for key, made in self._made.items() if not self._known[key].of_metric
        }
        return other

    def scaffold(self) -> Any:
        """Returns what gives the variables their first values, which are fed: a graph's definition stays small."""
        return tf.compat.v1.train.Scaffold(init_feed_dict=self._feeds)

    def _find(self, key: int) -> Any:
        if key not in self._made:
            self._made[key] = self._make(self._known[key])
        return self._made[key]

    def _make(self, first: _First) -> Any:
        if first.of_metric:
            return tf.compat.v1.Variable(
                tf.constant(first.value),
                trainable=False,
                name=first.name,
                use_resource=True,
                collections=[tf.compat.v1.GraphKeys.LOCAL_VARIABLES],
            )
        fed = tf.compat.v1.placeholder(first.value.dtype, first.value.shape, f"first/{first.name}")
        self._feeds[fed] = first.value
        return tf.compat.v1.Variable(
            fed, trainable=first.trainable, name=first.name, use_resource=True
        )
