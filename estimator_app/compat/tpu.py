"""`tensorflow.python.tpu`'s modules for Estimators, removed with 2.16.

`tpu_estimator.py` imports them at its top, and `tensorflow_estimator` imports `tpu_estimator.py`.
"""

from __future__ import annotations

import types
from typing import Any

from estimator_app.compat import stand_in, versions

_TPU_EMBEDDING = "tensorflow.python.tpu.tpu_embedding"
_TPU_EMBEDDING_NAMES = (
    "AdagradParameters",
    "AdamParameters",
    "FtrlParameters",
    "MomentumParameters",
    "ProximalAdagradParameters",
    "RMSPropParameters",
    "StochasticGradientDescentParameters",
)


def is_missing() -> bool:
    """Returns True if TensorFlow's own modules are gone."""
    return stand_in.is_missing(_TPU_EMBEDDING)


def supply() -> None:
    """Registers the three modules."""
    embedding = types.ModuleType(_TPU_EMBEDDING)
    vars(embedding).update({name: _absent(name) for name in _TPU_EMBEDDING_NAMES})
    stand_in.register(_TPU_EMBEDDING, embedding)
    for name in ("tpu_embedding_gradient", "session_support"):
        full_name = f"tensorflow.python.tpu.{name}"
        stand_in.register(full_name, types.ModuleType(full_name))


def _absent(name: str) -> type:
    """Returns a class that can be named and compared with `isinstance`, but not made."""

    def __init__(self: object, *unused_args: Any, **unused_kwargs: Any) -> None:
        raise versions.UnsupportedTensorFlowError(
            f"Expected a TensorFlow with TPU embedding for Estimators, found one of 2.16 or later, which removed "
            f"{name}. Use TensorFlow 2.15 for TPU embeddings."
        )

    return type(name, (), {"__init__": __init__})
