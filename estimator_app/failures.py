"""Which exceptions of a job are a user's mistake, which are a failure of the work, and which are ours.

`train_and_evaluate` runs input functions inside TensorFlow, so that a mistake in the data arrives wrapped in an
error of the runtime; the sentence is what people have to see, not the stack of ops around it.
"""

from __future__ import annotations

import errno
import re
from typing import Optional

import tensorflow as tf

from estimator_app import job_dir, program, step_guard, training, verification, warm_start
from estimator_app.compat import UnsupportedTensorFlowError
from estimator_app.models import registry
from input_fns import errors as input_errors

_REQUEST_ERRORS = (
    input_errors.InputError,
    job_dir.JobDirError,
    registry.UnknownModelError,
    training.ClusterError,
    UnsupportedTensorFlowError,
    step_guard.StepError,
    warm_start.WarmStartError,
)


def explain(error: BaseException) -> tuple[Optional[int], str]:
    """Returns (exit code, one sentence), or (None, "") for an error that deserves its traceback."""
    seen: set[int] = set()
    cause: Optional[BaseException] = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        code, sentence = _explain_one(cause)
        if code is not None:
            return code, sentence
        cause = cause.__cause__ or cause.__context__
    return None, ""


def _explain_one(error: BaseException) -> tuple[Optional[int], str]:
    if isinstance(error, _REQUEST_ERRORS):
        return program.EXIT_WRONG_REQUEST, str(error)
    if isinstance(error, verification.VerificationError):
        return program.EXIT_FAILED, str(error)
    if isinstance(error, tf.compat.v1.train.NanLossDuringTrainingError):
        return program.EXIT_FAILED, (
            "Expected a finite loss, found NaN. Lower --learning_rate, or look for extreme values in the data; the "
            "last checkpoint is untouched."
        )
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return program.EXIT_FAILED, _cannot_write(
            str(error.filename or "a file"), str(error.strerror)
        )
    if isinstance(error, tf.errors.OpError):
        message = str(error.message)
        read = _RAISED_BY_INPUT.search(message)
        if read:
            return program.EXIT_WRONG_REQUEST, read[1]
        full = [line for line in message.splitlines() if any(sign in line for sign in _DISK_SIGNS)]
        if full:
            return program.EXIT_FAILED, _cannot_write("to the model directory", full[0].strip())
    return None, ""


def _cannot_write(what: str, found: str) -> str:
    return (
        f"Expected to write {what}, found: {found}. Make room or permissions and start again; the job goes on from its "
        f"last checkpoint."
    )


# An exception in an input function's generator reaches us as text inside the runtime's own error.
_RAISED_BY_INPUT = re.compile(r"\b(?:BadRow|EmptyFile|File|Input|Schema|Settings)Error: (.+)")

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

# The same as strerror(3) words them, inside TensorFlow's messages.
_DISK_SIGNS = (
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "Permission denied",
)
