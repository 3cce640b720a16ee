"""A recurrent network on lists of which the order counts, the wheel's `RNNEstimator`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from estimator_app.compat import estimator
from estimator_app.models import columns, heads, optimizers, treatment
from estimator_app.models.problem import Problem
from input_fns import errors
from input_fns import schema as schema_lib

# The wheel's default is simple_rnn, which cannot keep what it read a dozen steps ago.
CELL_TYPE = "lstm"
_OPTIMIZER = "adam"
_LEARNING_RATE = 0.001
# What the wheel clips gradients to where it makes the optimizer itself (rnn.py): they grow with every step back.
CLIP_NORM = 5.0


def rnn(problem: Problem) -> Any:
    """LSTM, GRU or simple cells over lists, a value a step; all other features are given to every step.

    Lists of one length, which are features of a shape `(length,)`, are read so too if `sequence_columns` names them.

    Raises:
      SchemaError: there is no list, or one of numbers that is not read step by step.
      SettingsError: `sequence_columns` names something else, or lists of different lengths.
    """
    lists = choose_lists(problem)
    context = tuple(feature for feature in problem.schema.features if feature not in lists)
    units = problem.settings.hidden_units
    optimizer = optimizers.make(problem.settings, _OPTIMIZER, _LEARNING_RATE)
    optimizer.clipnorm = CLIP_NORM
    inner = estimator.experimental.RNNEstimator(
        head=heads.make(problem),
        sequence_feature_columns=treatment.sequence_columns(problem, lists),
        context_feature_columns=treatment.context_columns(problem, context),
        # Of one layer the wheel makes the fused one, which a GPU has a kernel for.
        units=units[0] if len(units) == 1 else list(units),
        cell_type=problem.settings.cell_type or CELL_TYPE,
        optimizer=optimizer,
        config=problem.config,
    )

    def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
        steps = {feature.name: to_steps(features[feature.name]) for feature in lists}
        return inner.model_fn({**features, **steps}, labels, mode, config)

    return estimator.Estimator(model_fn, config=inner.config)


def choose_lists(problem: Problem) -> tuple[schema_lib.Feature, ...]:
    """Returns the features that are read step by step.

    Raises:
      SchemaError: there is no list, or one of numbers that is not read step by step.
      SettingsError: `sequence_columns` names something else, or lists of different lengths.
    """
    known = {
        feature.name: feature
        for feature in problem.schema.features
        if feature.is_list or len(feature.shape) == 1
    }
    names = problem.settings.sequence_columns or tuple(
        name for name, feature in known.items() if feature.is_list
    )
    if not names:
        fixed = (
            f" but {', '.join(known)}, of one length; name them with --sequence_columns"
            if known
            else ""
        )
        raise errors.SchemaError(
            f"Expected columns of lists for --model={problem.settings.model}, found none{fixed}. Use another model for "
            "data without lists, such as dnn_linear."
        )
    chosen = []
    for name in names:
        if name not in known:
            raise errors.SettingsError(
                f"Expected --sequence_columns to name columns of lists ({', '.join(known) or 'there is none'}), found "
                f"{name!r}. Correct the name."
            )
        chosen.append(known[name])
    lengths = {f.name: f.value_count or (f.shape[0], f.shape[0]) for f in chosen}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {_describe(count)}" for name, count in lengths.items())
        raise errors.SettingsError(
            f"Expected lists of the same length in each row for --model={problem.settings.model}, which reads them "
            f"side by side; found {found}. Name those that belong together with --sequence_columns; of the others the "
            "order is not read."
        )
    for name, feature in known.items():
        if name not in names and feature.is_list and columns.is_number(feature):
            raise errors.SchemaError(
                f"Expected lists of numbers among --sequence_columns, found {name!r} beside {', '.join(names)}. Name "
                "it too, or leave the column out."
            )
    return tuple(chosen)


def _describe(count: tuple[int, int | None]) -> str:
    least, most = count
    return f"({least} to {most} values)" if most is not None else f"({least} or more values)"


def to_steps(lists: Any) -> Any:
    """Returns `[batch_size, length]` numbers, or lists, as lists of which the longest has a step at least.

    A network cannot be run for no step, as a batch of nothing but empty lists asks for.
    """
    if not isinstance(lists, tf.SparseTensor):
        return tf.RaggedTensor.from_tensor(lists).to_sparse()
    rows, longest = tf.unstack(lists.dense_shape)
    return tf.SparseTensor(lists.indices, lists.values, [rows, tf.maximum(longest, 1)])
