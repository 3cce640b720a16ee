"""What every test needs: legacy Keras chosen before TensorFlow is imported, quiet C++ logs, and a Ctrl-C that works."""

import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import estimator_app  # noqa: E402, F401  (chooses legacy Keras)

# A shell that starts the tests in the background has SIGINT ignored, and every program that a test starts would inherit
# that: no Ctrl-C would reach it.
signal.signal(signal.SIGINT, signal.default_int_handler)
