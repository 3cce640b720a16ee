"""`tensorflow.python.tpu.tpu_embedding`, removed with 2.16: what describes an embedding, without what runs it on a TPU.

With `use_tpu=False` a TPUEstimator reads an `EmbeddingConfigSpec` only to check it: the embedding columns make ordinary
variables, and the optimizer of the model function trains them. So these classes check and hold their arguments, in the
order and with the limits of TensorFlow 2.15; the optimizer settings in them take effect on a TPU alone. The members
that need one (`TPUEmbedding` and its operations) raise an AttributeError that says so.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
import math
from typing import Any, NoReturn, Optional

import tensorflow as tf

# What `tf.compat.v1.tpu.experimental` had; the wheel and users' code read them there.
EXPORTED = (
    "AdagradParameters",
    "AdamParameters",
    "FtrlParameters",
    "StochasticGradientDescentParameters",
)


class _OptimizationParameters:
    """What every optimizer of an embedding table has.

    Raises:
      ValueError: gradients are clipped and not accumulated, or a setting is out of range.
    """

    def __init__(
        self,
        learning_rate: float,
        use_gradient_accumulation: bool = True,
        clip_weight_min: Optional[float] = None,
        clip_weight_max: Optional[float] = None,
        weight_decay_factor: Optional[float] = None,
        multiply_weight_decay_factor_by_learning_rate: Optional[bool] = None,
        clip_gradient_min: Optional[float] = None,
        clip_gradient_max: Optional[float] = None,
    ) -> None:
        clips = clip_gradient_min is not None or clip_gradient_max is not None
        if clips and not use_gradient_accumulation:
            raise ValueError(
                "Expected use_gradient_accumulation=True with clip_gradient_min or clip_gradient_max, found False. "
                "Leave the limits out, or accumulate gradients."
            )
        self.learning_rate = learning_rate
        self.use_gradient_accumulation = use_gradient_accumulation
        self.clip_weight_min = clip_weight_min
        self.clip_weight_max = clip_weight_max
        self.weight_decay_factor = weight_decay_factor
        self.multiply_weight_decay_factor_by_learning_rate = (
            multiply_weight_decay_factor_by_learning_rate
        )
        self.clip_gradient_min = clip_gradient_min
        self.clip_gradient_max = clip_gradient_max


class StochasticGradientDescentParameters(_OptimizationParameters):
    """Plain gradient descent."""


class AdagradParameters(_OptimizationParameters):
    """Adagrad."""

    def __init__(
        self,
        learning_rate: float,
        initial_accumulator: float = 0.1,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, *args, **kwargs)
        _check("initial_accumulator", initial_accumulator, initial_accumulator > 0, "above 0")
        self.initial_accumulator = initial_accumulator


class ProximalAdagradParameters(_OptimizationParameters):
    """Proximal Adagrad."""

    def __init__(
        self,
        learning_rate: float,
        initial_accumulator: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, *args, **kwargs)
        _check("initial_accumulator", initial_accumulator, initial_accumulator > 0, "above 0")
        self.initial_accumulator = initial_accumulator
        _set_regularization(self, l1_regularization_strength, l2_regularization_strength)


class AdamParameters(_OptimizationParameters):
    """Adam, lazy (only rows that a batch touches move) unless told otherwise."""

    def __init__(
        self,
        learning_rate: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-08,
        lazy_adam: bool = True,
        sum_inside_sqrt: bool = True,
        use_gradient_accumulation: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, use_gradient_accumulation, *args, **kwargs)
        _check("beta1", beta1, 0 <= beta1 < 1, "in [0, 1)")
        _check("beta2", beta2, 0 <= beta2 < 1, "in [0, 1)")
        _check("epsilon", epsilon, epsilon > 0, "above 0")
        accumulates = use_gradient_accumulation or lazy_adam
        _check("lazy_adam", lazy_adam, accumulates, "True without use_gradient_accumulation")
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lazy_adam = lazy_adam
        self.sum_inside_sqrt = sum_inside_sqrt


class FtrlParameters(_OptimizationParameters):
    """FTRL; its own arguments stand before and after those that all have, as in 2.15."""

    def __init__(
        self,
        learning_rate: float,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_gradient_accumulation: bool = True,
        clip_weight_min: Optional[float] = None,
        clip_weight_max: Optional[float] = None,
        weight_decay_factor: Optional[float] = None,
        multiply_weight_decay_factor_by_learning_rate: Optional[bool] = None,
        multiply_linear_by_learning_rate: bool = False,
        beta: float = 0,
        allow_zero_accumulator: bool = False,
        clip_gradient_min: Optional[float] = None,
        clip_gradient_max: Optional[float] = None,
    ) -> None:
        super().__init__(
            learning_rate,
            use_gradient_accumulation,
            clip_weight_min,
            clip_weight_max,
            weight_decay_factor,
            multiply_weight_decay_factor_by_learning_rate,
            clip_gradient_min,
            clip_gradient_max,
        )
        _check("learning_rate_power", learning_rate_power, learning_rate_power <= 0, "at most 0")
        _check(
            "initial_accumulator_value",
            initial_accumulator_value,
            initial_accumulator_value >= 0,
            "at least 0",
        )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.initial_linear_value = 0.0
        _set_regularization(self, l1_regularization_strength, l2_regularization_strength)
        self.multiply_linear_by_learning_rate = multiply_linear_by_learning_rate
        self.beta = beta
        self.allow_zero_accumulator = allow_zero_accumulator


class MomentumParameters(_OptimizationParameters):
    """Gradient descent with momentum."""

    def __init__(
        self,
        learning_rate: float,
        momentum: float,
        use_nesterov: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, *args, **kwargs)
        self.momentum = momentum
        self.use_nesterov = use_nesterov


class RMSPropParameters(_OptimizationParameters):
    """RMSProp."""

    def __init__(
        self,
        learning_rate: float,
        rho: float,
        momentum: float,
        epsilon: float,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, *args, **kwargs)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon


class TableConfig(
    collections.namedtuple(
        "TableConfig",
        "vocabulary_size dimension initializer combiner hot_id_replication learning_rate learning_rate_fn "
        "optimization_parameters",
    )
):
    """An embedding table: `vocabulary_size` rows of `dimension` numbers.

    Without an initializer rows start as truncated normal numbers of deviation 1/sqrt(dimension). `combiner` joins the
    rows of one example: "mean", "sum", "sqrtn", or None for dense features.

    Raises:
      ValueError: a value that no table can have.
    """

    __slots__ = ()

    def __new__(
        cls,
        vocabulary_size: int,
        dimension: int,
        initializer: Optional[Callable[..., Any]] = None,
        combiner: Optional[str] = "mean",
        hot_id_replication: bool = False,
        learning_rate: Optional[float] = None,
        learning_rate_fn: Optional[Callable[..., Any]] = None,
        optimization_parameters: Optional[_OptimizationParameters] = None,
    ) -> TableConfig:
        for name, size in (("vocabulary_size", vocabulary_size), ("dimension", dimension)):
            _check(name, size, isinstance(size, int) and size >= 1, "a whole number above 0")
        if initializer is None:
            initializer = tf.compat.v1.truncated_normal_initializer(
                mean=0.0, stddev=1 / math.sqrt(dimension)
            )
        _check("initializer", initializer, callable(initializer), "callable")
        joins = combiner in ("mean", "sum", "sqrtn", None)
        _check("combiner", combiner, joins, "'mean', 'sum', 'sqrtn' or None")
        one_rate = learning_rate is None or learning_rate_fn is None
        _check("learning_rate_fn", learning_rate_fn, one_rate, "None beside learning_rate")
        known = isinstance(optimization_parameters, (_OptimizationParameters, type(None)))
        _check(
            "optimization_parameters",
            optimization_parameters,
            known,
            "one of this module's or None",
        )
        return super().__new__(
            cls,
            vocabulary_size,
            dimension,
            initializer,
            combiner,
            hot_id_replication,
            learning_rate,
            learning_rate_fn,
            optimization_parameters,
        )


class FeatureConfig(
    collections.namedtuple("FeatureConfig", "table_id max_sequence_length weight_key")
):
    """A feature that is looked up in the table `table_id`.

    `max_sequence_length` above 0 makes it a sequence, cut at that length; `weight_key` names the feature with weights.

    Raises:
      ValueError: the length is no whole number or below 0.
    """

    __slots__ = ()

    def __new__(
        cls, table_id: str, max_sequence_length: int = 0, weight_key: Optional[str] = None
    ) -> FeatureConfig:
        counts = isinstance(max_sequence_length, int) and max_sequence_length >= 0
        _check("max_sequence_length", max_sequence_length, counts, "a whole number, at least 0")
        return super().__new__(cls, table_id, max_sequence_length, weight_key)


def _set_regularization(parameters: Any, l1: float, l2: float) -> None:
    _check("l1_regularization_strength", l1, l1 >= 0, "at least 0")
    _check("l2_regularization_strength", l2, l2 >= 0, "at least 0")
    parameters.l1_regularization_strength = l1
    parameters.l2_regularization_strength = l2


def _check(name: str, value: object, is_right: bool, expected: str) -> None:
    if not is_right:
        raise ValueError(f"Expected {name} to be {expected}, found {value!r}. Correct it.")


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(
        f"Expected a name that works without a TPU, found tensorflow.python.tpu.tpu_embedding.{name}, which left "
        f"TensorFlow with 2.16. Use TensorFlow 2.15 for embeddings on a TPU."
    )
