"""What every test needs: legacy Keras chosen before TensorFlow is imported, and quiet C++ logs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import estimator_app  # noqa: E402, F401  (chooses legacy Keras)
