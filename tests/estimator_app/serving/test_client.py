"""The clients against the server: every method gives the same over gRPC and REST, by threads and asyncio."""

import asyncio

import numpy as np
import pytest

import serving_client
from serving_client import errors, wire

ROWS = [{"x": [1.0, 2.0]}, {"x": [-4.0, 1.0]}]
TYPES = {
    "float64": np.float64([[0.1, -np.inf]]),
    "int8": np.int8([-128, 127]),
    "int32": np.int32(-(2**31)),
    "int64": np.int64([2**63 - 1]),
    "bool": np.bool_([True, False]),
    "string": np.array([b"\x00a", "é".encode()], object),
    "float16": np.float16([1.5]),
    "uint64": np.uint64([2**64 - 1]),
}


@pytest.fixture(params=["grpc", "rest", "asyncio grpc", "asyncio rest"])
def way(request):
    return request.param


def ask(way, server, method, *args, **values):
    """Returns what one method of a new client gives."""
    scheme, port = ("http://", server.rest_port) if way.endswith("rest") else ("", server.port)
    settings = serving_client.ClientSettings(f"{scheme}127.0.0.1:{port}", check_shapes=False)
    model = server.settings.model_name

    async def in_loop():
        async with serving_client.AsyncPredictionClient(settings, model) as client:
            return await getattr(client, method)(*args, **values)

    if way.startswith("asyncio"):
        return asyncio.run(in_loop())
    with serving_client.PredictionClient(settings, model) as client:
        return getattr(client, method)(*args, **values)


def test_predict(way, plain_server):
    inputs = {"a": [[1], [2]], "b": 10}
    outputs = ask(way, plain_server, "predict", inputs, "sum")
    assert list(outputs) == ["difference", "sum"]
    assert outputs["sum"].dtype == np.float32
    assert outputs["sum"].tolist() == [[11.0], [12.0]]
    only = ask(way, plain_server, "predict", inputs, "sum", output_filter=["sum"])
    assert list(only) == ["sum"]
    assert ask(way, plain_server, "predict", {"x": 4}, version=5)["y"].tolist() == 8.0


def test_every_dtype_comes_back_as_it_went(way, plain_server):
    if way.endswith("rest"):
        with pytest.raises(errors.UnsupportedError, match="no JSON; ask its gRPC port"):
            ask(way, plain_server, "predict", TYPES, "types")
        return
    outputs = ask(way, plain_server, "predict", TYPES, "types")
    assert outputs.keys() == TYPES.keys()
    for name, sent in TYPES.items():
        assert outputs[name].dtype == sent.dtype
        np.testing.assert_array_equal(outputs[name], sent)


def test_predict_with_serialised_examples(way, examples_server):
    rows = [serving_client.make_example(row).SerializeToString() for row in ROWS]
    outputs = ask(way, examples_server, "predict", {"examples": rows})
    assert outputs["label"].tolist() == [b"yes", b"no"]
    np.testing.assert_array_equal(outputs["logits"], np.float32([[5.0], [-2.0]]))


def test_predict_request(way, plain_server):
    request = wire.PredictRequest()
    request.model_spec.signature_name = "sum"
    for name in ("a", "b"):
        request.inputs[name].CopyFrom(wire.to_tensor_proto(np.float32([2])))
    response = ask(way, plain_server, "predict_request", request)
    assert wire.to_array(response.outputs["sum"]).tolist() == [4.0]


def test_classify_and_regress(way, examples_server):
    classes = ask(way, examples_server, "classify", ROWS, "classification")
    assert [[label for label, _ in row] for row in classes] == [["no", "yes"]] * 2
    assert classes[0][1][1] == pytest.approx(1 / (1 + np.exp(-5)))
    assert ask(way, examples_server, "regress", ROWS, "regression") == [5.0, -2.0]


def test_metadata_and_status(way, plain_server):
    found = ask(way, plain_server, "model_metadata")
    assert found == ask("grpc", plain_server, "model_metadata")
    assert str(found.signatures["serving_default"].inputs["x"]) == "x: float32 [?, 1]"
    available = [serving_client.VersionStatus(5, "AVAILABLE")]
    assert ask(way, plain_server, "model_status") == available
    assert ask(way, plain_server, "wait_until_available", 5) == 5


@pytest.mark.parametrize(
    "method, arguments, error, text",
    [
        ("model_status", {"version": 9}, errors.NotFoundError, "Could not find version 9 of model"),
        ("model_metadata", {"version": 9}, errors.NotFoundError, "Servable not found for request"),
        (
            "classify",
            {"examples": [], "signature_name": "classification"},
            errors.RefusedError,
            "Input is empty|'examples' value is an empty array",
        ),
        (
            "regress",
            {"examples": ROWS, "signature_name": "no"},
            errors.RefusedError,
            "No signature was found with the name: no",
        ),
    ],
)
def test_errors(way, examples_server, method, arguments, error, text):
    with pytest.raises(error, match=text) as caught:
        ask(way, examples_server, method, **arguments)
    assert type(caught.value) is error
    assert caught.value.model == "examples"


def test_multi_inference(way, examples_server):
    names = ["classification", "regression"]
    if way.endswith("rest"):
        with pytest.raises(errors.UnsupportedError, match="no MultiInference over REST"):
            ask(way, examples_server, "multi_inference", ROWS, names)
        return
    answers = ask(way, examples_server, "multi_inference", ROWS, names)
    assert answers["regression"] == [5.0, -2.0]
    assert answers["classification"] == ask(way, examples_server, "classify", ROWS, names[0])
