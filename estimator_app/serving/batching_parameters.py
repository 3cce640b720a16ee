"""How requests are batched: a `BatchingParameters` text file, checked.

    max_batch_size { value: 128 }
    batch_timeout_micros { value: 1000 }
    num_batch_threads { value: 8 }
    allowed_batch_sizes: 32
    allowed_batch_sizes: 128

Names, defaults and sentences are TF Serving's (session_bundle_config.proto, bundle_factory_util.cc) and those of its
scheduler (TensorFlow: shared_batch_scheduler.h).
"""

import dataclasses
import os
from typing import Any

import tensorflow as tf

from estimator_app.serving import text_files
from export import errors

# In the directory of a version, for --enable_per_model_batching_parameters.
PER_MODEL_FILE = "batching_params.pbtxt"
# Of a server that is given no file.
_SERVER_POOL_NAME = "model_server_batch_threads"


@dataclasses.dataclass(frozen=True)
class BatchingParameters:
    """How requests are batched.

    Attributes:
        max_batch_size: rows that one request may have; and a batch, unless requests are split.
        batch_timeout_micros: microseconds that a batch waits for more requests.
        max_enqueued_batches: how many batches may wait in one queue; 0 counts as 1 unless requests
            are split.
        num_batch_threads: how many batches run at once, of all models; one per CPU.
        thread_pool_name: of those threads.
        enable_large_batch_splitting: whether a request may be split over several batches.
        max_execution_batch_size: rows that a batch may have where requests are split; 0 for
            `max_batch_size`.
        allowed_batch_sizes: a batch is filled up to the next of these; empty for any size.
        pad_variable_length_inputs: whether tensors of different shapes are padded to the largest.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    thread_pool_name: str = "batch_threads"
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False

    @property
    def rows_per_batch(self) -> int:
        """How many rows a batch may have."""
        if not self.enable_large_batch_splitting:
            return self.max_batch_size
        return self.max_execution_batch_size or self.max_batch_size

    def padded_size(self, rows: int) -> int:
        """How many rows a batch of `rows` has once it is filled up; one without rows stays so."""
        if not rows:
            return rows
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)

    def check_threads(self) -> None:
        """Checks what concerns the threads that all models share; it fails the server's start.

        Raises:
            errors.ServableError: `INVALID_ARGUMENT`.
        """
        _positive("num_batch_threads", self.num_batch_threads)

    def check_queue(self) -> None:
        """Checks what concerns one version; it fails the version's load.

        Raises:
            errors.ServableError: `INVALID_ARGUMENT`.
        """
        if self.allowed_batch_sizes and self.allowed_batch_sizes[-1] != self.max_batch_size:
            raise errors.invalid_argument(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{self.allowed_batch_sizes[-1]}; expected {self.max_batch_size}"
            )
        _positive("input_batch_size_limit", self.max_batch_size)
        if self.batch_timeout_micros < 0:
            raise errors.invalid_argument(
                f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}"
            )
        if self.enable_large_batch_splitting or self.max_enqueued_batches:
            _positive("max_enqueued_batches", self.max_enqueued_batches)
        _positive("max_execution_batch_size", self.rows_per_batch)
        if self.rows_per_batch > self.max_batch_size:
            raise errors.invalid_argument(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be "
                "greater than or equal to max_execution_batch_size."
                f"1{self.max_batch_size}{self.rows_per_batch}"
            )


def read(path: str) -> BatchingParameters:
    """The parameters of a file; those of a server without a file for an empty path.

    Raises:
        errors.ServableError: it cannot be read, or does not parse.
    """
    if not path:
        return BatchingParameters(thread_pool_name=_SERVER_POOL_NAME)
    return _from_message(text_files.read(path, text_files.BatchingParameters))


def read_per_model(version_path: str) -> BatchingParameters | None:
    """The parameters in the directory of a version; None if it has none.

    Raises:
        errors.ServableError: they cannot be read, or do not parse.
    """
    path = os.path.join(version_path, PER_MODEL_FILE)
    return read(path) if tf.io.gfile.exists(path) else None


def _from_message(message: Any) -> BatchingParameters:
    given = {}
    for field, value in message.ListFields():
        if field.message_type is not None:
            given[field.name] = value.value
        elif field.name == "allowed_batch_sizes":
            given[field.name] = tuple(value)
        else:
            given[field.name] = value
    return BatchingParameters(**given)


def _positive(name: str, number: int) -> None:
    if number < 1:
        raise errors.invalid_argument(f"{name} must be positive; was {number}")
