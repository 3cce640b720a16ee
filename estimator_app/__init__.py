"""The training service: the only package that joins data, models, export and serving.

Importing it chooses legacy Keras (tf-keras), which Estimators need on TensorFlow 2.16 and later. TensorFlow looks for
the choice when it is first imported, so it is made here, ahead of every other module of the package; if TensorFlow is
already there, `estimator_app.compat` makes up for it.

Raises:
    ImportError: TensorFlow is not installed, as where only the client is.
"""

import importlib.util
import os
import sys

if "tensorflow" not in sys.modules:
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            "Expected TensorFlow, found an installation of the client alone. Install the service: pip "
            "install 'estimator-service[tf221]'."
        )
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
