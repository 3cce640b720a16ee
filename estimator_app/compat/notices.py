"""TensorFlow's deprecation notices about its own Estimator and Keras code, told in one line at the end of the process.

A run prints some twenty of them: the wheel `tensorflow-estimator` and tf-keras call functions that TensorFlow marks as
deprecated, and every Estimator, hook and feature column is marked so itself. The person who runs a job can do nothing
about any of them. Errors and other warnings stay, and so does what TensorFlow says of a deprecated function that the
person's own code calls.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import re
import sys
import threading
from typing import Any, Optional, TextIO
import warnings

import tensorflow as tf

# `deprecation.py` and `module_wrapper.py` of TensorFlow begin every notice with the place of the call, and name in
# brackets the module of what is deprecated.
_LOGGED = re.compile(r"From .+?: .*\bis deprecated\b", re.DOTALL)
_DEPRECATED_MODULE = re.compile(r"\(from (?P<module>[\w.]+)\)")
_WARNED = re.compile(r"deprecated|will be removed|should not be used")

# Callers whose notices are TensorFlow's own affair.
_PACKAGES = ("tensorflow", "tensorflow_estimator", "tf_keras", "keras")
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What an Estimator program cannot do without, whoever calls it: TensorFlow's advice is not to use Estimators.
_ESTIMATOR_MODULES = (
    "tensorflow_estimator.",
    "tensorflow.python.feature_column.",
    "tensorflow.python.saved_model.model_utils.export_output",
    "tensorflow.python.training.basic_session_run_hooks",
    "tensorflow.python.training.session_run_hook",
)


def quiet(shown_by: Optional[str] = "leaving out compat.quiet()") -> None:
    """Leaves out deprecation notices about TensorFlow's own Estimator and Keras code, and counts them.

    When the process ends, one line on standard error says how many there were. Left out are those of TensorFlow's
    logger and of Python's `warnings`; other warnings, errors, and notices about calls in the caller's own code stay.

    Args:
      shown_by: what shows the notices, for the line at the end; None for no line. The first call decides.
    """
    with _LOCK:
        if not _COUNTER.is_installed:
            _COUNTER.is_installed = True
            _COUNTER.shown_by = shown_by
            atexit.register(_COUNTER.report)
        if not any(isinstance(known, _NoticeFilter) for known in tf.get_logger().filters):
            tf.get_logger().addFilter(_NoticeFilter())
        # Where `warnings.catch_warnings` ended since the last call, ours is gone.
        if not isinstance(warnings.showwarning, _ShowWarning):
            warnings.showwarning = _ShowWarning(warnings.showwarning)


class _Counter:
    """How many notices were left out."""

    def __init__(self) -> None:
        self.is_installed = False
        self.shown_by: Optional[str] = None
        self._count = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self._count += 1

    def report(self) -> None:
        if self._count and self.shown_by and sys.stderr is not None:
            notices = "notice" if self._count == 1 else "notices"
            print(
                f"{self._count} deprecation {notices} of TensorFlow's about its own Estimator and Keras code left out; "
                f"{self.shown_by} shows them",
                file=sys.stderr,
            )


_LOCK = threading.Lock()
_COUNTER = _Counter()


class _NoticeFilter(logging.Filter):
    """Drops and counts notices of TensorFlow's logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        notice = _LOGGED.match(record.getMessage())
        if notice is None:
            return True
        module = _DEPRECATED_MODULE.search(notice[0])
        is_estimator = module is not None and module["module"].startswith(_ESTIMATOR_MODULES)
        if is_estimator or _is_own_code(_caller_of_deprecated()):
            _COUNTER.add()
            return False
        return True


class _ShowWarning:
    """Takes the place of `warnings.showwarning`: drops and counts notices, hands on everything else."""

    def __init__(self, show: Any) -> None:
        self._show = show

    def __call__(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Optional[TextIO] = None,
        line: Optional[str] = None,
    ) -> None:
        if _is_own_code(filename) and _WARNED.search(str(message)):
            _COUNTER.add()
        else:
            self._show(message, category, filename, lineno, file, line)


def _caller_of_deprecated() -> str:
    """Returns the file that called what the notice is about.

    The place in the notice's text is too near for operations with dispatch: there it is TensorFlow's `dispatch.py`.
    """
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_ON_THE_WAY):
        frame = frame.f_back
    return frame.f_code.co_filename


def _is_own_code(filename: str) -> bool:
    return filename.startswith(_DIRECTORIES)


def _directories() -> tuple[str, ...]:
    """Returns the directories of the code whose notices are left out, each ending in a separator."""
    specs = (importlib.util.find_spec(name) for name in _PACKAGES)
    origins = [os.path.dirname(spec.origin) for spec in specs if spec and spec.origin]
    return tuple(os.path.join(directory, "") for directory in (*origins, _OURS))


_DIRECTORIES = _directories()

# What stands on the stack between a call and the notice about it.
_ON_THE_WAY = (
    __file__,
    os.path.join(os.path.dirname(logging.__file__), ""),
    os.path.join(os.path.dirname(tf.__file__), "python", "util", ""),
    os.path.join(os.path.dirname(tf.__file__), "python", "platform", ""),
)
