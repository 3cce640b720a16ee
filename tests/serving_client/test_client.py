"""PredictionClient against a real gRPC server."""

import pathlib
import re
import threading

import grpc
import numpy as np
import pytest

import serving_client
from serving_client import client as client_lib
from serving_client import encoding, errors, grpc_channels, settings, wire
from tests.serving_client import fake_server

INPUTS = {"age": [30, 40.0], "hours": np.float64([10, 15]), "job": ["a", b"b"]}


@pytest.fixture
def client(address):
    with client_lib.PredictionClient(address, fake_server.MODEL) as client:
        yield client


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, on_sleep=lambda: None) -> None:
        self.now = 0.0
        self.on_sleep = on_sleep

    def __call__(self) -> float:
        return self.now

    def sleep(self, secs: float) -> None:
        self.now += secs
        self.on_sleep()


def impatient(address: str, **values) -> settings.ClientSettings:
    """Returns settings without repetitions."""
    return settings.ClientSettings(address, retry_timeout_secs=0, **values)


def test_public_names_are_sorted_and_all_there():
    # Private names and submodules (which any import adds) are no part of the public face.
    folder = pathlib.Path(serving_client.__file__).parent
    submodules = {path.stem for path in folder.glob("*.py")}
    public = {name for name in vars(serving_client) if not name.startswith("_")} - submodules
    assert serving_client.__all__ == sorted(public | {"wire"})


def test_predict_encodes_by_the_signature_and_gives_arrays(client, model):
    outputs = client.predict(INPUTS, signature_name="tensors:predict")
    assert outputs["score"].dtype == np.float32
    np.testing.assert_array_equal(outputs["score"], [[35.0], [47.5]])
    assert outputs["text"].tolist() == [b"a", b"b"]
    (request,) = model.asked(wire.PredictRequest)
    assert request.model_spec.name == fake_server.MODEL
    assert request.model_spec.signature_name == "tensors:predict"
    assert request.inputs["hours"].dtype == wire.DATA_TYPES["DT_FLOAT"]
    assert request.inputs["age"].tensor_content  # the compact form


def test_output_filter_is_sent(client):
    assert set(client.predict(INPUTS, "tensors:predict", output_filter=["text"])) == {"text"}


def test_metadata_is_fetched_once_a_version(client, model):
    for _ in range(2):
        client.predict(INPUTS, "tensors:predict")
        client.predict(INPUTS, "tensors:predict", version=3)
        client.predict(INPUTS, "tensors:predict", version_label="stable")
    specs = [one.model_spec for one in model.asked(wire.GetModelMetadataRequest)]
    assert [(spec.version.value, spec.version_label) for spec in specs[:3]] == [
        (0, ""),
        (3, ""),
        (0, "stable"),
    ]
    assert len(specs) == 3


def test_metadata_is_fetched_again_when_another_version_answers(client, model):
    client.predict(INPUTS, "tensors:predict")
    model.version = 8
    client.predict(INPUTS, "tensors:predict")  # its answer tells of the new version
    client.predict(INPUTS, "tensors:predict")
    assert len(model.asked(wire.GetModelMetadataRequest)) == 2


def test_refusal_by_a_newer_version_is_answered_with_its_signature(client, model):
    client.predict(INPUTS, "tensors:predict")
    model.version = 8
    model.signatures["tensors:predict"].inputs["hours"].dtype = wire.DATA_TYPES["DT_DOUBLE"]
    model.refusals = [(grpc.StatusCode.INVALID_ARGUMENT, "Expected hours to be double")]
    outputs = client.predict(INPUTS, "tensors:predict")
    np.testing.assert_array_equal(outputs["score"], [[35.0], [47.5]])
    client.predict(INPUTS, "tensors:predict")
    asked = model.asked(wire.PredictRequest)
    assert [wire.data_type_name(one.inputs["hours"].dtype) for one in asked] == [
        "DT_FLOAT",
        "DT_FLOAT",
        "DT_DOUBLE",
        "DT_DOUBLE",
    ]
    assert len(model.asked(wire.GetModelMetadataRequest)) == 2


def test_refusal_by_the_version_that_is_known_stays(client, model):
    client.predict(INPUTS, "tensors:predict")
    model.refusals = [(grpc.StatusCode.INVALID_ARGUMENT, "hours must be positive")]
    with pytest.raises(errors.RefusedError, match="hours must be positive"):
        client.predict(INPUTS, "tensors:predict")
    assert len(model.asked(wire.PredictRequest)) == 2
    assert len(model.asked(wire.GetModelMetadataRequest)) == 2


def test_refusal_stays_if_the_signature_cannot_be_fetched_then(client, model):
    client.predict(INPUTS, "tensors:predict")
    model.refusals = [(grpc.StatusCode.INVALID_ARGUMENT, "no"), (grpc.StatusCode.INTERNAL, "gone")]
    with pytest.raises(errors.RefusedError, match="the request for model 'half': no"):
        client.predict(INPUTS, "tensors:predict")


def test_text_is_encoded_once_a_call(client, model, monkeypatch):
    first = client.predict(INPUTS, "tensors:predict")
    monkeypatch.setattr(encoding, "encode_inputs", None)  # further requests are written as bytes
    again = client.predict(INPUTS, "tensors:predict")
    assert again["text"].tolist() == first["text"].tolist()
    one, other = model.asked(wire.PredictRequest)
    assert one == other


def test_inputs_that_only_the_newer_version_takes_are_sent(client, model):
    with pytest.raises(errors.InputError):
        client.predict({"old": [1]}, "tensors:new")
    model.signatures["tensors:new"] = model.signatures["tensors:predict"]
    assert set(client.predict(INPUTS, "tensors:new")) == {"score", "text"}


def test_unknown_signature_lists_known_ones_and_sends_nothing(client, model):
    with pytest.raises(errors.InputError) as caught:
        client.predict(INPUTS, signature_name="predcit")
    assert str(caught.value) == (
        "Model 'half': version 7 has no signature 'predcit'; it has classification, predict, "
        "regression, serving_default, tensors:predict."
    )
    assert caught.value.model == fake_server.MODEL
    assert model.asked(wire.PredictRequest) == []


def test_missing_input_is_named_before_anything_is_sent(client, model):
    with pytest.raises(errors.InputError) as caught:
        client.predict({"age": [1], "hours": [2]}, "tensors:predict")
    assert str(caught.value) == (
        "Model 'half': The inputs do not fit signature 'tensors:predict' (missing: job); it takes "
        "age: int64 [?]; hours: float32 [?]; job: string [?]."
    )
    assert model.asked(wire.PredictRequest) == []


def test_version_and_label_together_are_refused(client):
    with pytest.raises(errors.InputError, match="Give a version or a label, not both"):
        client.predict(INPUTS, "tensors:predict", version=1, version_label="stable")


def test_large_answers_and_requests_pass(client):
    count = 2_000_000  # 8 MB of float32, twice gRPC's own limit
    inputs = {"age": np.ones(count), "hours": np.zeros(count), "job": ["x"]}
    outputs = client.predict(inputs, "tensors:predict", output_filter=["score"])
    assert outputs["score"].shape == (count, 1)
    assert (outputs["score"] == 1).all()


def test_smaller_limit_is_kept(address):
    limited = impatient(address, max_message_bytes=100)
    with client_lib.PredictionClient(limited, fake_server.MODEL) as client:
        with pytest.raises(errors.OverloadedError, match="send smaller batches"):
            client.model_metadata()


def test_classify_gives_labels_with_scores(client, model):
    rows = [{"age": 30, "hours": 10.0, "job": "a"}, {"age": 40, "hours": 0.0, "job": b"b"}]
    assert client.classify(rows) == [[("no", 65.0), ("yes", 35.0)], [("no", 60.0), ("yes", 40.0)]]
    client.classify(rows, signature_name="classification", version=4)
    spec = model.asked(wire.ClassificationRequest)[-1].model_spec
    assert (spec.signature_name, spec.version.value) == ("classification", 4)


def test_regress_gives_numbers(client):
    rows = [{"age": 30, "hours": 10.0, "job": "a"}]
    assert client.regress(rows, signature_name="regression", version_label="stable") == [35.0]


def test_answers_for_fewer_rows_than_asked_are_the_servers_fault(client, model, monkeypatch):
    rows = [{"age": 30, "hours": 10.0, "job": "a"}, {"age": 40, "hours": 0.0, "job": b"b"}]
    scores = model._example_scores
    monkeypatch.setattr(model, "_example_scores", lambda request: scores(request)[1:])
    for ask in (
        client.classify,
        lambda rows: client.regress(rows, "regression"),
        lambda rows: client.multi_inference(rows, ["classification"]),
        lambda rows: client.multi_inference(rows, ["regression"]),
    ):
        with pytest.raises(errors.ServerError) as caught:
            ask(rows)
        assert str(caught.value).endswith(
            "results that cannot be read: there are 1 of them for 2 examples."
        )


def test_own_and_official_requests_are_sent(client):
    from tensorflow_serving.apis import predict_pb2

    own = wire.PredictRequest(output_filter=["score"])
    for name, value in {"age": [1], "hours": np.float32([2]), "job": ["a"]}.items():
        own.inputs[name].CopyFrom(wire.to_tensor_proto(value))
    official = predict_pb2.PredictRequest.FromString(own.SerializeToString())
    for request in (own, official):
        response = client.predict_request(request)
        assert wire.to_array(response.outputs["score"]).tolist() == [[2.0]]
        assert request.model_spec.name == ""  # the caller's message stays as it was
    with pytest.raises(TypeError, match="Expected a message tensorflow.serving.PredictRequest"):
        client.predict_request(wire.ModelSpec())


def test_official_stubs_understand_a_server_made_of_our_tables(address):
    from tensorflow_serving.apis import (
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    request = predict_pb2.PredictRequest()
    request.model_spec.name = fake_server.MODEL
    for name, value in {"age": [1], "hours": np.float32([2]), "job": ["a"]}.items():
        request.inputs[name].ParseFromString(wire.to_tensor_proto(value).SerializeToString())
    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert list(stub.Predict(request, timeout=10).outputs["score"].float_val) == [2.0]
        status = get_model_status_pb2.GetModelStatusRequest(model_spec=request.model_spec)
        answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status, timeout=10)
        assert [one.version for one in answer.model_version_status] == [7, 6]


def test_model_metadata_has_dtypes_shapes_and_methods(client, model):
    unknown = wire.TensorInfo(dtype=wire.DATA_TYPES["DT_FLOAT_REF"])
    unknown.tensor_shape.unknown_rank = True
    model.signatures["any"] = fake_server.signature("predict", {"x": unknown}, {"x": unknown})
    default = wire.to_tensor_proto(np.float32(1))
    model.signatures["any"].defaults["x"].CopyFrom(default)
    found = client.model_metadata()
    assert (found.model, found.version) == (fake_server.MODEL, 7)
    assert list(found.signatures) == sorted(model.signatures)
    plain = found.signatures["tensors:predict"]
    assert plain.method_name == "tensorflow/serving/predict"
    assert [str(spec) for spec in plain.inputs.values()] == [
        "age: int64 [?]",
        "hours: float32 [?]",
        "job: string [?]",
    ]
    assert plain.outputs["score"].shape == (None, 1)
    anything = found.signatures["any"]
    assert str(anything.inputs["x"]) == "x: float32_ref of any rank".replace("_ref", "")
    assert anything.optional_inputs == {"x"}


def test_model_status_lists_versions_with_their_errors(client):
    assert client.model_status() == [
        serving_client.VersionStatus(7, "AVAILABLE"),
        serving_client.VersionStatus(6, "END", 5, "no saved_model.pb"),
    ]


def test_output_that_cannot_be_read_is_the_servers_fault(client, model, monkeypatch):
    def predict(request):
        response = wire.PredictResponse()
        response.outputs["score"].dtype = wire.DATA_TYPES["DT_RESOURCE"]
        return response

    monkeypatch.setattr(model, "Predict", predict)
    with pytest.raises(errors.ServerError) as caught:
        client.predict(INPUTS, "tensors:predict")
    assert str(caught.value).endswith(
        "answered for model 'half' with an output that cannot be read: A tensor of type DT_RESOURCE "
        "cannot be turned into an array."
    )


def test_metadata_that_cannot_be_read_is_the_servers_fault(client, model, monkeypatch):
    monkeypatch.setattr(wire, "_SIGNATURE_DEF_URL", "type.googleapis.com/other.Message")
    with pytest.raises(errors.ServerError, match="metadata that cannot be read"):
        client.model_metadata()


def test_unknown_model_names_address_and_model(address):
    with client_lib.PredictionClient(address, "census") as client:
        with pytest.raises(errors.NotFoundError) as caught:
            client.model_status()
    assert str(caught.value) == (
        f"The server at {address} has no such model or version ready for model 'census': Servable "
        "not found for request: Latest(census); check the name, or wait until it is loaded."
    )
    assert caught.value.details == "Servable not found for request: Latest(census)"


def test_refusal_of_the_server_comes_with_its_text(client, model):
    model.refusals = [(grpc.StatusCode.INVALID_ARGUMENT, "tensor parsing error: x")]
    with pytest.raises(errors.RefusedError) as caught:
        client.regress([])
    assert str(caught.value).endswith(
        "refused the request for model 'half': tensor parsing error: x."
    )
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_unavailable_is_repeated_and_other_failures_are_not(address, model):
    clock = Clock()
    with client_lib.PredictionClient(
        address, fake_server.MODEL, clock=clock, sleep=clock.sleep
    ) as client:
        model.refusals = [(grpc.StatusCode.UNAVAILABLE, "going away")] * 3
        assert client.model_status()[0].version == 7
        assert len(model.requests) == 4
        model.refusals = [(grpc.StatusCode.INTERNAL, "broken"), (grpc.StatusCode.INTERNAL, "no")]
        with pytest.raises(errors.ServerError, match="broken"):
            client.model_status()
        assert len(model.requests) == 5


def test_dead_address_is_named_with_the_deadline(dead_address):
    with client_lib.PredictionClient(impatient(dead_address, timeout_secs=3), "m") as client:
        with pytest.raises(errors.UnavailableError) as caught:
            client.model_status()
    assert re.fullmatch(
        rf"No server answers at {dead_address} \(deadline 3 s\): .*; check that it runs and that "
        "this is its gRPC port, not its REST port.",
        str(caught.value),
    )


def test_server_that_does_not_answer_in_time_is_named_with_the_deadline(address, model):
    model.hold.clear()
    with client_lib.PredictionClient(
        settings.ClientSettings(address, timeout_secs=0.3), fake_server.MODEL
    ) as client:
        with pytest.raises(errors.DeadlineError) as caught:
            client.model_status()
    assert str(caught.value) == (
        f"The server at {address} did not answer for model 'half' within the deadline of 0.3 s; "
        "check that it is not overloaded, or allow more time."
    )


def test_waiting_ends_when_a_version_is_available(address, model):
    model.statuses = [(9, "LOADING", 0, ""), (8, "START", 0, "")]
    model.refusals = [
        (grpc.StatusCode.UNAVAILABLE, "not yet"),
        (grpc.StatusCode.NOT_FOUND, "Could not find any versions of model half"),
    ]

    def load():
        if len(model.requests) == 4:
            model.statuses = [(9, "AVAILABLE", 0, ""), (8, "AVAILABLE", 0, "")]

    clock = Clock(on_sleep=load)
    with client_lib.PredictionClient(
        address, fake_server.MODEL, clock=clock, sleep=clock.sleep
    ) as client:
        assert client.wait_until_available(timeout_secs=30) == 9
    assert len(model.requests) == 5


def test_waiting_too_long_says_what_was_there(address, model):
    model.statuses = [(9, "END", 5, "no saved_model.pb"), (8, "LOADING", 0, "")]
    clock = Clock()
    with client_lib.PredictionClient(
        address, fake_server.MODEL, clock=clock, sleep=clock.sleep
    ) as client:
        with pytest.raises(errors.DeadlineError) as caught:
            client.wait_until_available(timeout_secs=2)
    assert str(caught.value) == (
        f"Model 'half' at {address} was not available within 2 s: version 9 is END (no "
        "saved_model.pb); version 8 is LOADING."
    )
    assert caught.value.timeout_secs == 2


def test_waiting_for_a_dead_address_says_so(dead_address):
    clock = Clock()
    with client_lib.PredictionClient(dead_address, "m", clock=clock, sleep=clock.sleep) as client:
        with pytest.raises(errors.DeadlineError, match="was not available within 0.5 s: "):
            client.wait_until_available(timeout_secs=0.5)


def test_closed_client_says_so(address):
    client = client_lib.PredictionClient(address, fake_server.MODEL)
    client.close()
    client.close()
    with pytest.raises(errors.ClientError) as caught:
        client.model_status()
    assert str(caught.value) == f"This client for {address} is closed; open a new one."


def test_client_needs_a_model(address):
    with pytest.raises(errors.InputError, match="needs the model's name"):
        client_lib.PredictionClient(address, "")


def test_threads_share_a_client(client):
    results: list = []

    def ask(number):
        inputs = {"age": [number], "hours": [0], "job": ["x"]}
        results.append(client.predict(inputs, "tensors:predict")["score"].item() == number)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8


def test_proxies_are_not_asked_for_this_machine():
    def proxied(address):
        options = grpc_channels.channel_options(address, settings.ClientSettings(address))
        return ("grpc.enable_http_proxy", 0) not in options

    assert not proxied("localhost:8500")
    assert not proxied("127.0.0.1:8500")
    assert not proxied("[::1]:8500")
    assert proxied("models.example.com:8500")
