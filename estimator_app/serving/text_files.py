"""Configuration files of the server: protobuf text, read as the stock server reads them.

    config = text_files.read("/etc/models.txt", text_files.ModelServerConfig)

The published serving package has no module for some of these messages, and the default pool belongs
to whatever TensorFlow puts there, so they come from the client's pool and from one of this module's
own. Names, numbers and types are TensorFlow Serving's (ssl_config.proto, monitoring_config.proto).
"""

import logging
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
import tensorflow as tf

from export import errors
from serving_client import wire

_logger = logging.getLogger(__name__)

_PACKAGE = "tensorflow.serving"
_BOOL = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING

# message -> its fields in the order of their numbers, from 1: (name, type, or name of a message).
_FIELDS: dict[str, tuple[tuple[str, int | str], ...]] = {
    "SSLConfig": (
        ("server_key", _STRING),
        ("server_cert", _STRING),
        ("custom_ca", _STRING),
        ("client_verify", _BOOL),
    ),
    "PrometheusConfig": (("enable", _BOOL), ("path", _STRING)),
    "MonitoringConfig": (("prometheus_config", "PrometheusConfig"),),
}


def _make_pool() -> descriptor_pool.DescriptorPool:
    """Returns a pool with the messages of `_FIELDS`."""
    file = descriptor_pb2.FileDescriptorProto(
        name="estimator_app/serving/text_files.proto", package=_PACKAGE, syntax="proto3"
    )
    for message_name, fields in _FIELDS.items():
        message = file.message_type.add(name=message_name)
        for number, (name, kind) in enumerate(fields, start=1):
            field = message.field.add(
                name=name,
                number=number,
                label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
            )
            if isinstance(kind, str):
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
            else:
                field.type = kind  # type: ignore[assignment]
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _make_pool()


def _message_class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


ModelServerConfig = wire.ModelServerConfig
MonitoringConfig = _message_class("MonitoringConfig")
SSLConfig = _message_class("SSLConfig")


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
