"""The pool that holds our message classes, filled from the compiled protos.binpb."""

import pathlib
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def _load_pool() -> descriptor_pool.DescriptorPool:
    """Returns a pool of its own with the descriptors of protos.binpb."""
    data = pathlib.Path(__file__).with_name("protos.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


# Apart from protobuf's default pool, which a later import of TensorFlow has to find free.
POOL = _load_pool()


def message_class(full_name: str) -> Any:
    """Returns the class of the message full_name, such as `tensorflow.serving.ModelSpec`.

    Raises:
        KeyError: The pool has no such message.
    """
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))
