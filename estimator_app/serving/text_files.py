"""Configuration files of the server: protobuf text, read as the stock server reads them.

    config = text_files.read("/etc/models.txt", text_files.ModelServerConfig)

The published serving package has no module for some of these messages, and the default pool belongs
to whatever TensorFlow puts there, so they come from the client's pool and from one of this module's
own. Names, numbers and types are TensorFlow Serving's (ssl_config.proto, monitoring_config.proto,
session_bundle_config.proto).
"""

import logging
from typing import Any

from google.protobuf import text_format
import tensorflow as tf

from estimator_app.serving import own_messages
from export import errors
from serving_client import wire

_logger = logging.getLogger(__name__)

_PACKAGE = "tensorflow.serving"
_FIELDS: dict[str, tuple[own_messages.Field, ...]] = {
    "SSLConfig": (
        ("server_key", 1, own_messages.STRING),
        ("server_cert", 2, own_messages.STRING),
        ("custom_ca", 3, own_messages.STRING),
        ("client_verify", 4, own_messages.BOOL),
    ),
    "PrometheusConfig": (("enable", 1, own_messages.BOOL), ("path", 2, own_messages.STRING)),
    "MonitoringConfig": (("prometheus_config", 1, "PrometheusConfig"),),
    "BatchingParameters": (
        ("max_batch_size", 1, own_messages.INT64_VALUE),
        ("batch_timeout_micros", 2, own_messages.INT64_VALUE),
        ("max_enqueued_batches", 3, own_messages.INT64_VALUE),
        ("num_batch_threads", 4, own_messages.INT64_VALUE),
        ("thread_pool_name", 5, own_messages.STRING_VALUE),
        ("allowed_batch_sizes", 6, own_messages.INT64, own_messages.REPEATED),
        ("pad_variable_length_inputs", 7, own_messages.BOOL),
        ("enable_large_batch_splitting", 8, own_messages.BOOL_VALUE),
        ("max_execution_batch_size", 9, own_messages.INT64_VALUE),
    ),
}
_POOL = own_messages.make_pool("estimator_app/serving/text_files.proto", _PACKAGE, _FIELDS)


BatchingParameters = own_messages.message_class(_POOL, f"{_PACKAGE}.BatchingParameters")
ModelServerConfig = wire.ModelServerConfig
MonitoringConfig = own_messages.message_class(_POOL, f"{_PACKAGE}.MonitoringConfig")
SSLConfig = own_messages.message_class(_POOL, f"{_PACKAGE}.SSLConfig")


def read(path: str, cls: Any) -> Any:
    """Reads a text file into a message (TF Serving: proto_util.h).

    Args:
        path: of the file; any that `tf.io.gfile` opens.
        cls: a message class of this module.

    Returns:
        the message. A file without a word is a message without fields.

    Raises:
        errors.ServableError: `NOT_FOUND`, or what else the file system says; `INVALID_ARGUMENT`,
            the file is no such message. Where it is wrong goes to the log, in protobuf's words.
    """
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            data = file.read()
    except tf.errors.OpError as error:
        raise errors.ServableError(errors.Code(error.error_code), error.message) from error
    message = cls()
    try:
        text_format.Parse(data.decode("utf-8"), message, descriptor_pool=cls.DESCRIPTOR.file.pool)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        # The line that people search the log for; Python's parser writes none.
        _logger.error(
            "Error parsing text-format %s: %s", cls.DESCRIPTOR.full_name, _described(error)
        )
        raise errors.invalid_argument(f"Invalid protobuf file: '{path}'") from error
    return message


def _described(error: Exception) -> str:
    """`line:column: what is wrong`, as C++ has it; Python puts a space before the second colon."""
    text = str(error)
    if isinstance(error, text_format.ParseError) and error.GetLine() is not None:
        place = f"{error.GetLine()}:{error.GetColumn()}"
        return f"{place}: {text.removeprefix(f'{place} : ')}"
    return text
