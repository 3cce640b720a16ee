"""Estimators on every supported TensorFlow: the decided names `estimator` and `keras`.

    from estimator_app.compat import estimator, keras

On 2.15 they are TensorFlow's own. From 2.16 on `estimator` is the untouched wheel `tensorflow-estimator==2.15.0` on top
of `patches`, and `keras` is tf-keras. `install` gives the same to code that says `tf.estimator`.

Raises at import:
  UnsupportedTensorFlowError: an ImportError that says what to do, on a TensorFlow that cannot run Estimators.
"""

import functools
import importlib
from typing import Any

import tensorflow as tf

from estimator_app.compat import cluster, lazy_modules, legacy_keras, patches, versions
from estimator_app.compat.install import install, uninstall
from estimator_app.compat.notices import quiet
from estimator_app.compat.versions import UnsupportedTensorFlowError

__all__ = [
    "UnsupportedTensorFlowError",
    "estimator",
    "estimator_v1",
    "install",
    "keras",
    "model_to_estimator",
    "quiet",
    "uninstall",
]

versions.check(tf.__version__)

if not versions.has_own_estimator(tf.__version__):
    legacy_keras.choose(tf.__version__)
    lazy_modules.resolve()
    patches.apply()
keras: Any = tf.keras

_API = "tensorflow_estimator.python.estimator.api._v%d.estimator"
_own = versions.has_own_estimator(tf.__version__)
estimator: Any = tf.estimator if _own else importlib.import_module(_API % 2)
# What only TensorFlow 1 had a public name for, such as `experimental.KMeans`.
estimator_v1: Any = tf.compat.v1.estimator if _own else importlib.import_module(_API % 1)

# What `tf.keras.estimator.model_to_estimator` was: the V2 Estimator, object-based checkpoints.
model_to_estimator: Any = functools.partial(
    importlib.import_module("tensorflow_estimator.python.estimator.keras_lib").model_to_estimator,
    use_v2_estimator=True,
    checkpoint_format="checkpoint",
)

cluster.install()
