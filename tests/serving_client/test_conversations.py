"""Conversations step by step, without a server."""

import pytest

from serving_client import conversations, errors, settings, wire
from tests.serving_client import fake_server


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def asked(clock):
    two = settings.ClientSettings(["localhost:1", "localhost:2"], timeout_secs=60)
    return conversations.Conversations(two, fake_server.MODEL, clock)


def predict(asked):
    inputs = {"age": [1], "hours": [1], "job": ["a"]}
    return asked.predict(inputs, "tensors:predict", None, None, (), {"timeout_secs": 1})


def test_one_deadline_is_for_the_signature_and_the_answer(asked, clock):
    conversation = predict(asked)
    step = next(conversation)
    assert (step.method, step.timeout_secs) == ("GetModelMetadata", 1)
    clock.now = 0.75
    step = conversation.send(fake_server.FakeModel().GetModelMetadata(step.request))
    assert (step.method, step.timeout_secs) == ("Predict", 0.25)


def test_nothing_is_sent_after_the_deadline(asked, clock):
    conversation = predict(asked)
    step = next(conversation)
    clock.now = 1
    with pytest.raises(errors.DeadlineError, match="within the deadline of 1 s"):
        conversation.send(fake_server.FakeModel().GetModelMetadata(step.request))


def test_one_deadline_is_for_every_address_of_a_reload(asked, clock):
    conversation = asked.reload_config("model_config_list {}", {})
    assert next(conversation).timeout_secs == 60
    clock.now = 20
    step = conversation.send(wire.ReloadConfigResponse())
    assert (step.address, step.timeout_secs) == ("localhost:2", 40)


def test_list_of_models_that_cannot_be_read_is_the_servers_fault(asked):
    conversation = asked.list_models({})
    next(conversation)
    response = wire.GetModelMetadataResponse()
    wire.pack_statuses(response, {"half": wire.GetModelStatusResponse()})
    response.metadata["half"].value = b"\xff"
    with pytest.raises(errors.ServerError) as caught:
        conversation.send(response)
    assert "a list of models that cannot be read: The states of model 'half'" in str(caught.value)
