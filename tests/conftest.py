"""What every test needs: legacy Keras chosen before TensorFlow is imported, quiet C++ logs, its share of the
processors, and a Ctrl-C that works."""

import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# pytest-xdist's workers, and the programs that their tests start, share the processors: if each had a thread for all of
# them, threads would wait for one another. The threads between ops stay as they are: with a single one, an input_fn in
# Python would wait for ever.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault(
    "TF_NUM_INTRAOP_THREADS", str(max(1, len(os.sched_getaffinity(0)) // _WORKERS))
)

import estimator_app  # noqa: E402, F401  (chooses legacy Keras)

# A shell that starts the tests in the background has SIGINT ignored, and every program that a test starts would inherit
# that: no Ctrl-C would reach it.
signal.signal(signal.SIGINT, signal.default_int_handler)
