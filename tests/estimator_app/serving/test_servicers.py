"""The RPCs over a real port, asked with the official stubs, and every error text they can give."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving_client import wire
from tests import saved_models

_ROWS = saved_models.serialized((1.0, 2.0), (-4.0, 1.0))
_DEADLINE_SECS = 30.0


@pytest.fixture(scope="module")
def examples(examples_channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(examples_channel)


@pytest.fixture(scope="module")
def plain(plain_channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(plain_channel)


@pytest.fixture(scope="module")
def plain_status(plain_channel):
    return model_service_pb2_grpc.ModelServiceStub(plain_channel)


def _predict(model, signature="", version=None, output_filter=(), **inputs):
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def _example_request(cls, signature, rows, context=None, version=None):
    request = cls()
    request.model_spec.name = "examples"
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if context is not None:
        request.input.example_list_with_context.context.ParseFromString(context)
        target = request.input.example_list_with_context.examples
    else:
        target = request.input.example_list.examples
    for row in rows:
        target.add().ParseFromString(row)
    return request


def _classify(signature, rows=_ROWS, **options):
    return _example_request(classification_pb2.ClassificationRequest, signature, rows, **options)


def _regress(signature, rows=_ROWS, **options):
    return _example_request(regression_pb2.RegressionRequest, signature, rows, **options)


def _spec(response):
    spec = response.model_spec
    return spec.name, spec.signature_name, spec.version.value, spec.HasField("version")


def test_predict_answers_in_typed_fields(plain):
    response = plain.Predict(_predict("plain", x=np.float32([[1], [2]])), _DEADLINE_SECS)
    assert _spec(response) == ("plain", "serving_default", 5, True)
    assert list(response.outputs["y"].float_val) == [2.0, 4.0]
    assert response.outputs["y"].tensor_content == b""
    assert [dim.size for dim in response.outputs["y"].tensor_shape.dim] == [2, 1]


def test_predict_of_a_flat_array_for_a_static_column(plain):
    response = plain.Predict(_predict("plain", x=np.float32([3])), _DEADLINE_SECS)
    assert list(response.outputs["y"].float_val) == [6.0]


def test_predict_names_version_and_signature(plain):
    request = _predict("plain", "sum", 5, ["sum"], a=np.float32(1), b=np.float32(2))
    response = plain.Predict(request, _DEADLINE_SECS)
    assert _spec(response) == ("plain", "sum", 5, True)
    assert list(response.outputs) == ["sum"]
    assert tf.make_ndarray(response.outputs["sum"]) == 3.0


def test_predict_of_every_dtype(plain):
    values = {
        "float64": np.array([1.5, -2.5]),
        "int8": np.array([-128, 127], np.int8),
        "int32": np.array([7, -7], np.int32),
        "int64": np.array([2**62, 0], np.int64),
        "bool": np.array([True, False]),
        "string": np.array([b"\xff\x00", b""], object),
        "float16": np.array([0.5, 2], np.float16),
        "uint64": np.array([2**64 - 1, 0], np.uint64),
    }
    response = plain.Predict(_predict("plain", "types", **values), _DEADLINE_SECS)
    for name, value in values.items():
        np.testing.assert_array_equal(tf.make_ndarray(response.outputs[name]), value)
        assert response.outputs[name].tensor_content == b""


def test_predict_on_serialized_examples(examples):
    request = _predict("examples", examples=np.array(_ROWS, object))
    response = examples.Predict(request, _DEADLINE_SECS)
    np.testing.assert_allclose(tf.make_ndarray(response.outputs["logits"]), [[5.0], [-2.0]])
    assert list(response.outputs["label"].string_val) == [b"yes", b"no"]


def test_predict_with_our_own_messages(plain_channel):
    method = wire.METHODS["Predict"]
    call = plain_channel.unary_unary(
        method.path, method.request.SerializeToString, method.response.FromString
    )
    request = wire.PredictRequest()
    request.model_spec.name = "plain"
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[4]])))
    response = call(request, timeout=_DEADLINE_SECS)
    np.testing.assert_array_equal(wire.to_array(response.outputs["y"]), [[8.0]])


def test_message_larger_than_the_usual_limit(plain):
    request = _predict("plain", x=np.zeros([2_000_000, 1], np.float32))
    with pytest.raises(grpc.RpcError) as caught:
        plain.Predict(request, _DEADLINE_SECS)
    # The server took 8 MB and answered; it is the client's own limit of 4 MiB that objects.
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "Received message larger than max" in caught.value.details()


def test_classify(examples):
    response = examples.Classify(_classify("classification"), _DEADLINE_SECS)
    assert _spec(response) == ("examples", "classification", 3, True)
    first, second = response.result.classifications
    assert [item.label for item in first.classes] == ["no", "yes"]
    assert first.classes[1].score == pytest.approx(1 / (1 + np.exp(-5.0)))
    assert second.classes[1].score == pytest.approx(1 / (1 + np.exp(2.0)))


def test_classify_with_one_half(examples):
    response = examples.Classify(_classify("only_classes"), _DEADLINE_SECS)
    assert [item.score for item in response.result.classifications[0].classes] == [0.0, 0.0]
    response = examples.Classify(_classify("only_scores"), _DEADLINE_SECS)
    assert [item.label for item in response.result.classifications[0].classes] == ["", ""]


def test_regress(examples):
    response = examples.Regress(_regress("regression"), _DEADLINE_SECS)
    assert _spec(response) == ("examples", "regression", 3, True)
    assert [item.value for item in response.result.regressions] == [5.0, -2.0]


def test_context_is_shared_by_all_examples(examples):
    (context,) = saved_models.serialized((7.0, 0.0))
    request = _regress("regression", [b"", *_ROWS[:1]], context=context)
    response = examples.Regress(request, _DEADLINE_SECS)
    assert [item.value for item in response.result.regressions] == [7.0, 5.0]


def test_metadata_has_every_signature(examples):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "examples"
    response = examples.GetModelMetadata(request, _DEADLINE_SECS)
    assert _spec(response) == ("examples", "", 3, True)
    packed = response.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(signatures)
    found = signatures.signature_def["regression"]
    assert found.method_name == "tensorflow/serving/regress"
    assert found.inputs["inputs"].dtype == tf.string.as_datatype_enum


def test_status(plain_status):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "plain"
    (entry,) = plain_status.GetModelStatus(request, _DEADLINE_SECS).model_version_status
    assert entry.version == 5
    assert entry.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert (entry.status.error_code, entry.status.error_message) == (0, "")
    request.model_spec.version.value = 5
    assert len(plain_status.GetModelStatus(request, _DEADLINE_SECS).model_version_status) == 1
    request.model_spec.version_label = "any"  # has no effect; takes the version's place
    assert len(plain_status.GetModelStatus(request, _DEADLINE_SECS).model_version_status) == 1


# ------------------------------------------------------------------------------------ refusals

_X = np.ones([1, 1], np.float32)
_BAD_TENSOR = _predict("plain", x=_X)
_BAD_TENSOR.inputs["x"].tensor_content = b"123"
_LABEL = _predict("plain", x=_X)
_LABEL.model_spec.version_label = "stable"
_EMPTY_LABEL = _predict("plain", x=_X)
_EMPTY_LABEL.model_spec.version_label = ""
_NO_INPUT = _classify("classification")
_NO_INPUT.ClearField("input")
_METADATA = get_model_metadata_pb2.GetModelMetadataRequest
_STATUS = get_model_status_pb2.GetModelStatusRequest


def _named(cls, name, version=None, **fields):
    request = cls(**fields)
    request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    return request


# situation -> (model, RPC, request, code, message; `*` at its end stands for anything)
_REFUSALS = {
    "no spec, Predict": (
        "plain",
        "Predict",
        predict_pb2.PredictRequest(),
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "no spec, Classify": (
        "plain",
        "Classify",
        classification_pb2.ClassificationRequest(),
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "no spec, Regress": (
        "plain",
        "Regress",
        regression_pb2.RegressionRequest(),
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "no spec, metadata": (
        "plain",
        "GetModelMetadata",
        _METADATA(),
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "no spec, status": (
        "plain",
        "GetModelStatus",
        _STATUS(),
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "no name": (
        "plain",
        "Predict",
        _predict("", x=_X),
        "INVALID_ARGUMENT",
        "ModelSpec has no name specified.",
    ),
    "no name, metadata": (
        "plain",
        "GetModelMetadata",
        _named(_METADATA, "", 1, metadata_field=["signature_def"]),
        "INVALID_ARGUMENT",
        "ModelSpec has no name specified.",
    ),
    "unknown model": (
        "plain",
        "Predict",
        _predict("other", x=_X),
        "NOT_FOUND",
        "Servable not found for request: Latest(other)",
    ),
    "unknown model, metadata": (
        "plain",
        "GetModelMetadata",
        _named(_METADATA, "other", metadata_field=["signature_def"]),
        "NOT_FOUND",
        "Servable not found for request: Latest(other)",
    ),
    "unknown version": (
        "plain",
        "Predict",
        _predict("plain", version=4, x=_X),
        "NOT_FOUND",
        "Servable not found for request: Specific(plain, 4)",
    ),
    "version 0": (
        "examples",
        "Classify",
        _classify("classification", version=0),
        "NOT_FOUND",
        "Servable not found for request: Specific(examples, 0)",
    ),
    "unknown label": (
        "plain",
        "Predict",
        _LABEL,
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: stable",
    ),
    "empty label": (
        "plain",
        "Predict",
        _EMPTY_LABEL,
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: ",
    ),
    "signature": (
        "plain",
        "Predict",
        _predict("plain", "nothing", x=_X),
        "FAILED_PRECONDITION",
        'Serving signature key "nothing" not found.',
    ),
    "too many inputs": (
        "plain",
        "Predict",
        _predict("plain", x=_X, z=_X),
        "INVALID_ARGUMENT",
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). "
        "Sent extra: {z}. Missing but required: {}.",
    ),
    "too few inputs": (
        "plain",
        "Predict",
        _predict("plain", "sum", a=_X),
        "INVALID_ARGUMENT",
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). "
        "Sent extra: {}. Missing but required: {b}.",
    ),
    "wrong input name": (
        "plain",
        "Predict",
        _predict("plain", z=_X),
        "INVALID_ARGUMENT",
        "Signature input alias: x(feed name: x:0) not found in request and no default value "
        "provided. Inputs expected to be in the request {z}, or default input alias set: ",
    ),
    "extra beside a default": (
        "plain",
        "Predict",
        _predict("plain", "with_default", a=_X, z=_X),
        "INVALID_ARGUMENT",
        "Inputs contains invalid name. Used request inputs: a, request input: a,z",
    ),
    "tensor": ("plain", "Predict", _BAD_TENSOR, "INVALID_ARGUMENT", "tensor parsing error: x"),
    "unknown output": (
        "plain",
        "Predict",
        _predict("plain", output_filter=["z"], x=_X),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
    ),
    "repeated output": (
        "plain",
        "Predict",
        _predict("plain", output_filter=["y", "y"], x=_X),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: y",
    ),
    "dtype": (
        "plain",
        "Predict",
        _predict("plain", x=np.ones([1, 1])),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but double is provided",
    ),
    "string for a number": (
        "plain",
        "Predict",
        _predict("plain", x="text"),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but string is provided",
    ),
    "shape": (
        "plain",
        "Predict",
        _predict("plain", "product", a=np.ones([2, 4], "f"), b=np.ones([3, 2], "f")),
        "INVALID_ARGUMENT",
        "Matrix size-incompatible: In[0]: [2,4], In[1]: [3,2]*",
    ),
    "no Example": (
        "examples",
        "Predict",
        _predict("examples", examples=[b"nonsense"]),
        "INVALID_ARGUMENT",
        "Could not parse example input, value: 'nonsense'\n\t [[{{node *",
    ),
    "feature missing": (
        "examples",
        "Regress",
        _regress("regression", [b""]),
        "INVALID_ARGUMENT",
        "Name: <unknown>, Feature: x (data type: float) is required but could not be found.\n"
        "\t [[{{node *",
    ),
    "no input": ("examples", "Classify", _NO_INPUT, "INVALID_ARGUMENT", "Input is empty."),
    "no examples": (
        "examples",
        "Regress",
        _regress("regression", []),
        "INVALID_ARGUMENT",
        "Input is empty.",
    ),
    "no metadata field": (
        "plain",
        "GetModelMetadata",
        _named(_METADATA, "plain"),
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    ),
    "other metadata field": (
        "plain",
        "GetModelMetadata",
        _named(_METADATA, "plain", metadata_field=["signature_def", "graph"]),
        "INVALID_ARGUMENT",
        "Metadata field graph is not supported",
    ),
    "status of an unknown model": (
        "plain",
        "GetModelStatus",
        _named(_STATUS, "other"),
        "NOT_FOUND",
        "Could not find any versions of model other",
    ),
    "status of an unknown version": (
        "plain",
        "GetModelStatus",
        _named(_STATUS, "plain", 4),
        "NOT_FOUND",
        "Could not find version 4 of model plain",
    ),
}
_CLASSIFICATIONS = {
    "nothing": "No signature was found with the name: nothing",
    "two_inputs": "Expected one input Tensor.",
    "three_outputs": "Expected one or two output Tensors, found 3",
    "input_key": 'No classification inputs found in SignatureDef: inputs {\n  key: "examples"*',
    "no_class_key": "Expected classification signature outputs to contain at least one of "
    '"classes" or "scores". Signature was: inputs {*',
    "flat_classes": "Expected Tensor shape: [batch_size num_classes] but got [2]",
    "float_classes": "Expected classes Tensor of DT_STRING. Got: DT_FLOAT",
    "double_scores": "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
    "more_classes": "Expected classes output batch size of 2. Got: 4",
    "more_scores": "Expected scores output batch size of 2. Got: 4",
    "wide_scores": "Tensors class and score should match in dim_size(1). Got 2 vs. 4",
}
_REGRESSIONS = {
    "nothing": "No signature was found with the name: nothing",
    "two_inputs": "Expected one input Tensor.",
    "two_outputs": "Expected one output Tensor.",
    "output_key": "No regression outputs found in SignatureDef: *",
    "wide_outputs": "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
    "but got [2,2]",
    "more_outputs": "Input batch size did not match output batch size: 2 vs. 4",
    "double_outputs": "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE",
}
_REFUSALS |= {
    f"Classify {name}": ("examples", "Classify", _classify(name), "INVALID_ARGUMENT", message)
    for name, message in _CLASSIFICATIONS.items()
}
_REFUSALS |= {
    f"Regress {name}": ("examples", "Regress", _regress(name), "INVALID_ARGUMENT", message)
    for name, message in _REGRESSIONS.items()
}


def _refusal(call, *args):
    with pytest.raises(grpc.RpcError) as caught:
        call(*args)
    return caught.value.code().name, caught.value.details()


@pytest.mark.parametrize("case", _REFUSALS)
def test_refusal(case, examples, plain, plain_status):
    model, rpc, request, code, message = _REFUSALS[case]
    stub = {"examples": examples, "plain": plain}[model]
    call = plain_status.GetModelStatus if rpc == "GetModelStatus" else getattr(stub, rpc)
    found_code, found = _refusal(call, request, _DEADLINE_SECS)
    assert found_code == code
    if message.endswith("*"):
        assert found.startswith(message[:-1]), found
    else:
        assert found == message


def test_long_text_is_cut(plain):
    _, found = _refusal(plain.Predict, _predict("plain", "s" * 2000, x=_X), _DEADLINE_SECS)
    assert found == ('Serving signature key "' + "s" * 2000)[:1024] + "...TRUNCATED"


def test_deadline_of_the_call_stops_the_run(plain, plain_server):
    request = _predict("plain", "slow", n=np.array(10**12, np.int64))
    code, _ = _refusal(plain.Predict, request, 0.2)
    assert code == "DEADLINE_EXCEEDED"
    # The run ends as well: every thread of the pool is free for the next calls.
    answer = plain.Predict(_predict("plain", "slow", n=np.array(3, np.int64)), _DEADLINE_SECS)
    assert tf.make_ndarray(answer.outputs["steps"]) == 3


def test_calls_that_are_not_there_are_unimplemented(plain_channel):
    call = plain_channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    code, _ = _refusal(call, b"", _DEADLINE_SECS)
    assert code == "UNIMPLEMENTED"


def test_reload_without_a_list_of_models(plain_status):
    request = model_management_pb2.ReloadConfigRequest()
    assert _refusal(plain_status.HandleReloadConfigRequest, request, _DEADLINE_SECS) == (
        "INVALID_ARGUMENT",
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList "
        "is currently supported",
    )


def test_garbage_is_refused_and_the_server_goes_on(plain, plain_channel):
    call = plain_channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    code, _ = _refusal(call, b"\xff\xff\xff\xff", _DEADLINE_SECS)
    assert code == "INTERNAL"
    assert plain.Predict(_predict("plain", x=_X), _DEADLINE_SECS).outputs["y"].float_val == [2.0]
