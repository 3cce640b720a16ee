"""Several addresses, TLS, headers, compression and the rarer calls, by both clients over gRPC."""

import asyncio
import contextlib
import threading

import grpc
import pytest

import serving_client
from serving_client import errors, grpc_channels, settings, steps, wire
from tests.serving_client import certificates, fake_server
from tests.serving_client import relay as relay_lib

INPUTS = {"age": [30, 40], "hours": [10.0, 15.0], "job": ["a", "b"]}
ROWS = [{"age": 30, "hours": 10.0, "job": "a"}, {"age": 40, "hours": 0.0, "job": b"b"}]


class InLoop:
    """An AsyncPredictionClient with the face of PredictionClient: each call runs in one loop."""

    def __init__(self, *args) -> None:
        self._runner = asyncio.Runner()
        self._client = serving_client.AsyncPredictionClient(*args)

    def __getattr__(self, name):
        method = getattr(self._client, name)
        return lambda *args, **values: self._runner.run(method(*args, **values))

    def __enter__(self):
        return self

    def __exit__(self, *unused) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture(params=["threads", "asyncio"])
def kind(request):
    """The class of the client."""
    return {"threads": serving_client.PredictionClient, "asyncio": InLoop}[request.param]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def two_models():
    """Two servers: (their models, their addresses)."""
    models = [fake_server.FakeModel(), fake_server.FakeModel()]
    with contextlib.ExitStack() as stack:
        yield models, tuple(stack.enter_context(fake_server.serve(model)) for model in models)


def test_every_call_has_the_same_answer_from_both_clients(kind, address):
    with kind(address, fake_server.MODEL) as client:
        assert client.wait_until_available(5) == 7
        assert client.predict(INPUTS, "tensors:predict")["score"].tolist() == [[35.0], [47.5]]
        classes = [[("no", 65.0), ("yes", 35.0)], [("no", 60.0), ("yes", 40.0)]]
        assert client.classify(ROWS) == classes
        assert client.regress(ROWS, "regression") == [35.0, 40.0]
        assert list(client.model_metadata().signatures) == sorted(fake_server.default_signatures())
        assert [one.version for one in client.model_status()] == [7, 6]
        request = wire.PredictRequest()
        request.model_spec.signature_name = "predict"
        rows = [serving_client.make_example(row).SerializeToString() for row in ROWS]
        request.inputs["examples"].CopyFrom(wire.to_tensor_proto(rows))
        response = client.predict_request(request)
        assert wire.to_array(response.outputs["score"]).tolist() == [[35.0], [40.0]]


def test_multi_inference_gives_each_signature_its_kind_of_answer(kind, address, model):
    with kind(address, fake_server.MODEL) as client:
        answers = client.multi_inference(ROWS[:1], ["classification", "regression"], version=7)
    assert answers == {"classification": [[("no", 65.0), ("yes", 35.0)]], "regression": [35.0]}
    (request,) = model.asked(wire.MultiInferenceRequest)
    assert [(task.model_spec.signature_name, task.method_name) for task in request.tasks] == [
        ("classification", "tensorflow/serving/classify"),
        ("regression", "tensorflow/serving/regress"),
    ]
    assert request.tasks[1].model_spec.version.value == 7
    assert len(request.input.example_list.examples) == 1


def test_multi_inference_refuses_what_it_cannot_ask(address, model):
    with serving_client.PredictionClient(address, fake_server.MODEL) as client:
        with pytest.raises(errors.InputError) as caught:
            client.multi_inference(ROWS, ["tensors:predict"])
        assert str(caught.value) == (
            "Model 'half': signature 'tensors:predict' does not fit MultiInference: its method is "
            "'tensorflow/serving/predict', not tensorflow/serving/classify or "
            "tensorflow/serving/regress."
        )
        with pytest.raises(errors.InputError, match="needs one signature or more; got none"):
            client.multi_inference(ROWS, [])
    assert model.asked(wire.MultiInferenceRequest) == []


def test_reload_goes_to_every_address_as_text_or_message(kind, two_models):
    models, addresses = two_models
    text = 'model_config_list { config { name: "half" base_path: "/models/half" } }'
    config = wire.ModelServerConfig()
    config.model_config_list.config.add(name="half", base_path="/models/half")
    with kind(settings.ClientSettings(addresses), fake_server.MODEL) as client:
        client.reload_config(text)
        client.reload_config(config)
    for model in models:
        assert [one.config for one in model.asked(wire.ReloadConfigRequest)] == [config, config]


def test_reload_is_never_repeated_and_names_the_server(two_models):
    models, addresses = two_models
    with serving_client.PredictionClient(
        settings.ClientSettings(addresses), fake_server.MODEL
    ) as client:
        models[1].refusals = [(grpc.StatusCode.UNAVAILABLE, "going away")]
        with pytest.raises(errors.UnavailableError, match=addresses[1]):
            client.reload_config("model_config_list {}")
        assert [len(model.requests) for model in models] == [1, 1]
        models[0].reload_status = (3, "Illegal to list model a multiple times in config list")
        with pytest.raises(errors.RefusedError) as caught:
            client.reload_config("model_config_list {}")
        assert str(caught.value) == (
            f"The server at {addresses[0]} refused the request for model 'half': Illegal to list "
            "model a multiple times in config list."
        )
        with pytest.raises(errors.InputError, match="Expected the text of a ModelServerConfig"):
            client.reload_config("model_config_lits {}")


def test_calls_go_round_the_addresses(kind, two_models):
    models, addresses = two_models
    with kind(settings.ClientSettings(addresses), fake_server.MODEL) as client:
        for _ in range(6):
            client.model_status()
    assert [len(model.requests) for model in models] == [3, 3]


def test_pick_first_stays_with_the_first_while_it_answers(two_models):
    models, addresses = two_models
    only = settings.ClientSettings(",".join(addresses), balance="pick_first")
    with serving_client.PredictionClient(only, fake_server.MODEL) as client:
        for _ in range(4):
            client.model_status()
        models[0].refusals = [(grpc.StatusCode.UNAVAILABLE, "going away")]
        client.model_status()
    assert [len(model.requests) for model in models] == [5, 1]


def test_dead_address_costs_no_failed_call_and_is_asked_last(kind, dead_address, address, model):
    addresses = settings.ClientSettings((dead_address, address), retry_max_wait_secs=30)
    with kind(addresses, fake_server.MODEL) as client:
        for _ in range(6):
            assert client.model_status()[0].version == 7
    assert len(model.requests) == 6


def test_all_addresses_dead_is_named_with_the_last_one(dead_address):
    both = settings.ClientSettings(
        (dead_address, dead_address), retry_timeout_secs=0.3, connect_timeout_secs=0.2
    )
    with serving_client.PredictionClient(both, "m") as client:
        with pytest.raises(errors.UnavailableError, match=f"No server answers at {dead_address} "):
            client.model_status()


def test_waiting_covers_every_address(two_models):
    models, addresses = two_models
    models[0].statuses = [(8, "AVAILABLE", 0, ""), (6, "AVAILABLE", 0, "")]
    models[1].statuses = [(7, "AVAILABLE", 0, ""), (6, "AVAILABLE", 0, "")]
    with serving_client.PredictionClient(
        settings.ClientSettings(addresses), fake_server.MODEL
    ) as client:
        assert client.wait_until_available(5) == 6
    assert [len(model.requests) for model in models] == [1, 1]


def test_waiting_goes_on_until_one_version_is_at_every_address(two_models):
    models, addresses = two_models
    models[0].statuses = [(7, "AVAILABLE", 0, "")]
    models[1].statuses = [(6, "AVAILABLE", 0, "")]
    now = 0.0

    def sleep(secs):
        nonlocal now
        now += secs

    with serving_client.PredictionClient(
        settings.ClientSettings(addresses), fake_server.MODEL, clock=lambda: now, sleep=sleep
    ) as client:
        with pytest.raises(errors.DeadlineError) as caught:
            client.wait_until_available(0.5)
        assert str(caught.value) == (
            f"Model 'half' at {addresses[1]} was not available within 0.5 s: version 6 is "
            f"AVAILABLE; at {addresses[0]}, version 7 is AVAILABLE."
        )
        models[1].statuses.insert(0, (7, "AVAILABLE", 0, ""))
        assert client.wait_until_available(0.5) == 7


def test_headers_of_settings_and_of_one_call_arrive(kind, address, model):
    with_headers = settings.ClientSettings(address, headers={"X-Team": "a", "Key": "secret"})
    with kind(with_headers, fake_server.MODEL) as client:
        client.model_status()
        client.model_status(headers={"x-team": "b", "trace-bin": b"\x00\xff"})
    first, second = model.headers
    assert (first["x-team"], first["key"]) == ("a", "secret")
    assert (second["x-team"], second["key"], second["trace-bin"]) == ("b", "secret", b"\x00\xff")


def test_wrong_options_of_a_call_are_refused_before_it_is_sent(client_of, model):
    for options, sentence in [
        ({"headers": {"a b": "x"}}, "A header's name has letters, digits"),
        ({"headers": {"grpc-timeout": "1S"}}, "does not begin with grpc-; got 'grpc-timeout'"),
        ({"headers": {"key": "secret\n"}}, "Header 'key' must have text of printable ASCII"),
        ({"headers": {"key-bin": "text"}}, "Header 'key-bin' must have bytes"),
        ({"compression": "zip"}, "compression must be one of none, gzip, deflate; got 'zip'"),
        ({"timeout_secs": 0}, "timeout_secs must be above 0; got 0"),
        ({"timeout": 1}, "unexpected field names: \\['timeout'\\]"),
    ]:
        with pytest.raises(errors.InputError, match=sentence) as caught:
            client_of.model_status(**options)
        assert "secret" not in str(caught.value)
    assert model.requests == []


@pytest.fixture
def client_of(address):
    with serving_client.PredictionClient(address, fake_server.MODEL) as client:
        yield client


def test_deadline_of_one_call_is_its_own(kind, address, model):
    with kind(address, fake_server.MODEL) as client:
        client.model_status()
        model.hold.clear()
        with pytest.raises(errors.DeadlineError) as caught:
            client.model_status(timeout_secs=0.2)
        model.hold.set()
    assert caught.value.timeout_secs == 0.2


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compressed_requests_are_small_on_the_wire_and_understood(kind, address, compression):
    inputs = {"age": [1] * 100_000, "hours": [0.0] * 100_000, "job": ["x"]}
    with relay_lib.relay(address) as relay:
        packed = settings.ClientSettings(relay.address, compression=compression)
        with kind(packed, fake_server.MODEL) as client:
            outputs = client.predict(inputs, "tensors:predict", output_filter=["score"])
            assert outputs["score"].shape == (100_000, 1)
            small = relay.sent_bytes
            client.predict(inputs, "tensors:predict", output_filter=["score"], compression="none")
    assert small < 50_000 < 1_000_000 < relay.sent_bytes


def test_tls_is_spoken_and_the_server_is_checked(kind, certificate, model):
    with fake_server.serve(model, certificate.server_credentials(False)) as address:
        with kind(settings.ClientSettings(address, tls=certificate.tls()), "half") as client:
            assert client.model_status()[0].version == 7
        strangers = settings.ClientSettings(
            address, tls=settings.TlsSettings(), retry_timeout_secs=0
        )
        with kind(strangers, "half") as client:
            with pytest.raises(errors.UnavailableError):
                client.model_status()


def test_mutual_tls_shows_the_clients_certificate(kind, certificate, model):
    with fake_server.serve(model, certificate.server_credentials(True)) as address:
        for with_own in (True, False):
            connection = settings.ClientSettings(
                address, tls=certificate.tls(with_own), retry_timeout_secs=0
            )
            with kind(connection, "half") as client:
                if with_own:
                    assert client.model_status()[0].version == 7
                else:
                    with pytest.raises(errors.UnavailableError):
                        client.model_status()


def test_keep_alive_asks_also_between_calls():
    connection = settings.ClientSettings("localhost:1", keepalive_secs=20)
    options = dict(grpc_channels.channel_options("localhost:1", connection))
    assert options["grpc.keepalive_time_ms"] == 20_000
    assert options["grpc.keepalive_timeout_ms"] == 5_000
    assert options["grpc.keepalive_permit_without_calls"] == 1
    without = grpc_channels.channel_options("localhost:1", settings.ClientSettings("localhost:1"))
    assert not [name for name, _ in without if "keepalive" in name]


def test_hundred_calls_of_one_loop_are_under_way_at_once(address, model):
    async def ask() -> list:
        async with serving_client.AsyncPredictionClient(address, fake_server.MODEL) as client:
            await client.predict(INPUTS, "tensors:predict")
            model.barrier = threading.Barrier(fake_server.WORKERS)  # lets nobody through alone
            answers = await asyncio.gather(
                *[
                    client.predict({"age": [n], "hours": [0], "job": ["x"]}, "tensors:predict")
                    for n in range(100)
                ]
            )
        return [answer["score"].item() for answer in answers]

    assert asyncio.run(ask()) == list(range(100))


def test_cancelled_call_ends_at_once_and_the_client_goes_on(address, model):
    async def ask() -> None:
        async with serving_client.AsyncPredictionClient(address, fake_server.MODEL) as client:
            await client.model_status()
            model.hold.clear()
            model.arrived.clear()
            model.ended.clear()
            task = asyncio.ensure_future(client.model_status())
            await asyncio.to_thread(model.arrived.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(
                model.ended.wait, 30
            )  # the server is told while it works
            model.hold.set()
            assert (await client.model_status())[0].version == 7

    asyncio.run(ask())


def test_closed_asyncio_client_says_so(address):
    async def ask() -> None:
        client = serving_client.AsyncPredictionClient(address, fake_server.MODEL)
        await client.model_status()
        await client.close()
        await client.close()
        await client.model_status()

    with pytest.raises(errors.ClientError, match="This client for .* is closed; open a new one."):
        asyncio.run(ask())


def status_step(address) -> steps.Send:
    request = wire.GetModelStatusRequest(model_spec=wire.ModelSpec(name=fake_server.MODEL))
    return steps.Send(address, "GetModelStatus", request, 30, {}, "none", None)


def test_transports_say_of_themselves_that_they_are_closed(address, model):
    both = settings.ClientSettings(address)
    channels = grpc_channels.GrpcChannels(both)
    channels.close()
    with pytest.raises(steps.ClosedError):
        channels.send(status_step(address))

    async def ask(is_used: bool) -> None:
        channels = grpc_channels.AsyncGrpcChannels(both)
        if is_used:
            await channels.send(status_step(address))
        await channels.close()
        with pytest.raises(steps.ClosedError):
            await channels.send(status_step(address))

    asyncio.run(ask(True))
    asyncio.run(ask(False))
    assert len(model.requests) == 1


def test_close_ends_calls_under_way_but_cancels_no_task(address, model):
    async def ask() -> None:
        client = serving_client.AsyncPredictionClient(address, fake_server.MODEL)
        model.hold.clear()
        task = asyncio.ensure_future(client.model_status())
        await asyncio.to_thread(model.arrived.wait)
        await client.close()
        with pytest.raises(errors.ClientError) as caught:
            await task
        assert caught.value.code is grpc.StatusCode.CANCELLED

    asyncio.run(ask())


def test_closed_clients_conversation_is_not_begun(address):
    client = serving_client.PredictionClient(address, fake_server.MODEL)
    client.close()
    with pytest.raises(errors.ClientError, match="is closed"):
        client.predict(INPUTS)
