"""The REST API over a real port: bodies both ways, and the sentences with which it refuses."""

import base64
import gzip
import http.client
import json

import numpy as np
import pytest

from estimator_app.serving import json_text
from tests import saved_models

_TIMEOUT_SECS = 30.0


def _ask(server, method, path, body=b"", headers=None):
    """Gives status, content type and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=_TIMEOUT_SECS)
    try:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.getheader("content-type"), response.read().decode()
    finally:
        connection.close()


def _post(server, verb, body, model=None):
    model = model or server.settings.model_name
    return _ask(server, "POST", f"/v1/models/{model}:{verb}", body)


def _good(server, verb, body):
    status, content_type, text = _post(server, verb, body)
    assert (status, content_type) == (200, "application/json"), text
    return json.loads(text)


def _b64(data):
    return {"b64": base64.b64encode(data).decode()}


def test_rows_of_a_single_input(plain_server):
    _, _, text = _post(plain_server, "predict", {"instances": [[1.0], [2.5]]})
    assert text == '{\n    "predictions": [[2.0], [5.0]\n    ]\n}'


def test_rows_may_be_scalars(plain_server):
    assert _good(plain_server, "predict", {"instances": [1, 2]}) == {"predictions": [2.0, 4.0]}


def test_rows_of_several_inputs(plain_server):
    rows = [{"a": 3, "b": 1}, {"a": 5, "b": 2}]
    body = {"signature_name": "sum", "instances": rows}
    expected = [{"difference": 2.0, "sum": 4.0}, {"difference": 3.0, "sum": 7.0}]
    assert _good(plain_server, "predict", body) == {"predictions": expected}


def test_columns_of_a_single_input(plain_server):
    _, _, text = _post(plain_server, "predict", {"inputs": [[1.0]]})
    assert text == ('{\n    "outputs": [\n        [\n            2.0\n        ]\n    ]\n}')
    assert _good(plain_server, "predict", {"inputs": {"x": 4}}) == {"outputs": 8.0}


def test_columns_may_differ_in_size_and_hold_more(plain_server):
    columns = {"a": [[1], [2]], "b": 10, "other": "ignored"}
    body = {"signature_name": "sum", "inputs": columns}
    assert _good(plain_server, "predict", body) == {
        "outputs": {"difference": [[-9.0], [-8.0]], "sum": [[11.0], [12.0]]}
    }


def test_type_without_json_is_unimplemented(plain_server):
    columns = dict.fromkeys(("float64", "int8", "int32", "int64", "uint64", "float16"), [1])
    body = {"signature_name": "types", "inputs": {**columns, "bool": True, "string": "s"}}
    status, _, text = _post(plain_server, "predict", body)
    assert status == 501
    assert json.loads(text)["error"] == "Conversion of JSON Value: 1 to type: half"


def test_words_for_numbers(plain_server):
    status, _, text = _post(plain_server, "predict", b'{"instances": [NaN, Inf, -Infinity, -Inf]}')
    assert status == 200
    assert text == '{\n    "predictions": [NaN, Infinity, -Infinity, -Infinity\n    ]\n}'


def test_base64_rows_feed_an_example_parser(examples_server):
    rows = [_b64(data) for data in saved_models.serialized((1.0, 2.0), (-4.0, 1.0))]
    first, second = _good(examples_server, "predict", {"instances": rows})["predictions"]
    assert (first["label"], second["label"]) == ("yes", "no")
    assert first["logits"] == [5.0]
    named = _good(examples_server, "predict", {"instances": [{"examples": rows[0]}]})
    assert named["predictions"] == [first]


def test_text_after_the_body_is_ignored(plain_server):
    status, _, _ = _post(plain_server, "predict", b' {"instances": [1]} and more')
    assert status == 200


def test_gzip_body_is_unpacked(plain_server):
    packed = gzip.compress(b'{"instances": [3]}')
    headers = {"Content-Encoding": "gzip"}
    status, _, text = _ask(plain_server, "POST", "/v1/models/plain:predict", packed, headers)
    assert (status, json.loads(text)) == (200, {"predictions": [6.0]})
    status, _, _ = _ask(plain_server, "POST", "/v1/models/plain:predict", b"no gzip", headers)
    assert status == 400


def test_classify(examples_server):
    body = {"signature_name": "classification", "examples": [{"x": [1.0, 2.0]}, {"x": [0.0, 0.0]}]}
    _, _, text = _post(examples_server, "classify", body)
    score = float(np.float32(1 / (1 + np.exp(-5.0))))
    first, second = json.loads(text)["results"]
    assert first[1] == ["yes", pytest.approx(score, rel=1e-6)]
    assert second == [["no", 0.5], ["yes", 0.5]]
    assert '[["no", 0.5], ["yes", 0.5]]\n    ]\n}' in text


def test_regress_with_context(examples_server):
    body = {
        "signature_name": "regression",
        "context": {"x": [7.0, 0.5]},
        "examples": [{}, {"x": [1.0, 2.0]}],
    }
    _, _, text = _post(examples_server, "regress", body)
    assert text == '{\n    "results": [8.0, 5.0]\n}'


@pytest.mark.parametrize(
    "path", ["/v1/models/plain", "/V1/Models/plain/versions/5", "/v1/models/%70lain/labels/x"]
)
def test_status(plain_server, path):
    status, content_type, text = _ask(plain_server, "GET", path)
    assert (status, content_type) == (200, "application/json")
    assert json.loads(text) == {
        "model_version_status": [
            {
                "version": "5",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    assert text.startswith('{\n "model_version_status": [\n  {\n')


def test_metadata(plain_server):
    status, _, text = _ask(plain_server, "GET", "/v1/models/plain/versions/5/metadata")
    found = json.loads(text)
    assert status == 200
    assert found["model_spec"] == {"name": "plain", "signature_name": "", "version": "5"}
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"] == {
        "name": "x:0",
        "dtype": "DT_FLOAT",
        "tensor_shape": {
            "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
            "unknown_rank": False,
        },
    }
    assert signature["defaults"] == {}


def test_other_paths_are_no_api(plain_server):
    status, content_type, text = _ask(plain_server, "GET", "/")
    assert (status, content_type) == (404, "text/html")
    assert "<html>" in text


@pytest.mark.parametrize("origin, status", [("http://here", 200), ("file:", 400), (None, 400)])
def test_preflight(plain_server, origin, status):
    headers = {"Origin": origin} if origin else {}
    assert _ask(plain_server, "OPTIONS", "/v1/models/plain", b"", headers)[::2] == (status, "")


# situation -> (path after /v1/models/, body, status, message; `*` at its end stands for anything)
_REFUSALS = {
    "verb": ("plain:guess", {}, 400, "Malformed request: POST /v1/models/plain:guess"),
    "verb in capitals": (
        "plain:PREDICT",
        {},
        400,
        "Malformed request: POST /v1/models/plain:PREDICT",
    ),
    "query": ("plain:predict?a=b", {}, 400, "Malformed request: POST /v1/models/plain:predict?a=b"),
    "version": (
        f"plain/versions/{2**63}:predict",
        {},
        400,
        f"Failed to convert version: {2**63} to numeric.",
    ),
    "empty body": ("plain:predict", b"", 400, "JSON Parse error: The document is empty"),
    "blank body": ("plain:predict", b"  ", 400, "JSON Parse error: The document is empty. at *"),
    "no value": (
        "plain:predict",
        b'{"a": bad}',
        400,
        "JSON Parse error: Invalid value. at offset: 6",
    ),
    "no name": (
        "plain:predict",
        b"{bad}",
        400,
        "JSON Parse error: Missing a name for object member. at offset: 1",
    ),
    "no comma in a list": (
        "plain:predict",
        b'{"a": ["]", 1 2]}',
        400,
        "JSON Parse error: Missing a comma or ] after an array element. at offset: 14",
    ),
    "no comma in an object": (
        "plain:predict",
        b'{"a": [1] "b"}',
        400,
        "JSON Parse error: Missing a comma or } after an object member. at offset: 10",
    ),
    "too deep": ("plain:predict", b"[" * 100_000, 400, "JSON Parse error: Terminate parsing *"),
    "no object": ("plain:predict", b'[1, "a"]', 400, 'JSON Value: [1, "a"] Is not object'),
    "signature name": (
        "plain:predict",
        {"signature_name": 3},
        400,
        'JSON Value: {\n    "signature_name": 3\n} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    "signature": (
        "plain:predict",
        {"signature_name": "other", "instances": [1]},
        400,
        'Serving signature name: "other" not found in signature def',
    ),
    "model": ("other:predict", {}, 404, "Servable not found for request: Latest(other)"),
    "old version": (
        "plain/versions/4:predict",
        {"instances": [1]},
        404,
        "Servable not found for request: Specific(plain, 4)",
    ),
    "label": ("plain/labels/new:predict", {}, 400, "Unrecognized servable version label: new"),
    "neither key": ("plain:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
    "both keys": (
        "plain:predict",
        {"instances": [1], "inputs": 1},
        400,
        'JSON Value: {\n    "instances": [1],\n    "inputs": 1\n} Not formatted correctly '
        "expecting only one of 'inputs' or 'instances' keys to exist ",
    ),
    "no list": (
        "plain:predict",
        {"instances": "x"},
        400,
        'JSON Value: {\n    "instances": "x"\n} Expecting \'instances\' to be an list/array',
    ),
    "empty list": (
        "plain:predict",
        {"instances": []},
        400,
        "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
    ),
    "plain rows for two inputs": (
        "plain:predict",
        {"signature_name": "sum", "instances": [1, 2]},
        400,
        "instances is a plain list, but expecting list of objects as multiple input tensors "
        "required as per tensorinfo_map",
    ),
    "plain column for two inputs": (
        "plain:predict",
        {"signature_name": "sum", "inputs": [1, 2]},
        400,
        "inputs is a plain value/list, but expecting an object as multiple input tensors "
        "required as per tensorinfo_map",
    ),
    "column missing": (
        "plain:predict",
        {"signature_name": "sum", "inputs": {"a": 1}},
        400,
        "Missing named input: b in 'inputs' object.",
    ),
    "keys of a row": (
        "plain:predict",
        {"signature_name": "sum", "instances": [{"a": 1, "b": 2}, {"a": 1}]},
        400,
        "Failed to process element: 1 of 'instances' list. JSON object: "
        '{\n    "a": 1\n} keys must be equal to: a,b',
    ),
    "unknown key of a row": (
        "plain:predict",
        {"instances": [{"z": 1}]},
        400,
        "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: "
        "JSON object: does not have named input: z",
    ),
    "mixed rows": (
        "plain:predict",
        {"instances": [{"x": 1}, 2]},
        400,
        "Expecting object but got list at item 1 of input list",
    ),
    "type of a row": (
        "plain:predict",
        {"instances": [1, "two"]},
        400,
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
        'JSON Value: "two" Type: String is not of expected type: float',
    ),
    "integer with a point": (
        "plain:predict",
        {"signature_name": "slow", "inputs": 1.0},
        400,
        "JSON Value: 1.0 Type: Number is not of expected type: int64",
    ),
    "truth for a number": (
        "plain:predict",
        {"inputs": True},
        400,
        "JSON Value: true Type: True is not of expected type: float",
    ),
    "size": (
        "plain:predict",
        {"instances": [[1], [1, 2]]},
        400,
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
        "Expecting tensor size: 1 but got: 2",
    ),
    "shape": (
        "plain:predict",
        {"instances": [[1], 1]},
        400,
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
        "Expecting shape [1] but got: []",
    ),
    "ragged": (
        "plain:predict",
        {"inputs": [[1, 2], [3]]},
        400,
        "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ),
    "list too deep": (
        "plain:predict",
        {"inputs": [1, [2]]},
        400,
        "Encountered list at unexpected level: 1 expected < 1",
    ),
    "value too high": (
        "plain:predict",
        {"inputs": [[1], 2]},
        400,
        "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
    "base64": ("examples:predict", {"inputs": [{"b64": "?"}]}, 400, "Unable to base64 decode"),
    "object for a string": (
        "examples:predict",
        {"inputs": [{"b65": "YQ=="}]},
        400,
        'JSON Value: {\n    "b65": "YQ=="\n} not formatted correctly for base64 data',
    ),
    "no examples": (
        "examples:classify",
        {"signature_name": "s"},
        400,
        'JSON Value: {\n    "signature_name": "s"\n} When method is classify, key \'examples\' is '
        "expected and was not found",
    ),
    "examples no list": (
        "examples:regress",
        {"examples": 1},
        400,
        "JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array",
    ),
    "examples empty": (
        "examples:regress",
        {"examples": []},
        400,
        "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array",
    ),
    "example no object": (
        "examples:regress",
        {"examples": [None]},
        400,
        "Example must be JSON object but got JSON Null",
    ),
    "feature of two kinds": (
        "examples:regress",
        {"examples": [{"x": [1.0, 2]}]},
        400,
        "Unexpected element type in feature: x expecting type: float",
    ),
    "feature of no kind": (
        "examples:regress",
        {"examples": [{"x": [[1.0]]}]},
        400,
        "Feature: x has element with unexpected JSON type: Array",
    ),
    "feature too large": (
        "examples:regress",
        {"examples": [{"x": 2**63}]},
        400,
        "Feature: x has uint64_t element. Only int64_t is supported.",
    ),
    "signature of examples": (
        "examples:regress",
        {"signature_name": "nothing", "examples": [{}]},
        400,
        "No signature was found with the name: nothing",
    ),
    "runtime": (
        "plain:predict",
        {"signature_name": "product", "inputs": {"a": [[1, 2]], "b": [[1, 2]]}},
        400,
        "Matrix size-incompatible: *",
    ),
}


@pytest.mark.parametrize("case", _REFUSALS)
def test_refusal(case, plain_server, examples_server):
    path, body, status, message = _REFUSALS[case]
    server = examples_server if path.startswith("examples") else plain_server
    found_status, content_type, text = _ask(server, "POST", f"/v1/models/{path}", body)
    found = json.loads(text)["error"]
    assert text == '{\n    "error": ' + json.dumps(found, ensure_ascii=False) + "\n}"
    assert (found_status, content_type) == (status, "application/json")
    if message.endswith("*"):
        assert found.startswith(message[:-1]), found
    else:
        assert found == message


@pytest.mark.parametrize(
    "method, path, status, message",
    [
        ("PUT", "/v1/models/plain", 400, "Malformed request: PUT /v1/models/plain"),
        ("GET", "/v1/other", 400, "Malformed request: GET /v1/other"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/other", 404, "Could not find any versions of model other"),
        ("GET", "/v1/models/plain?x=y", 404, "Could not find any versions of model plain?x=y"),
        ("GET", "/v1/models/plain/versions/4", 404, "Could not find version 4 of model plain"),
        (
            "GET",
            "/v1/models/other/metadata",
            404,
            "Servable not found for request: Latest(other)",
        ),
    ],
)
def test_refused_look(plain_server, method, path, status, message):
    found_status, _, text = _ask(plain_server, method, path)
    assert (found_status, json.loads(text)["error"]) == (status, message)


@pytest.mark.parametrize(
    "value, text",
    [
        (np.float32(0.2), "0.2"),
        (np.float32(1 / 3), "0.333333343"),
        (np.float64(1 / 3), "0.33333333333333331"),
        (np.float32(9000000), "9e+06"),
        (np.float32(3), "3.0"),
        (np.float32(-0.0), "-0.0"),
        (np.float32(16777217), "16777216.0"),
        (np.float64("-inf"), "-Infinity"),
    ],
)
def test_decimals_are_read_as_what_they_were(value, text):
    assert json_text.decimal(value) == text
    assert type(value)(text.replace("Infinity", "inf")) == value


def test_what_is_no_number_has_a_name():
    assert json_text.decimal(np.float32("nan")) == "NaN"


def test_quoted_json_is_cut():
    quoted = json_text.debug(list(range(1000)))
    assert quoted.startswith("[0, 1, 2, ") and 256 <= len(quoted) < 262
    assert json_text.debug({}) == "{}"
    assert json_text.debug({"a": [{"b": 1.5e300}]}) == (
        '{\n    "a": [{\n            "b": 1.5e300\n        }]\n}'
    )
