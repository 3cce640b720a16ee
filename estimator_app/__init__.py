"""The training service: the only package that joins data, models, export and serving.

Importing it chooses legacy Keras (tf-keras), which Estimators need on TensorFlow 2.16 and later. TensorFlow looks for
the choice when it is first imported, so it is made here, ahead of every other module of the package; if TensorFlow is
already there, `estimator_app.compat` makes up for it.
"""

import os
import sys

if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
