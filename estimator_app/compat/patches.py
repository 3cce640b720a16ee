"""What newer TensorFlow took away and the untouched wheel `tensorflow-estimator==2.15.0` still needs: the list.

Each piece lives in a module of its own; `apply()` supplies those that are missing on the imported TensorFlow, so it
does nothing on 2.15 and nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import threading

from estimator_app.compat import (
    api_names,
    estimator_training,
    graph_text,
    keras_seeds,
    stand_in,
    tpu,
)


@dataclasses.dataclass(frozen=True)
class Patch:
    """One piece.

    Attributes:
      name: what is supplied.
      since: the TensorFlow release that made it necessary.
      why: what of the wheel fails without it.
      is_missing: whether the imported TensorFlow needs it.
      supply: puts it in place.
    """

    name: str
    since: str
    why: str
    is_missing: Callable[[], bool]
    supply: Callable[[], None]


_ESTIMATOR_TRAINING = "tensorflow.python.distribute.estimator_training"

PATCHES = (
    Patch(
        "tf_export's API name 'estimator'",
        "2.16",
        "every public class of the wheel registers its name with it",
        api_names.is_missing,
        api_names.supply,
    ),
    Patch(
        _ESTIMATOR_TRAINING,
        "2.16",
        "RunConfig reads TF_CONFIG through it; strategies over several processes run through it",
        lambda: stand_in.is_missing(_ESTIMATOR_TRAINING),
        lambda: stand_in.register(_ESTIMATOR_TRAINING, estimator_training),
    ),
    Patch(
        "tensorflow.python.tpu.{tpu_embedding,tpu_embedding_gradient,session_support}",
        "2.16",
        "tpu_estimator.py imports them at its top",
        tpu.is_missing,
        tpu.supply,
    ),
    Patch(
        "text_format.MessageToString(float_format=) as graph_io calls it",
        "2.20",
        "every training writes its graph as text; protobuf 7 took the argument away",
        graph_text.is_missing,
        graph_text.supply,
    ),
    Patch(
        "whole numbers as seeds of Keras initializers",
        "2.16",
        "tf-keras 2.16 to 2.18 draw them with a float, which Python 3.12 refuses",
        keras_seeds.is_missing,
        keras_seeds.supply,
    ),
    # Last: it imports the wheel, which needs all of the above.
    Patch(
        "one sentence instead of a TPU run (TPUEstimator with use_tpu=True)",
        "2.16",
        "without these modules it would fail in a half-built graph",
        tpu.runs_unrefused,
        tpu.refuse_to_run,
    ),
)

_LOCK = threading.Lock()


def apply() -> None:
    """Supplies what is missing, so that `import tensorflow_estimator` works on the imported TensorFlow."""
    with _LOCK:
        for patch in PATCHES:
            if patch.is_missing():
                patch.supply()
