"""The calls of TensorFlow Serving's gRPC API as requests to its REST API, and the answers back as messages.

Predict goes by columns (`inputs`), so that every tensor has its own shape. JSON has no dtypes:
those of the answer are the signature's.
"""

import base64
import json
from typing import Any
import urllib.parse

from google.protobuf import json_format
import grpc
import numpy as np

from serving_client import encoding, metadata, steps, wire

# The statuses of TF Serving's http_server.cc, each as one code that it is used for.
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,  # of gateways, and of `estimator-serve`
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    502: grpc.StatusCode.UNAVAILABLE,  # of gateways
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_VERBS = {"Predict": "predict", "Classify": "classify", "Regress": "regress"}
# The dtypes that the server reads from JSON, and writes as such.
_JSON_DTYPES = frozenset(
    "float32 float64 int8 int16 int32 int64 uint8 uint32 uint64 bool string".split()
)


class RestError(grpc.RpcError):
    """A REST call that failed, with what gRPC's errors have."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        """Returns gRPC's code for the HTTP status."""
        return self._code

    def details(self) -> str:
        """Returns the server's text."""
        return self._details


def make_request(step: steps.Send) -> tuple[str, str, bytes]:
    """Returns the HTTP method, the path and the body of a step.

    Raises:
        RestError: REST has no such call, or no such dtype.
    """
    request = step.request
    if step.method == "GetModelMetadata" and wire.MODEL_STATUS in request.metadata_field:
        return "GET", "/v1/models", b""
    if step.method in ("GetModelStatus", "GetModelMetadata"):
        end = "/metadata" if step.method == "GetModelMetadata" else ""
        return "GET", _path(request.model_spec) + end, b""
    if step.method not in _VERBS:
        raise RestError(
            grpc.StatusCode.UNIMPLEMENTED, f"TensorFlow Serving has no {step.method} over REST"
        )
    body: dict[str, Any] = {}
    if request.model_spec.signature_name:
        body["signature_name"] = request.model_spec.signature_name
    if step.method == "Predict":
        body["inputs"] = {name: _to_json(name, tensor) for name, tensor in request.inputs.items()}
    else:
        body["examples"] = [_features(one) for one in request.input.example_list.examples]
    return "POST", f"{_path(request.model_spec)}:{_VERBS[step.method]}", json.dumps(body).encode()


def read_answer(step: steps.Send, status: int, body: bytes) -> Any:
    """Returns the response message of a step.

    Raises:
        RestError: The status is not 200, or the body is not what the call answers with.
    """
    try:
        answer = json.loads(body)
        if not isinstance(answer, dict):
            raise ValueError("it is no JSON object")
        if status == 200:
            return _READERS[step.method](step, answer)
        details = str(answer["error"])
        if status == 413:  # `errors.is_too_large` tells it from 429 by this
            details = f"HTTP status {status}: {details}"
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        json_format.ParseError,
    ) as error:
        if status == 200:
            shown = body[:80].decode("utf-8", "replace")
            raise RestError(
                grpc.StatusCode.INTERNAL, f"its answer cannot be read ({error}): {shown}"
            ) from error
        details = f"HTTP status {status}: {body[:200].decode('utf-8', 'replace')}"
    raise RestError(_CODES.get(status, grpc.StatusCode.INTERNAL), details)


def _path(spec: Any) -> str:
    """Returns the path of the model and version that a ModelSpec names."""
    path = f"/v1/models/{urllib.parse.quote(spec.name, safe='')}"
    if spec.HasField("version"):
        return f"{path}/versions/{spec.version.value}"
    if spec.version_label:
        return f"{path}/labels/{urllib.parse.quote(spec.version_label, safe='')}"
    return path


def _to_json(name: str, tensor: Any) -> Any:
    """Returns a TensorProto as nested lists."""
    dtype = metadata.TensorSpec(name, tensor.dtype, None).dtype
    if dtype not in _JSON_DTYPES:
        raise RestError(
            grpc.StatusCode.UNIMPLEMENTED,
            f"input {name!r} is {dtype}, for which TensorFlow Serving has no JSON; ask its gRPC "
            "port",
        )
    values = wire.to_array(tensor).tolist()
    return _as_base64(values) if dtype == "string" else values


def _as_base64(value: Any) -> Any:
    """Returns nested lists of bytes in the only form that keeps all of them."""
    if isinstance(value, list):
        return [_as_base64(element) for element in value]
    return {"b64": base64.b64encode(value).decode("ascii")}


def _features(example: Any) -> dict[str, Any]:
    """Returns a tf.Example as an object of lists; floats keep their point, by which they are known."""
    features = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind is not None:
            values = list(getattr(feature, kind).value)
            features[name] = _as_base64(values) if kind == "bytes_list" else values
    return features


def _read_predict(step: steps.Send, answer: Any) -> Any:
    assert step.signature is not None
    specs = step.signature.outputs
    outputs = answer["outputs"]
    if len(specs) == 1:
        outputs = {name: outputs for name in specs}
    response = wire.PredictResponse()
    for name in step.request.output_filter or specs:  # REST computes all outputs
        if name not in specs:
            raise RestError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"output_filter {name!r} is no output of signature {step.signature.name!r}",
            )
        array = _from_json(outputs[name], specs[name])
        data_type = wire.base_data_type(specs[name].data_type)
        response.outputs[name].CopyFrom(wire.to_tensor_proto(array, data_type=data_type))
    return response


def _from_json(value: Any, spec: metadata.TensorSpec) -> np.ndarray:
    """Returns nested lists as an array of what spec says.

    An empty list does not tell the sizes after it; those are the signature's.

    Raises:
        ValueError: A number is lost in the dtype of spec, which may be that of an older version.
    """
    is_text = spec.dtype == "string"
    dtype = np.dtype(object) if is_text else wire.numpy_dtype(spec.data_type)
    shape = _shape(value)
    if 0 in shape:
        if spec.shape is not None:
            shape += tuple(size or 0 for size in spec.shape[len(shape) :])
        return np.empty(shape, dtype)
    if not is_text:
        return encoding.to_numbers(value, dtype)
    array = np.empty(shape, dtype)
    array[...] = np.array(_as_bytes(value), dtype)
    return array


def _shape(value: Any) -> tuple[int, ...]:
    """Returns the sizes of nested lists by their first elements."""
    if not isinstance(value, list):
        return ()
    return (len(value), *(_shape(value[0]) if value else ()))


def _as_bytes(value: Any) -> Any:
    """Returns nested lists of text, or of base64, as such of bytes."""
    if isinstance(value, list):
        return [_as_bytes(element) for element in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value.encode()


def _read_classify(step: steps.Send, answer: Any) -> Any:
    del step  # says nothing that is needed here
    response = wire.ClassificationResponse()
    for row in answer["results"]:
        classes = response.result.classifications.add().classes
        for label, score in row:
            classes.add(label=label, score=score)
    return response


def _read_regress(step: steps.Send, answer: Any) -> Any:
    del step  # says nothing that is needed here
    response = wire.RegressionResponse()
    for value in answer["results"]:
        response.result.regressions.add(value=value)
    return response


def _read_status(step: steps.Send, answer: Any) -> Any:
    del step  # says nothing that is needed here
    response = wire.GetModelStatusResponse()
    return json_format.ParseDict(answer, response, ignore_unknown_fields=True)


def _read_metadata(step: steps.Send, answer: Any) -> Any:
    response = wire.GetModelMetadataResponse()
    if wire.MODEL_STATUS in step.request.metadata_field:
        wire.pack_statuses(
            response,
            {entry.pop("name"): _read_status(step, entry) for entry in answer["models"]},
        )
        return response
    json_format.ParseDict(answer["model_spec"], response.model_spec, ignore_unknown_fields=True)
    packed = wire.SignatureDefMap()
    found = answer["metadata"][wire.SIGNATURE_DEF]
    json_format.ParseDict(found, packed, ignore_unknown_fields=True)
    wire.pack_signatures(response, dict(packed.signature_def))
    return response


_READERS = {
    "Classify": _read_classify,
    "GetModelMetadata": _read_metadata,
    "GetModelStatus": _read_status,
    "Predict": _read_predict,
    "Regress": _read_regress,
}
