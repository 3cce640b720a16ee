"""Measured figures: each benchmark runs ours and the other side in turn, in processes of their own, and prints the
ratio.

python -m benchmarks.all              everything, as `make bench` does
python -m benchmarks.input_speed      one of them
"""

import estimator_app  # noqa: F401  (chooses legacy Keras before a benchmark imports TensorFlow)
