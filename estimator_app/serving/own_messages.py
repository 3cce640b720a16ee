"""Messages that no published package has, made from their fields, in a pool of their own.

Apart from protobuf's default pool, where TensorFlow puts some of the same names in some releases.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

BOOL = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
INT64 = descriptor_pb2.FieldDescriptorProto.TYPE_INT64
STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
UINT32 = descriptor_pb2.FieldDescriptorProto.TYPE_UINT32
UINT64 = descriptor_pb2.FieldDescriptorProto.TYPE_UINT64

# Messages around one value, so that a value that is not given differs from 0.
BOOL_VALUE = wrappers_pb2.BoolValue.DESCRIPTOR.full_name
INT64_VALUE = wrappers_pb2.Int64Value.DESCRIPTOR.full_name
STRING_VALUE = wrappers_pb2.StringValue.DESCRIPTOR.full_name

REPEATED = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED

# (name, number, type, or name of another message of the file or of those around one value); and then REPEATED for
# a list
Field = tuple[str, int, int | str] | tuple[str, int, int | str, int]


def make_pool(
    name: str,
    package: str,
    messages: Mapping[str, Sequence[Field]],
    service: str = "",
    calls: Sequence[str] = (),
) -> descriptor_pool.DescriptorPool:
    """Returns a pool with one file.

    Args:
        name: of the file.
        package: of all that is in it.
        messages: fields by the message's name.
        service: name of a service, if there is one.
        calls: its methods; that of name C takes a `CRequest` and gives a `CResponse`.
    """
    wrappers = wrappers_pb2.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name=name, package=package, syntax="proto3", dependency=[wrappers.name]
    )
    for message_name, fields in messages.items():
        message = file.message_type.add(name=message_name)
        for field_name, number, kind, *label in fields:
            field = message.field.add(
                name=field_name,
                number=number,
                label=label[0] if label else descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
            )
            if isinstance(kind, str):
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{kind}" if "." in kind else f".{package}.{kind}"
            else:
                field.type = kind  # type: ignore[assignment]
    if service:
        methods = file.service.add(name=service).method
        for call in calls:
            methods.add(
                name=call,
                input_type=f".{package}.{call}Request",
                output_type=f".{package}.{call}Response",
            )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def message_class(pool: descriptor_pool.DescriptorPool, full_name: str) -> Any:
    """Returns the class of a message of `pool`."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))
