"""Requests written as bytes, against those that the messages make."""

import numpy as np
import pytest

from serving_client import encoding, metadata, predict_bytes, wire

_START = wire.PredictRequest(model_spec={"name": "model"}, output_filter=["y"])


def _signature(**inputs):
    specs = {
        name: metadata.TensorSpec(name, wire.DATA_TYPES[dtype], shape)
        for name, (dtype, shape) in inputs.items()
    }
    return metadata.Signature("serving_default", metadata.PREDICT, specs, {})


_NUMBERS = _signature(x=("DT_FLOAT", (None, 2)), n=("DT_INT64", (None,)))


def _expected(signature, inputs):
    request = wire.PredictRequest.FromString(_START.SerializeToString())
    for name, tensor in encoding.encode_inputs(signature, inputs).items():
        request.inputs[name].CopyFrom(tensor)
    return request


def _encoder(signature, check_shapes=True):
    return predict_bytes.PredictEncoder(_START.SerializeToString(), signature, check_shapes)


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": np.ones([3, 2], np.float32), "n": np.arange(3)},
        {"n": [1, 2], "x": [[1, 2], [3, 4.5]]},
        {"x": np.ones([2, 2]), "n": np.float32([1, 2])},
        {"x": np.ones([4, 4], np.float32)[::2, ::2], "n": np.arange(4)[::-2]},
        {"x": np.ones([2, 2], ">f4"), "n": np.arange(2, dtype=np.int8)},
        {"x": np.zeros([0, 2], np.float32), "n": np.zeros([0], np.int64)},
    ],
)
def test_bytes_are_those_of_the_message_at_every_call(inputs):
    encoder = _encoder(_NUMBERS)
    for _ in range(3):
        assert wire.PredictRequest.FromString(encoder.encode(inputs)) == _expected(_NUMBERS, inputs)


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": np.ones([1, 2], np.float32)},
        {"x": np.ones([1, 2], np.float32), "n": [1], "z": [1]},
        {"x": np.ones([1, 3], np.float32), "n": [1]},
        {"x": [["a", "b"]], "n": [1]},
        {"x": [[1, 2]], "n": [0.5]},
        {"x": [[1, 2], [3]], "n": [1]},
    ],
)
def test_what_does_not_fit_is_left_to_the_encoding_that_says_why(inputs):
    encoder = _encoder(_NUMBERS)
    encoder.encode({"x": np.ones([1, 2], np.float32), "n": np.arange(1)})
    assert encoder.encode(inputs) is None


def test_an_array_of_a_known_shape_but_another_dtype_is_converted():
    encoder = _encoder(_NUMBERS)
    encoder.encode({"x": np.float32([[1, 2]]), "n": np.arange(1)})
    inputs = {"x": np.float64([[0.1, 0.2]]), "n": np.arange(1)}
    assert wire.PredictRequest.FromString(encoder.encode(inputs)) == _expected(_NUMBERS, inputs)


@pytest.mark.parametrize(
    "dtype, value", [("DT_STRING", ["é", b"\0"]), ("DT_BFLOAT16", [1.5, 2]), ("DT_QINT8", [1, 2])]
)
def test_dtypes_that_do_not_travel_as_they_are_become_messages(dtype, value):
    signature = _signature(n=("DT_INT64", (None,)), x=(dtype, (None,)))
    encoder = _encoder(signature)
    for inputs in ({"n": np.arange(2), "x": value}, {"x": value, "n": [1]}):
        expected = _expected(signature, inputs)
        assert wire.PredictRequest.FromString(encoder.encode(inputs)) == expected
    assert encoder.encode({"n": [1], "x": ["a", 1]}) is None
    assert encoder.encode({"n": [1], "x": [value]}) is None


def test_shapes_are_left_to_the_server_if_the_settings_say_so():
    signature = _signature(x=("DT_FLOAT", (None, 2)))
    assert _encoder(signature, check_shapes=False).encode({"x": np.float32([1, 2])})


def test_ever_new_shapes_are_not_all_kept():
    encoder = _encoder(_signature(x=("DT_FLOAT", (None,))))
    for size in range(1500):
        encoder.encode({"x": np.zeros(size, np.float32)})
    assert len(encoder._entries) <= 1000
