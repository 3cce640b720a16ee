"""Arrays as the bytes of the messages that carry them, without building the messages.

For a call of a few numbers, making and merging messages costs more than all the rest. What is
written here is what protobuf writes (https://protobuf.dev/programming-guides/encoding/): a tag, a
length, and what it belongs to. Of a tensor, all but the elements depends on dtype and shape alone, and
is kept.
"""

import functools
from typing import Any, Mapping, Optional, Union

import numpy as np

from serving_client import tensors

# Tags of fields that have a length: the field's number times eight, plus two.
_KEY, _VALUE = b"\x0a", b"\x12"
_SHAPE, _CONTENT = b"\x12", b"\x22"
# From here on a copy costs more than the look at whether one is needed.
_LARGE_BYTES = 4096
# Fields whose elements stand in memory as on the wire.
_RUNS = {"float_val": b"\x2a", "double_val": b"\x32", "scomplex_val": b"\x4a"}
_RUNS |= {"bool_val": b"\x5a", "dcomplex_val": b"\x62"}


def varint(number: int) -> bytes:
    """Returns a number of 0 or more in protobuf's form, seven bits a byte."""
    if number < 0x80:
        return bytes((number,))
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def field(tag: bytes, content: bytes) -> bytes:
    """Returns a field that has a length."""
    return tag + varint(len(content)) + content


def map_entries(
    tag: bytes, arrays: Mapping[str, np.ndarray], as_content: bool
) -> list[Union[bytes, memoryview]]:
    """Returns the entries of a map from names to tensors, to be joined.

    Args:
        tag: Of the map's field in its message.
        arrays: The tensors by name.
        as_content: See `tensors.to_tensor_proto`.

    Raises:
        tensors.TensorError: An array has no tensor.
    """
    parts: list[Union[bytes, memoryview]] = []
    for name, array in arrays.items():
        start = entry_start(tag, name, array.dtype, array.shape, as_content)
        if start is not None:
            parts += (start, memory(array))
        else:
            parts.append(message_entry(tag, name, tensors.to_tensor_proto(array, as_content)))
    return parts


def message_entry(tag: bytes, name: str, tensor: Any) -> bytes:
    """Returns a map's entry whose tensor is a message."""
    return field(tag, field(_KEY, name.encode()) + field(_VALUE, tensor.SerializeToString()))


def memory(array: np.ndarray) -> Union[bytes, memoryview]:
    """Returns the bytes of an array's elements, to be joined; of a large one without a copy of its own."""
    if array.nbytes < _LARGE_BYTES or not array.flags.c_contiguous:
        return array.tobytes()
    return array.data


@functools.lru_cache(maxsize=4096)
def entry_start(
    tag: bytes, name: str, dtype: np.dtype, shape: tuple[int, ...], as_content: bool
) -> Optional[bytes]:
    """Returns all of a map's entry but the elements at its end, which are the array's bytes.

    Args:
        tag: Of the map's field in its message.
        name: The entry's key.
        dtype: Of the array.
        shape: Of the array.
        as_content: Whether the elements stand in tensor_content.

    Returns:
        None for arrays whose elements do not travel as they stand in memory.
    """
    found = tensors.memory_field(dtype)
    if found is None:
        return None
    data_type, field_name = found
    length = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    tensor = b"\x08" + varint(data_type)
    # A size of zero is left out, as protobuf leaves out what has its default.
    sizes = [b"\x08" + varint(size) if size else b"" for size in shape]
    if sizes:
        tensor += field(_SHAPE, b"".join(field(b"\x12", size) for size in sizes))
    if length:
        run = _CONTENT if as_content else _RUNS.get(field_name)
        if run is None:
            return None
        tensor += run + varint(length)
    value = _VALUE + varint(len(tensor) + length) + tensor
    key = field(_KEY, name.encode())
    return tag + varint(len(key) + len(value) + length) + key + value
