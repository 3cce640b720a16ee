"""MultiInference over a real port, asked with the official stubs."""

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import inference_pb2, prediction_service_pb2_grpc

from tests import saved_models

_ROWS = saved_models.serialized((1.0, 2.0), (-4.0, 1.0))
_DEADLINE_SECS = 30.0
_CLASSIFY, _REGRESS = saved_models.CLASSIFY, saved_models.REGRESS


@pytest.fixture(scope="module")
def stub(examples_channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(examples_channel)


def _request(*tasks, rows=_ROWS, model="examples"):
    """Tasks are (signature, method) or (signature, method, model)."""
    request = inference_pb2.MultiInferenceRequest()
    for signature, method, *name in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name = name[0] if name else model
        task.model_spec.signature_name = signature
    for row in rows:
        request.input.example_list.examples.add().ParseFromString(row)
    return request


def _specs(response):
    return [
        (spec.name, spec.signature_name, spec.version.value)
        for spec in (result.model_spec for result in response.results)
    ]


def test_results_come_in_task_order(stub):
    request = _request(("regression", _REGRESS), ("classification", _CLASSIFY))
    response = stub.MultiInference(request, _DEADLINE_SECS)
    assert _specs(response) == [("examples", "regression", 3), ("examples", "classification", 3)]
    values, classes = response.results
    assert [item.value for item in values.regression_result.regressions] == [5.0, -2.0]
    first, second = classes.classification_result.classifications
    assert [item.label for item in first.classes] == ["no", "yes"]
    assert first.classes[1].score == pytest.approx(1 / (1 + np.exp(-5.0)))
    assert second.classes[1].score == pytest.approx(1 / (1 + np.exp(2.0)))


def test_tasks_may_share_a_tensor_and_lack_a_half(stub):
    request = _request(
        ("only_classes", _CLASSIFY), ("classification", _CLASSIFY), ("only_scores", _CLASSIFY)
    )
    labels, both, scores = stub.MultiInference(request, _DEADLINE_SECS).results
    assert [item.score for item in labels.classification_result.classifications[0].classes] == [
        0.0,
        0.0,
    ]
    assert [item.label for item in scores.classification_result.classifications[0].classes] == [
        "",
        "",
    ]
    assert [item.score for item in scores.classification_result.classifications[0].classes] == [
        item.score for item in both.classification_result.classifications[0].classes
    ]


def test_the_first_task_picks_the_version(stub):
    request = _request(("regression", _REGRESS), ("flat_regression", _REGRESS))
    request.tasks[0].model_spec.version.value = 3
    request.tasks[1].model_spec.version.value = 99  # not looked at
    response = stub.MultiInference(request, _DEADLINE_SECS)
    assert _specs(response)[1] == ("examples", "flat_regression", 3)


_OTHER_VERSION = _request(("regression", _REGRESS))
_OTHER_VERSION.tasks[0].model_spec.version.value = 4

# situation -> (request, code, message; `*` at its end stands for anything)
_REFUSALS = {
    "no task": (_request(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "first task without a name": (
        _request(("regression", _REGRESS, "")),
        "INVALID_ARGUMENT",
        "ModelSpec has no name specified.",
    ),
    "later task without a name": (
        _request(("regression", _REGRESS), ("classification", _CLASSIFY, "")),
        "INVALID_ARGUMENT",
        "Found ModelSpec with an empty model name.",
    ),
    "two models": (
        _request(("regression", _REGRESS), ("classification", _CLASSIFY, "plain")),
        "INVALID_ARGUMENT",
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ),
    "unknown model": (
        _request(("regression", _REGRESS, "other")),
        "NOT_FOUND",
        "Servable not found for request: Latest(other)",
    ),
    "unknown version": (
        _OTHER_VERSION,
        "NOT_FOUND",
        "Servable not found for request: Specific(examples, 4)",
    ),
    "signature twice": (
        _request(("regression", _REGRESS), ("regression", _REGRESS)),
        "INVALID_ARGUMENT",
        "Duplicate evaluation of signature: regression",
    ),
    "the first task's mistake is told first": (
        _request(("nothing", _REGRESS), ("classification", _CLASSIFY, "")),
        "INVALID_ARGUMENT",
        "Requested signature not found in model graph: nothing",
    ),
    "default signature by an empty name": (
        _request(("", _CLASSIFY)),
        "INVALID_ARGUMENT",
        "Expected one or two output Tensors, found 3",
    ),
    "one signature by two methods": (
        _request(("only_scores", _CLASSIFY), ("only_scores", _REGRESS)),
        "INVALID_ARGUMENT",
        "Duplicate evaluation of signature: only_scores",
    ),
    "predict": (
        _request(("serving_default", saved_models.PREDICT)),
        "UNIMPLEMENTED",
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
    "no method": (
        _request(("regression", "")),
        "UNIMPLEMENTED",
        "Unsupported signature method_name: ",
    ),
    "a classification asked to regress": (
        _request(("classification", _REGRESS)),
        "INVALID_ARGUMENT",
        "Expected one output Tensor.",
    ),
    "two inputs": (
        _request(("two_inputs", _CLASSIFY)),
        "INVALID_ARGUMENT",
        "Expected one input Tensor.",
    ),
    "no examples": (
        _request(("regression", _REGRESS), rows=()),
        "INVALID_ARGUMENT",
        "Input is empty.",
    ),
    "a wrong output of the second task": (
        _request(("regression", _REGRESS), ("flat_scores", _CLASSIFY)),
        "INVALID_ARGUMENT",
        "Expected Tensor shape: [batch_size num_classes] but got [2]",
    ),
    "a wrong number of values": (
        _request(("more_outputs", _REGRESS)),
        "INVALID_ARGUMENT",
        "Input batch size did not match output batch size: 2 vs. 4",
    ),
    "no Example": (
        _request(("regression", _REGRESS), rows=(b"",)),
        "INVALID_ARGUMENT",
        "Name: <unknown>, Feature: x (data type: float) is required but could not be found.\n*",
    ),
}


@pytest.mark.parametrize("situation", _REFUSALS)
def test_refusal(stub, situation):
    request, code, message = _REFUSALS[situation]
    with pytest.raises(grpc.RpcError) as caught:
        stub.MultiInference(request, _DEADLINE_SECS)
    assert caught.value.code() == grpc.StatusCode[code]
    if message.endswith("*"):
        assert caught.value.details().startswith(message[:-1])
    else:
        assert caught.value.details() == message
