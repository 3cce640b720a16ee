"""Requests that run together: with a function for the session, and with real models."""

from concurrent import futures
import contextlib
import threading

import numpy as np
import pytest

from estimator_app.serving import batching, batching_parameters
from export import checks, errors, servable
from tests import saved_models

_LONG_MICROS = 3_600_000_000
_WAIT_SECS = 30


class _Session:
    """Doubles `x:0` to `y:0` and negates it to `z:0`; notes what it is asked."""

    def __init__(self):
        self.runs = []
        self.answer = None

    def __call__(self, feeds, fetches, timeout_ms):
        self.runs.append((feeds["x:0"].tolist(), tuple(fetches), timeout_ms))
        if self.answer is not None:
            return self.answer()
        return [feeds["x:0"] * {"y:0": 2, "z:0": -1}[name] for name in fetches]


@contextlib.contextmanager
def _batched(run, **parameters):
    """A BatchedRun of one thread, and its Batcher."""
    given = batching_parameters.BatchingParameters(**{"num_batch_threads": 1, **parameters})
    batcher = batching.Batcher(given)
    try:
        yield batcher.wrap("", run), batcher
    finally:
        batcher.stop()


def _x(*rows, dtype=np.int64):
    return {"x:0": np.array([[row] for row in rows], dtype)}


def _ask_all(batched, *requests):
    """Asks each (feeds, fetches, timeout_ms) in a thread; gives futures that are done."""
    with futures.ThreadPoolExecutor(len(requests)) as pool:
        asked = [pool.submit(batched, *request) for request in requests]
        futures.wait(asked, _WAIT_SECS)
    return asked


def _refusal(call, *args):
    with pytest.raises(errors.ServableError) as caught:
        call(*args)
    return str(caught.value)


def test_requests_share_a_run_and_get_their_rows():
    session = _Session()
    with _batched(session, max_batch_size=4, batch_timeout_micros=_LONG_MICROS) as (batched, _):
        one, two, three = _ask_all(
            batched,
            (_x(1), ["y:0", "z:0"], 0),
            (_x(2, 3), ["z:0", "y:0"], 0),
            (_x(4), ["y:0", "z:0"], 0),
        )
    ((rows, fetches, timeout_ms),) = session.runs
    assert sorted(rows) == [[1], [2], [3], [4]] and fetches == ("y:0", "z:0") and timeout_ms == 0
    assert [array.tolist() for array in one.result()] == [[[2]], [[-1]]]
    assert [array.tolist() for array in two.result()] == [[[-2], [-3]], [[4], [6]]]
    assert [array.tolist() for array in three.result()] == [[[8]], [[-4]]]


def test_other_outputs_and_other_dtypes_run_apart():
    session = _Session()
    with _batched(session, max_batch_size=2, batch_timeout_micros=_LONG_MICROS) as (batched, _):
        _ask_all(
            batched,
            (_x(1), ["y:0"], 0),
            (_x(2), ["z:0"], 0),
            (_x(3, dtype=np.float32), ["y:0"], 0),
            (_x(4, dtype=np.float32), ["y:0"], 0),
            (_x(5), ["z:0"], 0),
            (_x(6), ["y:0"], 0),
        )
    found = sorted(sorted(row for (row,) in rows) for rows, _, _ in session.runs)
    assert found == [[1, 6], [2, 5], [3, 4]]


def test_batch_is_filled_with_copies_of_a_row():
    session = _Session()
    with _batched(session, max_batch_size=4, allowed_batch_sizes=(1, 4)) as (batched, _):
        (answer,) = batched(_x(7, 8), ["y:0"], 0)
    assert session.runs[0][0] == [[7], [8], [7], [7]]
    assert answer.tolist() == [[14], [16]]


def test_large_request_is_split_and_joined():
    session = _Session()
    parameters = {"max_execution_batch_size": 2, "enable_large_batch_splitting": True}
    with _batched(session, max_batch_size=9, **parameters) as (batched, _):
        (answer,) = batched(_x(1, 2, 3, 4, 5), ["y:0"], 0)
    assert [rows for rows, _, _ in session.runs] == [[[1], [2]], [[3], [4]], [[5]]]
    assert answer.tolist() == [[2], [4], [6], [8], [10]]


def test_under_load_every_request_gets_its_own_rows():
    session = _Session()
    parameters = {"max_batch_size": 9, "max_execution_batch_size": 4, "num_batch_threads": 3}

    def ask(number):
        start = 0
        for rows in (1, 5, 9, 2, 0, 3, 7) * 5:
            given = np.arange(start, start + rows).reshape(-1, 1) + 1000 * number
            y, z = batched({"x:0": given}, ["y:0", "z:0"], 60_000)
            np.testing.assert_array_equal(y, given * 2)
            np.testing.assert_array_equal(z, -given)
            start += rows

    with _batched(
        session, enable_large_batch_splitting=True, max_enqueued_batches=100, **parameters
    ) as (batched, _), futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8), timeout=_WAIT_SECS))
    assert max(len(rows) for rows, _, _ in session.runs) <= 4


def test_batch_may_take_as_long_as_the_last_of_its_requests():
    session = _Session()
    with _batched(session, max_batch_size=2, batch_timeout_micros=_LONG_MICROS) as (batched, _):
        _ask_all(batched, (_x(1), ["y:0"], 1000), (_x(2), ["y:0"], 1_000_000))
        _ask_all(batched, (_x(1), ["y:0"], 1000), (_x(2), ["y:0"], 0))
    first, second = (timeout_ms for _, _, timeout_ms in session.runs)
    assert 900_000 < first <= 1_000_000 and second == 0


def test_request_without_time_left_is_not_run():
    session = _Session()
    with _batched(session, batch_timeout_micros=2000) as (batched, _):
        found = _refusal(batched, _x(1), ["y:0"], 1)
    assert found == ("RESOURCE_EXHAUSTED: Run() timeout exceeded while waiting in batching queue")
    assert session.runs == []


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda: [np.int64(1)], "FAILED_PRECONDITION: Batched output tensor has 0 dimensions"),
        (
            lambda: [np.zeros([3])],
            "FAILED_PRECONDITION: Batched output tensor's 0th dimension does not equal the sum of "
            "the 0th dimension sizes of the input tensors",
        ),
        (lambda: {}[1], "INTERNAL: KeyError: 1"),
    ],
)
def test_error_of_the_run_is_that_of_every_request(answer, message):
    session = _Session()
    session.answer = answer
    with _batched(session, max_batch_size=2, batch_timeout_micros=_LONG_MICROS) as (batched, _):
        asked = _ask_all(batched, (_x(1), ["y:0"], 0), (_x(2), ["y:0"], 0))
        first, second = (future.exception() for future in asked)
        assert str(first) == str(second) == message and first is not second
        session.answer = None
        assert [future.result() for future in _ask_all(batched, (_x(1, 2), ["y:0"], 0))]


def test_different_shapes_are_told_to_all_or_padded():
    wide = {"x:0": np.array([[1, 2]])}
    parameters = {"max_batch_size": 2, "batch_timeout_micros": _LONG_MICROS}
    with _batched(_Session(), **parameters) as (batched, _):
        for future in _ask_all(batched, (_x(1), ["y:0"], 0), (wide, ["y:0"], 0)):
            assert "Tensors with name 'x:0' from different tasks" in str(future.exception())
    with _batched(_Session(), pad_variable_length_inputs=True, **parameters) as (batched, _):
        one, two = _ask_all(batched, (_x(3), ["y:0"], 0), (wide, ["y:0"], 0))
    assert one.result()[0].tolist() == [[6, 6]] and two.result()[0].tolist() == [[2, 4]]


def test_close_ends_what_waits():
    session = _Session()
    with _batched(session, batch_timeout_micros=_LONG_MICROS) as (batched, batcher):
        counted = batcher.metrics.input_batch_size
        with futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(batched, _x(1), ["y:0"], 0)
            _eventually(lambda: batched.close() or asked.done())
            assert str(asked.exception(_WAIT_SECS)) == "CANCELLED: Session has been closed."
        assert counted.cells()[()].sum == 1
    assert session.runs == []


def test_hurry_runs_what_waits():
    session = _Session()
    with _batched(session, batch_timeout_micros=_LONG_MICROS) as (batched, batcher):
        with futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(batched, _x(1), ["y:0"], 0)
            batcher.hurry()
            assert asked.result(_WAIT_SECS)[0].tolist() == [[2]]


def test_batches_are_counted():
    with _batched(_Session(), max_batch_size=4, allowed_batch_sizes=(4,)) as (batched, batcher):
        batched(_x(1), ["y:0"], 0)
        batched(_x(1, 2, 3), ["y:0"], 0)
        counted = batcher.metrics
    assert counted.wrapped_run_count.cells() == {(): 2}
    assert counted.input_batch_size.cells()[()].sum == 4
    assert counted.processed_batch_size.cells()[()].sum == 8
    assert list(counted.padding_size.cells()) == [("4",)]
    assert counted.padding_size.cells()[("4",)].sum == 4
    assert sum(counted.queuing_latency.cells()[("",)].counts) == 2


def test_per_model_parameters_are_those_of_the_version(tmp_path):
    batcher = batching.Batcher(batching_parameters.BatchingParameters(), per_model=True)
    try:
        assert batcher.wrap(str(tmp_path), _Session()) is None
        file = tmp_path / batching_parameters.PER_MODEL_FILE
        file.write_text("max_batch_size { value: 2 }")
        batched = batcher.wrap(str(tmp_path), _Session())
        assert _refusal(batched, _x(1, 2, 3), ["y:0"], 0) == (
            "INVALID_ARGUMENT: Task size 3 is larger than maximum input batch size 2"
        )
        file.write_text("max_batch_size { value: 2 } allowed_batch_sizes: 1")
        assert _refusal(batcher.wrap, str(tmp_path), _Session()) == (
            "INVALID_ARGUMENT: Last entry in allowed_batch_sizes must match max_batch_size; "
            "last entry was 1; expected 2"
        )
    finally:
        batcher.stop()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """saved_models.write_examples_model, whose requests run in batches of 2 rows."""
    path = saved_models.write_examples_model(tmp_path_factory.mktemp("batched"))
    parameters = batching_parameters.BatchingParameters(
        max_batch_size=2, batch_timeout_micros=_LONG_MICROS
    )
    batcher = batching.Batcher(parameters)
    with contextlib.closing(servable.Servable(str(path), wrap_run=batcher.wrap)) as loaded:
        yield loaded
    batcher.stop()


def _pair(call):
    """Asks for the rows (1, 2) and (-4, 1), each in a thread of its own."""
    rows = saved_models.serialized((1.0, 2.0), (-4.0, 1.0))
    with futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda row: call([row]), rows, timeout=_WAIT_SECS))


def test_every_call_runs_in_batches(model):
    assert [values.tolist() for values in _pair(lambda r: model.regress(r, "regression"))] == [
        [5.0],
        [-2.0],
    ]
    for labels, scores in _pair(lambda rows: model.classify(rows, "classification")):
        assert labels.tolist() == [[b"no", b"yes"]] and scores.shape == (1, 2)
    predicted = _pair(lambda rows: model.predict({"examples": np.array(rows, object)}))
    assert [answer["label"].tolist() for answer in predicted] == [[b"yes"], [b"no"]]
    tasks = [
        checks.Task("m", "regression", checks.REGRESS_METHOD),
        checks.Task("m", "classification", checks.CLASSIFY_METHOD),
    ]
    for (values, (labels, _)), logit in zip(
        _pair(lambda rows: model.multi_inference(rows, tasks)), (5.0, -2.0)
    ):
        assert values.tolist() == [logit] and labels.shape == (1, 2)


def test_runs_count_for_the_call_that_asks(tmp_path):
    path = saved_models.write_plain_model(tmp_path)
    counted = []

    def on_run(secs):
        counted.append((threading.current_thread(), secs))

    batcher = batching.Batcher(batching_parameters.BatchingParameters())
    with contextlib.closing(
        servable.Servable(str(path), on_run=on_run, wrap_run=batcher.wrap)
    ) as loaded:
        loaded.predict({"x": np.float32([[1.0]])})
        assert _refusal(loaded.predict, {"n": np.array(1, np.int64)}, "slow") == (
            "INVALID_ARGUMENT: Batching Run() input tensors must have at least one dimension"
        )
        assert _refusal(loaded.predict, {"x": np.array([[1.0]])}).startswith(
            "INVALID_ARGUMENT: Expects arg[0] to be float but double is provided"
        )
    batcher.stop()
    ((thread, secs),) = counted
    assert thread is threading.current_thread() and secs > 0


def _eventually(holds):
    """Waits until `holds()`."""
    done = threading.Event()
    for _ in range(_WAIT_SECS * 100):
        if holds():
            return
        done.wait(0.01)
    raise AssertionError("It never came to hold.")
