"""`tensorflow.python.tpu`'s modules for Estimators, removed with 2.16: a TPUEstimator works with `use_tpu=False`.

`tpu_estimator.py` imports three of them at its top, and `tensorflow_estimator` imports `tpu_estimator.py`. On CPU and
GPU it needs what describes embeddings (`tpu_embedding`) and nothing of the other two, which watch over TPU workers.
Running on a TPU is refused at the first `train`, `evaluate` or `predict`, before the input function is called; what
such an Estimator does without a TPU (exports, evaluation with `eval_on_tpu=False`) works.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import NoReturn

import tensorflow as tf

from estimator_app.compat import stand_in, tpu_embedding, versions

_TPU_EMBEDDING = "tensorflow.python.tpu.tpu_embedding"
_TPU_ONLY = (
    "tensorflow.python.tpu.tpu_embedding_gradient",
    "tensorflow.python.tpu.session_support",
)
_CONTEXT = "tensorflow_estimator.python.estimator.tpu.tpu_context"


def is_missing() -> bool:
    """Returns True if TensorFlow's own modules are gone."""
    return stand_in.is_missing(_TPU_EMBEDDING)


def supply() -> None:
    """Registers the three modules, and the classes that `tf.compat.v1.tpu.experimental` had."""
    stand_in.register(_TPU_EMBEDDING, tpu_embedding)
    for name in tpu_embedding.EXPORTED:
        setattr(tf.compat.v1.tpu.experimental, name, getattr(tpu_embedding, name))
    for name in _TPU_ONLY:
        stand_in.register(name, _TpuOnlyModule(name))


def runs_unrefused() -> bool:
    """Returns True if the stand-ins are in place and the wheel would still try to run on a TPU with them."""
    if sys.modules.get(_TPU_EMBEDDING) is not tpu_embedding:
        return False
    context = sys.modules.get(_CONTEXT)
    return context is None or context._InternalTPUContext._validate_tpu_configuration is not _refuse


def refuse_to_run() -> None:
    """Makes the wheel refuse a TPU where it first asks which one there is, instead of failing in a half-built graph."""
    context = importlib.import_module(_CONTEXT)
    setattr(context._InternalTPUContext, "_validate_tpu_configuration", _refuse)


def _refuse(unused_context: object) -> NoReturn:
    raise versions.UnsupportedTensorFlowError(
        f"Expected use_tpu=False, or TensorFlow 2.15 for a TPU, found a TPUEstimator with use_tpu=True on TensorFlow "
        f"{tf.__version__}, which no longer has what runs Estimators on a TPU. Pass use_tpu=False to run on CPU or GPU."
    )


class _TpuOnlyModule(types.ModuleType):
    """A module that can be imported; naming what was in it says why it is gone."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"Expected a name that works without a TPU, found {self.__name__}.{name}, which left TensorFlow with "
            f"2.16. Use TensorFlow 2.15 to run Estimators on a TPU."
        )
