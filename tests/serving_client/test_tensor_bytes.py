"""The bytes of tensors in maps, against what protobuf reads from them."""

import numpy as np
import pytest

from serving_client import tensor_bytes, wire
from tests.serving_client.test_wire import NUMPY_TYPES, some_array

_OUTPUTS = b"\x0a"


def _read(arrays, as_content):
    data = b"".join(tensor_bytes.map_entries(_OUTPUTS, arrays, as_content))
    return wire.PredictResponse.FromString(data).outputs


@pytest.mark.parametrize("as_content", [True, False])
@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_entries_are_those_of_the_messages(dtype, as_content):
    array = some_array(dtype)
    for value in (array, array.T, array[:0], array.ravel()[1], np.asarray(array[0, 1])):
        (found,) = _read({"name": np.asarray(value)}, as_content).values()
        assert found == wire.to_tensor_proto(value, as_content=as_content)


def test_strings_and_other_byte_orders_are_the_same_too():
    arrays = {
        "text": np.array([b"a\x00", b"\xff"], object),
        "big": np.array([1.5, 2.5], ">f4"),
        "long name " * 30: np.arange(1000, dtype=np.float32).reshape(10, 100),
        "large": np.arange(2000, dtype=np.float64).reshape(10, 200),
        "turned": np.arange(2000, dtype=np.float64).reshape(10, 200).T,
    }
    for as_content in (True, False):
        found = _read(arrays, as_content)
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert found[name] == wire.to_tensor_proto(array, as_content=as_content)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**21 - 1, 2**21, 2**63 - 1])
def test_numbers_are_protobufs_varints(number):
    # Field 1 of a size in a shape is an int64.
    size = wire.TensorShapeProto.Dim.FromString(b"\x08" + tensor_bytes.varint(number))
    assert size.size == number


def test_an_array_without_a_tensor_is_an_error():
    with pytest.raises(wire.TensorError, match="cannot be sent as a tensor"):
        tensor_bytes.map_entries(_OUTPUTS, {"when": np.array(["2020-01-01"], "M8[D]")}, True)
