"""Arrays from JSON and back, without a server."""

import json

import numpy as np
import pytest

from estimator_app.serving import json_examples, json_outputs, json_tensors, json_text
from export import errors, signatures
from serving_client import wire


def _read(dtype, value):
    specs = {"x": signatures.TensorSpec("x:0", dtype, None)}
    arrays, rows = json_tensors.read_inputs({"inputs": value}, specs)
    assert not rows
    return arrays["x"]


@pytest.mark.parametrize(
    "dtype, value, expected",
    [
        ("float32", [1, 2.5], np.float32([1, 2.5])),
        ("float32", 1e300, np.float32(np.inf)),
        ("float64", [[0.1]], np.float64([[0.1]])),
        ("int8", [127, -128, 300], np.int8([127, -128, 44])),
        ("uint8", [255], np.uint8([255])),
        ("int32", [-(2**31)], np.int32([-(2**31)])),
        ("int64", 2**62, np.int64(2**62)),
        ("uint32", [2**32 - 1], np.uint32([2**32 - 1])),
        ("uint64", [2**64 - 1], np.uint64([2**64 - 1])),
        ("bool", [True, False], np.array([True, False])),
        ("float32", [], np.zeros([0], np.float32)),
        ("float32", [[], []], np.zeros([2, 0], np.float32)),
    ],
)
def test_numbers_take_the_declared_type(dtype, value, expected):
    found = _read(dtype, value)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape


def test_strings_are_bytes():
    value = [["text", "\u00fc"], [{"b64": "/wA="}, {"b64": "YQ"}]]
    found = _read("string", value)
    assert found.tolist() == [[b"text", b"\xc3\xbc"], [b"\xff\x00", b"a"]]
    assert _read("string", {"b64": "YQ=="}).item() == b"a"


@pytest.mark.parametrize(
    "dtype, value, found",
    [
        ("int32", 2**31, "JSON Value: 2147483648 Type: Number is not of expected type: int32"),
        ("int64", 2**63, "Type: Number is not of expected type: int64"),
        ("uint64", -1, "JSON Value: -1 Type: Number is not of expected type: uint64"),
        ("int32", False, "JSON Value: false Type: False is not of expected type: int32"),
        ("bool", 1, "JSON Value: 1 Type: Number is not of expected type: bool"),
        ("string", 1.5, "JSON Value: 1.5 Type: Number is not of expected type: string"),
        ("float64", None, "JSON Value: null Type: Null is not of expected type: double"),
        ("float32", {"b64": "YQ=="}, "Type: Object is not of expected type: float"),
    ],
)
def test_value_of_another_type(dtype, value, found):
    with pytest.raises(errors.ServableError) as caught:
        _read(dtype, value)
    assert caught.value.code == errors.Code.INVALID_ARGUMENT
    assert found in caught.value.message


def test_every_type_is_written():
    outputs = {
        "bool": np.array([True, False]),
        "double": np.array([0.1, -1e300]),
        "int8": np.array([-128, 1], np.int8),
        "string": np.array(["\u00fc".encode(), b"plain"], object),
        "string_bytes": np.array([b"\xff\x00", b""], object),
        "uint64": np.array([2**64 - 1, 0], np.uint64),
    }
    expected = {
        "bool": [True, False],
        "double": [0.1, -1e300],
        "int8": [-128, 1],
        "string": ["\u00fc", "plain"],
        "string_bytes": [{"b64": "/wA="}, {"b64": ""}],
        "uint64": [2**64 - 1, 0],
    }
    columns = json.loads(json_outputs.write_outputs(outputs, rows=False))
    assert columns == {"outputs": expected}
    rows = json.loads(json_outputs.write_outputs(outputs, rows=True))["predictions"]
    assert rows == [{name: expected[name][i] for name in outputs} for i in range(2)]


def test_rows_of_objects_are_laid_out_as_by_the_stock_server():
    outputs = {"a": np.float32([[1, 2]]), "b": np.float32([3])}
    assert json_outputs.write_outputs(outputs, rows=True) == (
        '{\n    "predictions": [\n        {\n            "a": [1.0, 2.0],\n            "b": 3.0\n'
        "        }\n    ]\n}"
    )


@pytest.mark.parametrize(
    "outputs, rows, message",
    [
        ({"a": np.float32(1)}, True, "Tensor name: a has no shape information "),
        (
            {"a": np.zeros([2]), "b": np.zeros([3])},
            True,
            "Tensor name: b has inconsistent batch size: 3 expecting: 2",
        ),
        (
            {"a": np.float16([1])},
            False,
            "Failed to write JSON value for tensor type: half",
        ),
        (
            {"a": np.complex64([1])},
            True,
            "Failed to write JSON value for tensor type: complex64",
        ),
    ],
)
def test_output_without_json(outputs, rows, message):
    with pytest.raises(errors.ServableError) as caught:
        json_outputs.write_outputs(outputs, rows)
    assert caught.value.message == message


@pytest.mark.parametrize(
    "body, offset",
    [(b'"' + b'\\"' * 2_000_000, 0), (b'{"a": "' + b"\\\\" * 2_000_000, 6)],
    ids=["quotes", "backslashes"],
)
def test_string_without_an_end_takes_no_time_by_the_square_of_its_size(body, offset):
    with pytest.raises(errors.ServableError) as caught:
        json_text.parse_object(body)
    assert caught.value.message == (
        "JSON Parse error: Missing a closing quotation mark in string. at offset: " f"{offset}"
    )


def _float_column():
    return {"x": signatures.TensorSpec("x:0", "float32", None)}


def test_list_of_more_levels_than_arrays_have_is_refused():
    for levels, found in ((31, None), (32, 33), (900, 901)):
        value = 1.0
        for _ in range(levels):
            value = [value]
        if found is None:
            arrays, _ = json_tensors.read_inputs({"instances": [value]}, _float_column())
            assert arrays["x"].ndim == 32
            continue
        with pytest.raises(errors.ServableError) as caught:
            json_tensors.read_inputs({"instances": [[value]]}, _float_column())
        assert caught.value.message.endswith(
            f"Expected a list of fewer than 32 levels, found {found}. Send the values in the shape "
            "that the signature declares."
        )


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_integer_that_no_float_holds_is_refused(number):
    with pytest.raises(errors.ServableError, match="is not of expected type: float"):
        json_tensors.read_inputs({"inputs": number}, _float_column())
    with pytest.raises(errors.ServableError, match="has element with unexpected JSON type: Number"):
        json_examples.read_examples({"examples": [{"x": number}]})


def test_feature_beyond_64_bits_is_a_float_as_for_rapidjson():
    (data,) = json_examples.read_examples({"examples": [{"x": [-(2**63) - 1, 2**64]}]})
    (values,) = wire.Example.FromString(data).features.feature.values()
    assert list(values.float_list.value) == [-(2.0**63), 2.0**64]
