"""The REST API over the served models: a request's method, path and body to a status and a body.

Nothing here knows HTTP beyond that; `rest_server` does. Source: TF Serving's
http_rest_api_handler.cc, http_rest_api_util.cc and http_server.cc.
"""

import contextlib
import dataclasses
import json
import re
from typing import Any
import urllib.parse

from google.protobuf import descriptor

from estimator_app.serving import (
    json_examples,
    json_outputs,
    json_tensors,
    json_text,
    model_list,
    model_table,
    request_metrics,
    servicers,
)
from export import errors, servable, signatures
from serving_client import wire

_PREDICTION = re.compile(
    r"/v1/models/([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?:(classify|regress|predict)",
    re.IGNORECASE | re.ASCII,
)
_STATUS = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?",
    re.IGNORECASE | re.ASCII,
)
_LIST_PATH = "/v1/models"
_HTTP_STATUS = {
    errors.Code.OK: 200,
    errors.Code.INVALID_ARGUMENT: 400,
    errors.Code.FAILED_PRECONDITION: 400,
    errors.Code.OUT_OF_RANGE: 400,
    errors.Code.UNAUTHENTICATED: 401,
    errors.Code.PERMISSION_DENIED: 403,
    errors.Code.NOT_FOUND: 404,
    errors.Code.ALREADY_EXISTS: 409,
    errors.Code.ABORTED: 409,
    errors.Code.RESOURCE_EXHAUSTED: 429,
    errors.Code.CANCELLED: 499,
    errors.Code.UNIMPLEMENTED: 501,
    errors.Code.UNAVAILABLE: 503,
    errors.Code.DEADLINE_EXCEEDED: 504,
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What goes back to the caller.

    Attributes:
        status: HTTP status.
        body: its bytes.
        content_type: of the body.
        headers: names and values of further headers.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class RestApi:
    """Answers requests. Methods may be called from several threads at once."""

    def __init__(
        self,
        table: model_table.ModelTable,
        counted: request_metrics.RequestMetrics,
        timeout_ms: int,
        listed: model_list.ModelList | None = None,
    ) -> None:
        """Serves the models of `table`; a run may take `timeout_ms` milliseconds.

        Requests count in `counted`. `listed` answers `GET /v1/models`, which is refused without it.
        """
        self._table = table
        self._counted = counted
        self._timeout_ms = timeout_ms
        self._listed = listed
        self._prediction = servicers.PredictionService(table)
        self._status = servicers.ModelService(table)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Answers one request.

        Args:
            method: such as `POST`.
            path: as it was sent, percent-encoded, with the query string.
            body: unpacked.
        """
        try:
            with self._counted.request(request_metrics.REST) as call:
                text = self._dispatch(method, path, body, call)
        except errors.ServableError as error:
            return error_answer(error)
        return Answer(200, json_text.encode(text))

    def _dispatch(self, method: str, path: str, body: bytes, call: request_metrics.Call) -> str:
        pattern = {"POST": _PREDICTION, "GET": _STATUS}.get(method)
        match = pattern.fullmatch(path) if pattern else None
        if match:
            name, version, label, verb = match.groups()
            spec = _spec(name, version, label)
            call.model_name = spec.name
            if method == "GET" and self._listed is not None and path.lower() == _LIST_PATH:
                return _list_text(self._listed)
            if method == "GET":
                return self._describe(spec, verb)
            if verb in ("predict", "classify", "regress"):
                call.api = verb
                return getattr(self, f"_{verb}")(spec, json_text.parse_object(body))
        raise errors.invalid_argument(f"Malformed request: {method} {path}")

    def _acquire(
        self, spec: "_Spec"
    ) -> contextlib.AbstractContextManager[tuple[int, servable.Servable, int]]:
        return self._table.acquire(spec.name, spec.version, spec.label, self._timeout_ms)

    def _predict(self, spec: "_Spec", body: dict[str, Any]) -> str:
        name = json_tensors.signature_name(body)
        key = name or signatures.DEFAULT_NAME
        with self._acquire(spec) as (_, model, left_ms):
            if key not in model.signatures:
                raise errors.invalid_argument(
                    f'Serving signature name: "{key}" not found in signature def'
                )
            specs = model.signatures[key].inputs
            if not specs:
                raise errors.invalid_argument(
                    f"Failed to get input map for signature: {name or 'DEFAULT'}"
                )
            inputs, rows = json_tensors.read_inputs(body, specs)
            outputs = model.predict(inputs, key, timeout_ms=left_ms)
        return json_outputs.write_outputs(outputs, rows)

    def _classify(self, spec: "_Spec", body: dict[str, Any]) -> str:
        name = json_tensors.signature_name(body)
        examples = json_examples.read_examples(body)
        with self._acquire(spec) as (_, model, left_ms):
            labels, scores = model.classify(examples, name, left_ms)
        return json_examples.write_classes(servicers.class_rows(labels, scores))

    def _regress(self, spec: "_Spec", body: dict[str, Any]) -> str:
        name = json_tensors.signature_name(body)
        examples = json_examples.read_examples(body)
        with self._acquire(spec) as (_, model, left_ms):
            values = model.regress(examples, name, left_ms)
        return json_examples.write_values(values)

    def _describe(self, spec: "_Spec", verb: str | None) -> str:
        """The status of a model, or its metadata; both are protobuf's JSON of the gRPC answer."""
        if not spec.name:
            raise errors.invalid_argument("Missing model name in request.")
        if verb != "metadata":
            request = wire.GetModelStatusRequest()
            spec.fill(request.model_spec)
            return json.dumps(_as_json(self._status.get_model_status(request, 0)), indent=1)
        request = wire.GetModelMetadataRequest(metadata_field=[wire.SIGNATURE_DEF])
        spec.fill(request.model_spec)
        response = self._prediction.get_model_metadata(request, self._timeout_ms)
        definitions = wire.SignatureDefMap.FromString(response.metadata[wire.SIGNATURE_DEF].value)
        return json.dumps(
            {
                "model_spec": _as_json(response.model_spec),
                "metadata": {wire.SIGNATURE_DEF: _as_json(definitions)},
            },
            indent=1,
        )


def _list_text(listed: model_list.ModelList) -> str:
    """`{"models": [{"name", "model_version_status": [...]}]}`."""
    models = [{"name": name, **_as_json(status)} for name, status in listed.statuses().items()]
    return json.dumps({"models": models}, indent=1)


def error_answer(error: errors.ServableError) -> Answer:
    """`{"error": "<message>"}` with the status of the error's code; texts are not cut."""
    writer = json_text.Writer()
    writer.value({"error": error.message})
    return Answer(_HTTP_STATUS.get(error.code, 500), json_text.encode(writer.text()))


@dataclasses.dataclass(frozen=True)
class _Spec:
    """Which model and version a path names."""

    name: str
    version: int | None
    label: str | None

    def fill(self, message: Any) -> None:
        message.name = self.name
        if self.version is not None:
            message.version.value = self.version
        elif self.label is not None:
            message.version_label = self.label


def _spec(name: str | None, version: str | None, label: str | None) -> _Spec:
    number = None
    if version is not None:
        digits = version.lstrip("0") or "0"
        # Counted first: Python refuses to read thousands of them.
        if len(digits) > 19 or int(digits) >= 2**63:
            raise errors.invalid_argument(f"Failed to convert version: {version} to numeric.")
        number = int(digits)
    label = None if label is None else urllib.parse.unquote(label)
    return _Spec(urllib.parse.unquote(name or ""), number, label)


def _as_json(message: Any) -> Any:
    """Protobuf's JSON of a message with every field shown: enums by name, 64-bit integers as text.

    Written here because the option that shows every field has another name in each protobuf.
    """
    if message.DESCRIPTOR.full_name == "google.protobuf.Int64Value":
        return str(message.value)
    shown: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            content = field.message_type.fields_by_name["value"]
            shown[field.name] = {key: _as_value(value[key], content) for key in sorted(value)}
        elif isinstance(value, (str, bytes, int, float)) or hasattr(value, "DESCRIPTOR"):
            shown[field.name] = _as_value(value, field)
        else:
            shown[field.name] = [_as_value(item, field) for item in value]
    return shown


def _as_value(value: Any, field: Any) -> Any:
    if field.message_type:
        return _as_json(value)
    if field.enum_type:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    if field.cpp_type in (
        descriptor.FieldDescriptor.CPPTYPE_INT64,
        descriptor.FieldDescriptor.CPPTYPE_UINT64,
    ):
        return str(value)
    return value.decode("latin-1") if isinstance(value, bytes) else value
