"""Which exceptions of a job are a user's mistake, which are a failure of the work, and which are ours.

`train_and_evaluate` runs input functions inside TensorFlow, so that a mistake in the data arrives wrapped in an
error of the runtime; the sentence is what people have to see, not the stack of ops around it.
"""

from __future__ import annotations

import errno
from typing import Optional

import tensorflow as tf

from estimator_app import job_dir, program, verification
from estimator_app.compat import UnsupportedTensorFlowError
from estimator_app.models import registry
from input_fns import errors as input_errors

_REQUEST_ERRORS = (
    input_errors.InputError,
    job_dir.JobDirError,
    registry.UnknownModelError,
    UnsupportedTensorFlowError,
)


def explain(error: BaseException) -> tuple[Optional[int], str]:
    """Returns (exit code, one sentence), or (None, "") for an error that deserves its traceback."""
    seen: set[int] = set()
    cause: Optional[BaseException] = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, _REQUEST_ERRORS):
            return program.EXIT_WRONG_REQUEST, str(cause)
        if isinstance(cause, verification.VerificationError):
            return program.EXIT_FAILED, str(cause)
        if isinstance(cause, OSError) and cause.errno in (
            errno.ENOSPC,
            errno.EROFS,
            errno.EACCES,
            errno.EDQUOT,
        ):
            return program.EXIT_FAILED, (
                f"Expected to write {cause.filename or 'a file'}, found: {cause.strerror}. Make room or permissions "
                f"and start again; the job goes on from its last checkpoint."
            )
        if isinstance(cause, tf.errors.OpError) and _is_disk(cause):
            return program.EXIT_FAILED, (
                f"Expected to write to the model directory, found: {_first_line(cause.message)}. Make room "
                f"or permissions and start again; the job goes on from its last checkpoint."
            )
        cause = cause.__cause__ or cause.__context__
    return None, ""


def _is_disk(error: tf.errors.OpError) -> bool:
    text = error.message
    return any(
        sign in text
        for sign in (
            "No space left on device",
            "Disk quota exceeded",
            "Read-only file system",
            "Permission denied",
        )
    )


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0]
