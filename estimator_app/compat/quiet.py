"""Keeps what the wheel says about itself out of the log; errors and real warnings stay.

`tensorflow-estimator` 2.15 calls functions that TensorFlow marks as deprecated, some twenty times a run. The person who
runs a job can do nothing about any of them.
"""

from __future__ import annotations

import logging
import warnings

import tensorflow as tf

_DEPRECATION = "is deprecated and will be removed"


class _DeprecationFilter(logging.Filter):
    """Drops TensorFlow's deprecation notices."""

    def filter(self, record: logging.LogRecord) -> bool:
        return _DEPRECATION not in str(record.msg)


def install() -> None:
    """Silences deprecation notices of TensorFlow's logger, and those of legacy Keras about the graph it builds."""
    warnings.filterwarnings(
        "ignore", "`tf.keras.backend.set_learning_phase` is deprecated", UserWarning
    )
    warnings.filterwarnings("ignore", "`Model.state_updates` will be removed", UserWarning)
    logger = tf.get_logger()
    if not any(isinstance(known, _DeprecationFilter) for known in logger.filters):
        logger.addFilter(_DeprecationFilter())
