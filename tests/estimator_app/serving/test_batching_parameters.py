"""BatchingParameters: what a file says, and what is refused."""

import os

import pytest

from estimator_app.serving import batching_parameters, text_files
from export import errors


def _read(tmp_path, text):
    path = tmp_path / "batching_params.pbtxt"
    path.write_text(text)
    return batching_parameters.read(str(path))


def test_every_parameter_is_read(tmp_path):
    parameters = _read(
        tmp_path,
        """
        max_batch_size { value: 128 }
        batch_timeout_micros: { value: 1000 }
        max_enqueued_batches { value: 0 }
        num_batch_threads { value: 3 }
        thread_pool_name { value: "pool" }
        enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 64 }
        allowed_batch_sizes: [32, 64]
        allowed_batch_sizes: 128
        pad_variable_length_inputs: true
        """,
    )
    assert parameters == batching_parameters.BatchingParameters(
        max_batch_size=128,
        batch_timeout_micros=1000,
        max_enqueued_batches=0,
        num_batch_threads=3,
        thread_pool_name="pool",
        enable_large_batch_splitting=True,
        max_execution_batch_size=64,
        allowed_batch_sizes=(32, 64, 128),
        pad_variable_length_inputs=True,
    )


def test_defaults_are_those_of_the_stock_server(tmp_path):
    parameters = _read(tmp_path, "")
    assert parameters == batching_parameters.BatchingParameters(
        max_batch_size=1000,
        batch_timeout_micros=0,
        max_enqueued_batches=10,
        num_batch_threads=os.cpu_count() or 1,
        thread_pool_name="batch_threads",
    )
    assert parameters.rows_per_batch == 1000
    assert batching_parameters.read("").thread_pool_name == "model_server_batch_threads"


def test_numbers_are_those_of_the_stock_server():
    message = text_files.BatchingParameters(
        max_batch_size={"value": 1},
        batch_timeout_micros={"value": 2},
        max_enqueued_batches={"value": 3},
        num_batch_threads={"value": 4},
        thread_pool_name={"value": "p"},
        allowed_batch_sizes=[6],
        pad_variable_length_inputs=True,
        enable_large_batch_splitting={"value": True},
        max_execution_batch_size={"value": 9},
    )
    assert message.SerializeToString() == (
        b"\x0a\x02\x08\x01\x12\x02\x08\x02\x1a\x02\x08\x03\x22\x02\x08\x04\x2a\x03\x0a\x01p"
        b"\x32\x01\x06\x38\x01\x42\x02\x08\x01\x4a\x02\x08\x09"
    )


def test_value_without_its_wrapper_does_not_parse(tmp_path, caplog):
    with pytest.raises(errors.ServableError) as caught:
        _read(tmp_path, "max_batch_size: 128")
    assert caught.value.message == f"Invalid protobuf file: '{tmp_path}/batching_params.pbtxt'"
    assert "Error parsing text-format tensorflow.serving.BatchingParameters: 1:" in caplog.text


def test_version_without_a_file_has_none(tmp_path):
    assert batching_parameters.read_per_model(str(tmp_path)) is None
    _read(tmp_path, "max_batch_size { value: 7 }")
    found = batching_parameters.read_per_model(str(tmp_path))
    assert found == batching_parameters.BatchingParameters(max_batch_size=7)


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; "
            "expected 8",
        ),
        (
            "allowed_batch_sizes: 4",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; "
            "expected 1000",
        ),
        ("max_batch_size { value: 0 }", "input_batch_size_limit must be positive; was 0"),
        (
            "batch_timeout_micros { value: -1 }",
            "batch_timeout_micros must be non-negative; was -1",
        ),
        ("max_enqueued_batches { value: -1 }", "max_enqueued_batches must be positive; was -1"),
        (
            "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }",
            "max_enqueued_batches must be positive; was 0",
        ),
        (
            "max_batch_size { value: 4 } enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 8 }",
            "When enable_large_batch_splitting is true, input_batch_size_limit must be greater "
            "than or equal to max_execution_batch_size.148",
        ),
    ],
)
def test_wrong_queue_is_refused(tmp_path, text, message):
    with pytest.raises(errors.ServableError) as caught:
        _read(tmp_path, text).check_queue()
    assert str(caught.value) == f"INVALID_ARGUMENT: {message}"


def test_no_thread_is_refused(tmp_path):
    with pytest.raises(errors.ServableError) as caught:
        _read(tmp_path, "num_batch_threads { value: 0 }").check_threads()
    assert str(caught.value) == "INVALID_ARGUMENT: num_batch_threads must be positive; was 0"


@pytest.mark.parametrize("rows, filled", [(0, 0), (1, 2), (2, 2), (3, 8), (8, 8), (9, 9)])
def test_batch_is_filled_to_the_next_allowed_size(rows, filled):
    parameters = batching_parameters.BatchingParameters(allowed_batch_sizes=(2, 8))
    assert parameters.padded_size(rows) == filled


def test_without_allowed_sizes_nothing_is_filled():
    assert batching_parameters.BatchingParameters().padded_size(3) == 3
