"""numpy arrays as TensorProtos, and back."""

import functools
import math
from typing import Any, Mapping, Optional

import numpy as np

from serving_client import messages

TensorProto = messages.message_class("tensorflow.TensorProto")
_PackedTensor = messages.message_class("estimator_service.PackedTensor")
_DataType = messages.POOL.FindEnumTypeByName("tensorflow.DataType")

# The number of each TensorFlow dtype by its name: DATA_TYPES["DT_FLOAT"] is 1.
DATA_TYPES: Mapping[str, int] = {value.name: value.number for value in _DataType.values}


class TensorError(ValueError):
    """A TensorProto that says nothing sensible, or an array that no TensorProto can hold."""


# TensorFlow dtype -> (numpy dtype of the elements, field that holds them one by one). HALF and
# BFLOAT16 travel as their 16 bits; quantised types are the integers that they are stored in.
_TENSORS: Mapping[str, tuple[str, str]] = {
    "DT_FLOAT": ("<f4", "float_val"),
    "DT_DOUBLE": ("<f8", "double_val"),
    "DT_INT32": ("<i4", "int_val"),
    "DT_UINT8": ("u1", "int_val"),
    "DT_INT16": ("<i2", "int_val"),
    "DT_INT8": ("i1", "int_val"),
    "DT_STRING": ("O", "string_val"),
    "DT_COMPLEX64": ("<c8", "scomplex_val"),
    "DT_INT64": ("<i8", "int64_val"),
    "DT_BOOL": ("?", "bool_val"),
    "DT_QINT8": ("i1", "int_val"),
    "DT_QUINT8": ("u1", "int_val"),
    "DT_QINT32": ("<i4", "int_val"),
    "DT_BFLOAT16": ("<u2", "half_val"),
    "DT_QINT16": ("<i2", "int_val"),
    "DT_QUINT16": ("<u2", "int_val"),
    "DT_UINT16": ("<u2", "int_val"),
    "DT_COMPLEX128": ("<c16", "dcomplex_val"),
    "DT_HALF": ("<f2", "half_val"),
    "DT_UINT32": ("<u4", "uint32_val"),
    "DT_UINT64": ("<u8", "uint64_val"),
}
_PACKED_FIELDS = frozenset(field.name for field in _PackedTensor.DESCRIPTOR.fields)

# numpy dtype name -> TensorFlow dtype; of several, the plain one.
_FROM_NUMPY = {
    np.dtype(code).name: name
    for name, (code, _) in _TENSORS.items()
    if not name.startswith(("DT_Q", "DT_BFLOAT16"))
} | {"bfloat16": "DT_BFLOAT16"}

# TensorFlow's number of a dtype -> (its name, the dtype of the elements as sent and as given, the typed field).
_BY_NUMBER = {
    DATA_TYPES[name]: (name, np.dtype(code), np.dtype(code).newbyteorder("="), field)
    for name, (code, field) in _TENSORS.items()
}
# Runs of so few elements are read one by one: it costs less than a second view of the message.
_FEW = 16

# Elements beyond the sent ones repeat the last. A message of a few bytes may claim any size so; beyond this
# one it is an accident or an attack.
_MAX_REPEATED_BYTES = 2**28
# TensorFlow's own limit (tensor_shape.h). A message may list millions of sizes, whose product takes hours.
_MAX_DIMENSIONS = 254


def data_type_name(data_type: int) -> str:
    """Returns a dtype's name as TensorFlow writes it in its messages, such as `DT_FLOAT`."""
    value = _DataType.values_by_number.get(data_type)
    return value.name if value else f"DataType {data_type}"


def base_data_type(data_type: int) -> int:
    """Returns the dtype of the values that a reference type refers to; any other unchanged."""
    return data_type - 100 if data_type > 100 else data_type


def numpy_dtype(data_type: int) -> np.dtype:
    """Returns the dtype of the array that `to_array` makes from a tensor; strings are objects.

    BFLOAT16 is ml_dtypes.bfloat16 where that package is installed (TensorFlow brings it), and
    float32, which holds every bfloat16 exactly, elsewhere.

    Raises:
        TensorError: There is no array for this dtype.
    """
    name = data_type_name(base_data_type(data_type))
    if name not in _TENSORS:
        raise TensorError(f"Tensors of type {name} cannot be turned into arrays.")
    if name == "DT_BFLOAT16":
        return _bfloat16() or np.dtype(np.float32)
    return np.dtype(_TENSORS[name][0]).newbyteorder("=")


@functools.cache
def _bfloat16() -> Optional[np.dtype]:
    """Returns numpy's bfloat16, or None without ml_dtypes."""
    try:
        import ml_dtypes  # not a requirement; found only beside TensorFlow or JAX
    except ImportError:
        return None
    return np.dtype(ml_dtypes.bfloat16)


def data_type_of(dtype: np.dtype) -> int:
    """Returns the TensorFlow dtype for arrays of a numpy dtype; text, bytes and objects are STRING.

    Raises:
        TensorError: TensorFlow has no such dtype.
    """
    dtype = np.dtype(dtype)
    name = "DT_STRING" if dtype.kind in "SUO" else _FROM_NUMPY.get(dtype.name)
    if name is None:
        raise TensorError(f"Arrays of numpy type {dtype} cannot be sent as a tensor.")
    return DATA_TYPES[name]


def memory_field(dtype: np.dtype) -> Optional[tuple[int, str]]:
    """Returns the TensorFlow dtype and the typed field of arrays whose memory is what travels.

    Returns:
        None for what has to be rewritten: text, objects, bfloat16, bytes in another order.
    """
    name = _FROM_NUMPY.get(dtype.name)
    if name in (None, "DT_STRING", "DT_BFLOAT16") or np.dtype(_TENSORS[name][0]) != dtype:
        return None
    return DATA_TYPES[name], _TENSORS[name][1]


def to_array(tensor: Any) -> np.ndarray:
    """Returns a tensor's elements as an array of its own.

    Both forms are read as TensorFlow reads them: tensor_content must have the exact size; of a
    typed field, surplus elements are ignored, the last one is repeated for missing ones, and an
    empty one means zeros (or empty strings).

    Args:
        tensor: A TensorProto, ours or TensorFlow's.

    Returns:
        Array of the tensor's shape; see `numpy_dtype` for its type. Strings are bytes objects.

    Raises:
        TensorError: The tensor has no usable dtype or shape, or content of the wrong size.
    """
    found = _BY_NUMBER.get(tensor.dtype)
    if found is None:
        name = data_type_name(tensor.dtype)
        raise TensorError(f"A tensor of type {name} cannot be turned into an array.")
    name, dtype, native, field = found
    sent_shape = tensor.tensor_shape
    shape = tuple([dim.size for dim in sent_shape.dim])
    if len(shape) > _MAX_DIMENSIONS:
        raise TensorError(
            f"A tensor has at most {_MAX_DIMENSIONS} dimensions; this {name} tensor has "
            f"{len(shape)}."
        )
    if sent_shape.unknown_rank or (shape and min(shape) < 0):
        raise TensorError(f"A tensor needs a complete shape; this {name} tensor has {list(shape)}.")
    count = math.prod(shape)
    content = tensor.tensor_content
    if not content:
        values = _read_field(tensor, name, field, dtype)
        if len(values) != count:
            values = _repeat_last(values, count, name)
    elif name == "DT_STRING":
        values = _read_string_content(content, count)
    elif len(content) != count * dtype.itemsize:
        raise TensorError(
            f"A {name} tensor of shape {list(shape)} has {count * dtype.itemsize} bytes of "
            f"tensor_content; got {len(content)}."
        )
    else:
        values = np.frombuffer(content, dtype).copy()
    try:
        values = values.astype(native, copy=False).reshape(shape)
    except ValueError as error:  # more dimensions than numpy has
        raise TensorError(f"numpy has no array of shape {list(shape)}: {error}.") from error
    return _from_bfloat16_bits(values) if name == "DT_BFLOAT16" else values


def _read_field(tensor: Any, name: str, field: str, dtype: np.dtype) -> np.ndarray:
    """Returns the elements of the typed field of the dtype called name; [n], n as sent."""
    if field in _PACKED_FIELDS and (dtype.kind == "c" or len(getattr(tensor, field)) > _FEW):
        # Python writes the field as one packed run, whoever filled it; see packed.proto.
        run = getattr(_PackedTensor.FromString(tensor.SerializeToString()), field)
        return np.frombuffer(run, dtype, count=len(run) // dtype.itemsize).copy()
    values = list(getattr(tensor, field))
    if name == "DT_STRING":
        return _object_array(values)
    if field == "half_val":
        return np.array(values, np.int32).astype("<u2").view(dtype)
    if field == "int_val":
        return np.array(values, np.int32).astype(dtype)  # the low bits, as a C++ cast
    return np.array(values, dtype)


def _repeat_last(values: np.ndarray, count: int, name: str) -> np.ndarray:
    """Returns exactly count elements: surplus cut, the last repeated, or zeros without any."""
    if len(values) >= count:
        return values[:count]
    if count * values.itemsize > _MAX_REPEATED_BYTES:
        raise TensorError(
            f"A {name} tensor with {len(values)} elements claims a shape of {count} elements."
        )
    if len(values) == 0:
        return np.full(count, b"" if name == "DT_STRING" else 0, values.dtype)
    return np.concatenate([values, np.full(count - len(values), values[-1], values.dtype)])


def _read_string_content(content: bytes, count: int) -> np.ndarray:
    """Returns the strings of tensor_content: count varint lengths, then the bytes of each; [count].

    Raises:
        TensorError: The lengths and the bytes do not agree.
    """
    lengths: list[int] = []
    place = 0
    while len(lengths) < count and place < len(content):
        length = shift = 0
        while place < len(content):
            byte = content[place]
            place += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            # A longer one is no length, and would take time by the square of its own.
            if byte < 0x80 or shift > 63:
                break
        lengths.append(length)
    if len(lengths) != count or place + sum(lengths) != len(content):
        raise TensorError(
            f"A DT_STRING tensor of {count} elements has {len(content)} bytes of tensor_content "
            "that do not divide into that many strings."
        )
    values = []
    for length in lengths:
        values.append(content[place : place + length])
        place += length
    return _object_array(values)


def _object_array(values: list) -> np.ndarray:
    """Returns values as an array of objects; [len(values)]."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _from_bfloat16_bits(bits: np.ndarray) -> np.ndarray:
    """Returns the numbers whose bfloat16 bit patterns are given as uint16; same shape."""
    bfloat16 = _bfloat16()
    if bfloat16 is not None:
        return bits.view(bfloat16)
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _to_bfloat16_bits(array: np.ndarray) -> np.ndarray:
    """Returns the uint16 bit patterns of an array rounded to bfloat16, half to even."""
    if array.dtype.name == "bfloat16":
        return array.view(np.uint16)
    single = array.astype(np.float32)
    bits = single.reshape(-1).view(np.uint32)
    rounded = ((bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16).astype(np.uint16)
    not_a_number = np.isnan(single).reshape(-1)
    rounded[not_a_number] = (bits[not_a_number] >> 16 | 0x40).astype(np.uint16)
    return rounded.reshape(array.shape)


def to_tensor_proto(array: Any, as_content: bool = True, data_type: Optional[int] = None) -> Any:
    """Returns an array as a TensorProto.

    Args:
        array: Array or nested list of one shape; text is sent as UTF-8.
        as_content: Whether numbers travel in tensor_content. Otherwise every element is written to
            the typed field, as servers answer. Strings always go to string_val.
        data_type: The TensorFlow dtype to send, such as `DATA_TYPES["DT_FLOAT"]`; None takes
            the one of the array. The values are cast to it without a check.

    Raises:
        TensorError: The array has no tensor: mixed or ragged rows, unknown type, objects that are
            neither text nor bytes.
    """
    try:
        values = array if isinstance(array, (np.ndarray, np.generic)) else _as_array(array)
        values = np.asarray(values)
        data_type = data_type_of(values.dtype) if data_type is None else data_type
        name = data_type_name(data_type)
        if name not in _TENSORS:
            raise TensorError(f"An array cannot be sent as a tensor of type {name}.")
        code, field = _TENSORS[name]
        if name == "DT_BFLOAT16":
            values = _to_bfloat16_bits(values)
        elif name != "DT_STRING":
            values = values.astype(code, order="C", copy=False)
    except TensorError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise TensorError(f"The value has no tensor: {error}.") from error
    tensor = TensorProto(dtype=data_type)
    for size in values.shape:
        tensor.tensor_shape.dim.add().size = size
    if name == "DT_STRING":
        tensor.string_val.extend(_as_bytes(value) for value in values.reshape(-1).tolist())
    elif as_content:
        tensor.tensor_content = values.tobytes()
    elif field in _PACKED_FIELDS:
        tensor.MergeFromString(_PackedTensor(**{field: values.tobytes()}).SerializeToString())
    elif field == "half_val":
        tensor.half_val.extend(values.reshape(-1).view(np.uint16).tolist())
    else:
        getattr(tensor, field).extend(values.reshape(-1).tolist())
    return tensor


def _as_array(value: Any) -> np.ndarray:
    """Returns nested lists as an array; text and bytes stay the objects they are.

    numpy's own type for bytes drops zero bytes at the end, which serialised messages may have.
    """
    first = value
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    array = np.asarray(value, dtype=object if isinstance(first, (str, bytes)) else None)
    return np.asarray(value, dtype=object) if array.dtype.kind in "SU" else array


def _as_bytes(value: Any) -> bytes:
    """Returns one element of a string tensor.

    Raises:
        TensorError: It is neither text nor bytes.
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TensorError(f"A string tensor holds text or bytes; got {value!r}.")
