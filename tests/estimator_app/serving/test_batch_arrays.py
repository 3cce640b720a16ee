"""Arrays of requests below each other, and apart again."""

import numpy as np
import pytest

from estimator_app.serving import batch_arrays
from export import errors


def _refusal(call, *args):
    with pytest.raises(errors.ServableError) as caught:
        call(*args)
    return caught.value.code.name, caught.value.message


def test_rows_are_the_first_size_of_all():
    assert batch_arrays.rows_of({"a": np.zeros([3, 2]), "b": np.zeros([3])}) == 3
    assert batch_arrays.rows_of({"a": np.zeros([0, 2])}) == 0


@pytest.mark.parametrize(
    "shapes, message",
    [
        ([], "Batching Run() must have at least one input tensor"),
        ([()], "Batching Run() input tensors must have at least one dimension"),
        ([(2,), ()], "Batching Run() input tensors must have at least one dimension"),
        ([(2,), (3,)], "Batching Run() input tensors must have equal 0th-dimension size"),
        ([(0,), (3,)], "Batching Run() input tensors must have equal 0th-dimension size"),
    ],
)
def test_tensors_without_common_rows_are_refused(shapes, message):
    feeds = {str(number): np.zeros(shape) for number, shape in enumerate(shapes)}
    assert _refusal(batch_arrays.rows_of, feeds) == ("INVALID_ARGUMENT", message)


def test_requests_are_below_each_other_and_apart_again():
    requests = [
        {"a": np.int32([[1, 2]]), "s": np.array([b"x"], object)},
        {"a": np.int32([[3, 4], [5, 6]]), "s": np.array([b"y", b"z\0"], object)},
    ]
    merged = batch_arrays.merge(requests, 2, pad=False)
    np.testing.assert_array_equal(merged["a"], [[1, 2], [3, 4], [5, 6], [3, 4], [3, 4]])
    assert merged["a"].dtype == np.int32
    assert merged["s"].tolist() == [b"x", b"y", b"z\0", b"y", b"y"]
    apart = batch_arrays.split(merged, [1, 2], 5)
    for request, part in zip(requests, apart, strict=True):
        for name, array in request.items():
            np.testing.assert_array_equal(part[name], array)


def test_lone_request_is_not_copied():
    array = np.ones([2, 3])
    assert batch_arrays.merge([{"a": array}], 0, pad=True)["a"] is array
    assert batch_arrays.split({"y": array}, [2], 2)[0]["y"] is array


def test_different_shapes_are_refused():
    requests = [{"x:0": np.zeros([1, 2])}, {"x:0": np.zeros([1, 3])}]
    assert _refusal(batch_arrays.merge, requests, 0, False) == (
        "FAILED_PRECONDITION",
        "Tensors with name 'x:0' from different tasks have different shapes and padding is turned "
        "off. Set pad_variable_length_inputs to true, or ensure that all tensors with the same "
        "name have equal dimensions starting with the first dim.",
    )
    ranks = [{"x:0": np.zeros([1, 2])}, {"x:0": np.zeros([1, 2, 1])}]
    assert _refusal(batch_arrays.merge, ranks, 0, True)[0] == "FAILED_PRECONDITION"


def test_smaller_tensors_are_padded_with_their_first_value():
    requests = [
        {"a": np.float32([[[1, 2, 3]]])},
        {"a": np.float32([[[7], [8]], [[9], [10]]])},
    ]
    merged = batch_arrays.merge(requests, 0, pad=True)["a"]
    np.testing.assert_array_equal(
        merged,
        [[[1, 2, 3], [1, 1, 1]], [[7, 7, 7], [8, 7, 7]], [[9, 7, 7], [10, 7, 7]]],
    )
    assert merged.dtype == np.float32
    words = [{"a": np.array([[b"b", b"c"]], object)}, {"a": np.array([[b"d"]], object)}]
    assert batch_arrays.merge(words, 0, pad=True)["a"].tolist() == [[b"b", b"c"], [b"d", b"d"]]


def test_request_without_values_cannot_be_padded():
    requests = [{"a": np.zeros([1, 2])}, {"a": np.zeros([1, 0])}]
    assert _refusal(batch_arrays.merge, requests, 0, True) == (
        "INVALID_ARGUMENT",
        "Got empty tensor in batch of non-empty tensors.",
    )
    requests = [{"a": np.zeros([1, 2])}, {"a": np.zeros([0, 5])}]
    assert batch_arrays.merge(requests, 0, True)["a"].shape == (1, 5)


@pytest.mark.parametrize(
    "output, message",
    [
        (np.float32(1), "Batched output tensor has 0 dimensions"),
        (
            np.zeros([4]),
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
            "sizes of the input tensors",
        ),
    ],
)
def test_output_without_the_rows_is_refused(output, message):
    found = _refusal(batch_arrays.split, {"y": np.asarray(output)}, [1, 2], 3)
    assert found == ("FAILED_PRECONDITION", message)


def test_parts_are_joined():
    array = np.arange(10).reshape(5, 2)
    parts = [batch_arrays.rows_between({"a": array}, *ends) for ends in ((0, 2), (2, 5))]
    np.testing.assert_array_equal(batch_arrays.join(parts)["a"], array)
