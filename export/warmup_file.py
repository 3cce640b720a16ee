"""The file of warm-up requests inside a version directory: TFRecord of serialized `PredictionLog`s.

    warmup_file.write("/models/census/3", [log.SerializeToString()])
    for record in warmup_file.read(warmup_file.path_of("/models/census/3")):
        ...

A model server runs them when it has loaded the version, before it serves it (TF Serving:
saved_model_warmup_util.cc).
"""

from collections.abc import Iterable, Iterator
import os

import tensorflow as tf

from export import errors

MAX_RECORDS = 1000
_PLACE = ("assets.extra", "tf_serving_warmup_requests")


def path_of(version_dir: str) -> str:
    """Where the file of a version lies, or would lie."""
    return os.path.join(version_dir, *_PLACE)


def read(path: str) -> Iterator[bytes]:
    """The records of the file, in order.

    Raises:
        errors.ServableError: `DATA_LOSS` if the file is no TFRecord file or is damaged; what else
            the file system says.
    """
    # TensorFlow's own reader, with the words that the stock server ends with.
    try:
        yield from tf.compat.v1.io.tf_record_iterator(path)
    except tf.errors.DataLossError as error:
        raise errors.ServableError(
            errors.Code.DATA_LOSS,
            f"{error.message}. Please verify your warmup data is in TFRecord format.",
        ) from error
    except tf.errors.OpError as error:
        raise errors.ServableError(errors.Code(error.error_code), error.message) from error


def write(version_dir: str, records: Iterable[bytes]) -> str:
    """Writes the file of a version that no server sees yet.

    Returns:
        its path.
    """
    path = path_of(version_dir)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    return path
