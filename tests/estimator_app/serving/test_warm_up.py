"""Warm-up: what the records of a version do before it serves, and the sentences of those that cannot."""

import contextlib
import shutil

import numpy as np
import pytest

from estimator_app.serving import warm_up, warm_up_metrics
from export import errors, servable, warmup_file
from serving_client import wire
from tests import saved_models

_EXAMPLES = saved_models.serialized((1.0, 2.0), (-4.0, 1.0))


def _predict_log(signature="serving_default", **inputs):
    log = wire.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    for name, value in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(wire.to_tensor_proto(value))
    return log


def _examples_log(kind, signature):
    log = wire.PredictionLog()
    request = getattr(log, kind).request
    request.model_spec.signature_name = signature
    request.input.example_list.examples.extend(map(wire.Example.FromString, _EXAMPLES))
    return log


def _multi_inference_log():
    log = wire.PredictionLog()
    request = log.multi_inference_log.request
    for name, method in (("classification", "classify"), ("regression", "regress")):
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = "any"
        task.model_spec.signature_name = name
    request.input.example_list.examples.extend(map(wire.Example.FromString, _EXAMPLES))
    return log


@pytest.fixture
def version(examples_base, tmp_path):
    """A version directory of saved_models.write_examples_model, which a test may add to."""
    return shutil.copytree(examples_base / "3", tmp_path / "3")


class _Loads:
    """Loads with a warm-up; counts the runs of the sessions it made."""

    def __init__(self, iterations=1):
        self.metrics = warm_up_metrics.WarmUpMetrics()
        self.runs = 0
        self._warm_up = warm_up.WarmUp(self.metrics, iterations)

    def __call__(self, version):
        def load(path):
            return servable.Servable(path, on_run=self._add_run)

        with contextlib.closing(self._warm_up.after(load)(str(version))):
            pass

    def _add_run(self, secs):
        self.runs += 1


def _write(version, *logs):
    return warmup_file.write(str(version), [log.SerializeToString() for log in logs])


def _refusal(version):
    with pytest.raises(errors.ServableError) as caught:
        _Loads()(version)
    return caught.value


def test_every_kind_of_record_is_run(version):
    _write(
        version,
        _predict_log(examples=np.array(_EXAMPLES, object)),
        _examples_log("classify_log", "classification"),
        _examples_log("regress_log", "regression"),
        _multi_inference_log(),
    )
    loads = _Loads()
    loads(version)
    assert loads.runs == 4


def test_records_are_run_as_often_as_asked(version):
    _write(version, _examples_log("regress_log", "regression"), wire.PredictionLog())
    loads = _Loads(iterations=3)
    loads(version)
    assert loads.runs == 3  # A record without a request asks nothing.


def test_latency_and_records_are_counted(version):
    _write(version, *[_examples_log("regress_log", "regression")] * 5)
    loads = _Loads()
    loads(version)
    assert loads.metrics.records_read.cells() == {(str(version), "OK"): 5}
    (cell,) = loads.metrics.latency.cells().items()
    assert cell[0] == (str(version), "OK") and sum(cell[1].counts) == 1 and cell[1].sum > 0


def test_a_version_without_records_is_not_counted(version):
    loads = _Loads()
    loads(version)
    assert loads.runs == 0 and loads.metrics.records_read.cells() == {}


def test_a_request_that_fails_fails_the_load(version):
    _write(version, _examples_log("regress_log", "nothing"))
    error = _refusal(version)
    assert str(error) == "INVALID_ARGUMENT: No signature was found with the name: nothing"


def test_a_model_whose_warm_up_fails_is_freed(version):
    _write(version, _examples_log("regress_log", "nothing"))
    ended = []

    class _Watched(servable.Servable):
        def close(self):
            super().close()
            ended.append("closed")

        def free(self):
            super().free()
            ended.append("freed")

    with pytest.raises(errors.ServableError):
        warm_up.WarmUp(warm_up_metrics.WarmUpMetrics()).after(_Watched)(str(version))
    assert ended == ["closed", "freed"]


def test_a_record_that_does_not_parse(version):
    path = warmup_file.write(str(version), [b"nonsense"])
    assert str(_refusal(version)) == (
        f"INVALID_ARGUMENT: Failed to parse warmup record: nonsense from {path}"
    )


def test_a_thousand_records_are_enough(version):
    path = _write(version, *[wire.PredictionLog()] * 1000)
    loads = _Loads()
    loads(version)
    assert loads.metrics.records_read.cells() == {(str(version), "OK"): 1000}
    _write(version, *[wire.PredictionLog()] * 1001)
    assert str(_refusal(version)) == (
        f"INVALID_ARGUMENT: Number of warmup records exceeds the maximum (1000) at {path}"
    )


@pytest.mark.parametrize("kind, number", [("session_run_log", 5), ("predict_streamed_log", 7)])
def test_a_kind_that_cannot_warm_up(version, kind, number):
    log = wire.PredictionLog()
    getattr(log, kind).SetInParent()
    _write(version, log)
    assert str(_refusal(version)) == f"UNIMPLEMENTED: Unsupported log_type for warmup: {number}"


def test_a_file_that_is_no_tfrecord(version):
    path = _write(version, wire.PredictionLog())
    with open(path, "wb") as file:
        file.write(b"not a TFRecord file at all")
    loads = _Loads()
    with pytest.raises(errors.ServableError) as caught:
        loads(version)
    assert caught.value.code == errors.Code.DATA_LOSS
    assert caught.value.message.startswith("corrupted record at 0")
    assert caught.value.message.endswith(". Please verify your warmup data is in TFRecord format.")
    (cell,) = loads.metrics.records_read.cells()
    assert cell[0] == str(version) and cell[1].startswith("DATA_LOSS: corrupted record at 0")
