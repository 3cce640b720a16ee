"""Legacy Keras (tf-keras): is the switch on, and was it on when TensorFlow was imported?

Estimators are written against Keras 2. From 2.16 on `tf.keras` is Keras 3 unless `TF_USE_LEGACY_KERAS=1` stands in the
environment before TensorFlow is first imported; without it `model_to_estimator` and the canned DNN models fail far from
the cause, with a message about `/` in a variable's name.
"""

from __future__ import annotations

from collections.abc import Mapping

from estimator_app.compat import versions

SWITCH = "TF_USE_LEGACY_KERAS"
_ON = ("1", "true", "True")

_FIX = (
    "import estimator_app before tensorflow (or set TF_USE_LEGACY_KERAS=1 in the environment of the process), "
    "then start the process again"
)


def check(environ: Mapping[str, str], keras_package: str) -> None:
    """Raises UnsupportedTensorFlowError if `tf.keras` is not, or will not be, legacy Keras.

    Args:
      environ: the process's environment.
      keras_package: name of the package that `tf.keras` resolved to, such as "tf_keras.api._v2.keras".
    """
    value = environ.get(SWITCH)
    if value is None:
        raise versions.UnsupportedTensorFlowError(
            f"Expected {SWITCH}=1 before TensorFlow is imported, found TensorFlow already imported without it: "
            f"tf.keras is Keras 3, which Estimators cannot use. To fix it, {_FIX}."
        )
    if value not in _ON:
        raise versions.UnsupportedTensorFlowError(
            f"Expected {SWITCH}=1, found {SWITCH}={value}: tf.keras is Keras 3, which Estimators cannot use. "
            f"To fix it, {_FIX}."
        )
    if not keras_package.startswith("tf_keras"):
        raise versions.UnsupportedTensorFlowError(
            f"Expected tf.keras to be tf_keras, found {keras_package}: {SWITCH}=1 was set after TensorFlow had chosen "
            f"Keras 3. To fix it, {_FIX}."
        )
