"""Messages that no published package has, made from their fields, in a pool of their own.

Apart from protobuf's default pool, where TensorFlow puts some of the same names in some releases.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

BOOL = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
UINT32 = descriptor_pb2.FieldDescriptorProto.TYPE_UINT32
UINT64 = descriptor_pb2.FieldDescriptorProto.TYPE_UINT64

# (name, number, type, or name of another message)
Field = tuple[str, int, int | str]


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
        messages: fields by the message's name, each of one value.
        service: name of a service, if there is one.
        calls: its methods; that of name C takes a `CRequest` and gives a `CResponse`.
    """
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    for message_name, fields in messages.items():
        message = file.message_type.add(name=message_name)
        for field_name, number, kind in fields:
            field = message.field.add(
                name=field_name,
                number=number,
                label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
            )
            if isinstance(kind, str):
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{package}.{kind}"
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
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def message_class(pool: descriptor_pool.DescriptorPool, full_name: str) -> Any:
    """Returns the class of a message of `pool`."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))
