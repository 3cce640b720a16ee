"""Users' values as tensors of a signature, and as tf.Examples."""

import numpy as np
import pytest

from serving_client import encoding, errors, metadata, wire


def signature(optional=(), **inputs) -> metadata.Signature:
    specs = {
        name: metadata.TensorSpec(name, wire.DATA_TYPES[dtype], (None,))
        for name, dtype in inputs.items()
    }
    return metadata.Signature("predict", metadata.PREDICT, specs, {}, frozenset(optional))


def encoded(value, dtype: str) -> np.ndarray:
    """Returns what a server reads for an input of dtype, whatever its shape."""
    tensors = encoding.encode_inputs(signature(x=dtype), {"x": value}, check_shapes=False)
    return wire.to_array(tensors["x"])


def test_other_shapes_than_the_signatures_are_refused():
    specs = {
        "rows": metadata.TensorSpec("rows", wire.DATA_TYPES["DT_FLOAT"], (None, 2)),
        "any": metadata.TensorSpec("any", wire.DATA_TYPES["DT_FLOAT"], None),
        "one": metadata.TensorSpec("one", wire.DATA_TYPES["DT_FLOAT"], ()),
    }
    asked = metadata.Signature("predict", metadata.PREDICT, specs, {})
    good = {"rows": [[1, 2], [3, 4], [5, 6]], "any": [[[1]]], "one": 3}
    assert encoding.encode_inputs(asked, good).keys() == specs.keys()
    for wrong, sentence in [
        ({"rows": [1, 2]}, "Input 'rows' takes the shape [?, 2]; got [2]."),
        ({"rows": [[1, 2, 3]]}, "Input 'rows' takes the shape [?, 2]; got [1, 3]."),
        ({"one": [3]}, "Input 'one' takes the shape []; got [1]."),
    ]:
        with pytest.raises(errors.InputError) as caught:
            encoding.encode_inputs(asked, {**good, **wrong})
        assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "value, dtype, expected",
    [
        ([1, 2], "DT_FLOAT", np.float32([1, 2])),
        ([0.1, True], "DT_FLOAT", np.float32([0.1, 1])),
        (np.float64([[0.1]]), "DT_HALF", np.float16([[0.1]])),
        ([1.0, -3.0], "DT_INT64", np.int64([1, -3])),
        ([255], "DT_UINT8", np.uint8([255])),
        ([2**64 - 1], "DT_UINT64", np.uint64([2**64 - 1])),
        ([0, 1, True], "DT_BOOL", np.bool_([0, 1, 1])),
        ([1, 2j], "DT_COMPLEX64", np.complex64([1, 2j])),
        (7, "DT_INT32", np.int32(7)),
        ([], "DT_INT32", np.int32([])),
        ([float("inf"), float("nan")], "DT_FLOAT", np.float32([np.inf, np.nan])),
    ],
)
def test_values_take_the_dtype_of_the_signature(value, dtype, expected):
    result = encoded(value, dtype)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


def test_text_and_bytes_are_strings():
    assert encoded(["é", b"\x00"], "DT_STRING").tolist() == ["é".encode(), b"\x00"]
    assert encoded("one", "DT_STRING").tolist() == b"one"


@pytest.mark.parametrize(
    "value, dtype, sentence",
    [
        ([1, 1.5], "DT_INT64", "Input 'x' takes int64: 1.5 at [1] does not fit."),
        ([[1], [300]], "DT_INT8", "Input 'x' takes int8: 300 at [1, 0] does not fit."),
        (-1, "DT_UINT32", "Input 'x' takes uint32: -1 does not fit."),
        ([2.0**63], "DT_INT64", "takes int64: 9.223372036854775808e+18 at [0] does not fit."),
        ([float("nan")], "DT_INT32", "Input 'x' takes int32: nan at [0] does not fit."),
        ([2], "DT_BOOL", "Input 'x' takes bool: 2 at [0] does not fit."),
        ([1e300], "DT_FLOAT", "Input 'x' takes float32: 1e+300 at [0] does not fit."),
        ([1j], "DT_FLOAT", "Input 'x' takes float32: complex numbers do not fit."),
        (["39"], "DT_FLOAT", "Input 'x' takes float32: '39' at [0] is not a number."),
        ([1, None], "DT_FLOAT", "Input 'x' takes float32: None at [1] is not a number."),
        ([2**70], "DT_INT64", "Input 'x' takes int64: a number beyond 64 bits does not fit."),
        (
            [1, 2],
            "DT_STRING",
            "Input 'x' takes string: A string tensor holds text or bytes; got 1.",
        ),
        ([[1], [2, 3]], "DT_FLOAT", "Input 'x' takes float32: rows of different lengths"),
        ([1], "DT_RESOURCE", "Tensors of type DT_RESOURCE cannot be turned into arrays."),
    ],
)
def test_value_that_would_be_lost_is_refused(value, dtype, sentence):
    with pytest.raises(errors.InputError) as caught:
        encoded(value, dtype)
    assert sentence.replace("9.223372036854775808e+18", "9.223372036854776e+18") in str(
        caught.value
    )


def test_missing_and_unknown_inputs_are_named_with_what_is_taken():
    asked = signature(age="DT_INT64", hours="DT_FLOAT")
    with pytest.raises(errors.InputError) as caught:
        encoding.encode_inputs(asked, {"aeg": [1], "hours": [2.0]})
    assert str(caught.value) == (
        "The inputs do not fit signature 'predict' (missing: age; unknown: aeg); "
        "it takes age: int64 [?]; hours: float32 [?]."
    )


def test_input_with_a_default_may_be_left_out():
    asked = signature(optional=["hours"], age="DT_INT64", hours="DT_FLOAT")
    assert list(encoding.encode_inputs(asked, {"age": [1]})) == ["age"]


def test_example_features_take_the_kind_of_their_values():
    example = encoding.make_example(
        {
            "text": "é",
            "bytes": [b"\xff", "a"],
            "whole": np.int32(3),
            "flag": True,
            "real": [1, 2.5],
            "pixels": np.float32([[1, 2], [3, 4]]),
            "nothing": None,
            "none": [],
        }
    )
    feature = example.features.feature
    assert list(feature["text"].bytes_list.value) == ["é".encode()]
    assert list(feature["bytes"].bytes_list.value) == [b"\xff", b"a"]
    assert list(feature["whole"].int64_list.value) == [3]
    assert list(feature["flag"].int64_list.value) == [1]
    assert list(feature["real"].float_list.value) == [1.0, 2.5]
    assert list(feature["pixels"].float_list.value) == [1, 2, 3, 4]
    assert "nothing" not in feature
    assert feature["none"].WhichOneof("kind") is None


def test_examples_of_tensorflow_and_serialised_ones_are_taken():
    from tensorflow.core.example import example_pb2

    official = example_pb2.Example()
    official.features.feature["a"].int64_list.value.append(1)
    ours = encoding.make_example(official)
    assert isinstance(ours, wire.Example)
    assert (
        encoding.make_example(official.SerializeToString()) == ours == encoding.make_example(ours)
    )
    assert encoding.make_example({"a": 1}) == ours


@pytest.mark.parametrize(
    "value, sentence",
    [
        (["a", 1], "Feature 'x' takes numbers, or text and bytes; got ['a', 1]."),
        ({"a": 1}, "Feature 'x' takes numbers, or text and bytes; got {'a': 1}."),
        (2**63, "Feature 'x': 9223372036854775808 does not fit into int64."),
    ],
)
def test_value_that_no_feature_holds_is_refused(value, sentence):
    with pytest.raises(errors.InputError) as caught:
        encoding.make_example({"x": value})
    assert str(caught.value) == sentence


def test_bytes_that_are_no_example_are_refused():
    with pytest.raises(errors.InputError) as caught:
        encoding.make_example(b"39,Private")
    assert str(caught.value) == "b'39,Private' is no serialised tf.Example."
