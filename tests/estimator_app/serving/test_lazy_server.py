"""A server process that loads models when they are first asked, within a limit of memory."""

import re

import pytest

from serving_client import PredictionClient
from serving_client import errors as client_errors
from tests import running, saved_models

_DEADLINE_SECS = 60.0
_CONFIG = 'config {{ name: "{0}" base_path: "{1}/{0}" model_platform: "tensorflow" }}'


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Models `a`, `b`, `c` of 4 MiB each, of which two have room, `broken`, and `later`, which is not there yet."""
    base = tmp_path_factory.mktemp("lazy")
    for number, name in enumerate("abc", 1):
        path = saved_models.write_plain_model(base / name, 1, float(number))
        with open(path / "padding", "wb") as file:
            file.truncate(4 * 2**20)
    (base / "broken" / "1").mkdir(parents=True)
    configs = " ".join(_CONFIG.format(name, base) for name in ("a", "b", "c", "broken", "later"))
    (base / "models.txt").write_text(f"model_config_list {{ {configs} }}")
    flags = (
        f"--model_config_file={base}/models.txt",
        "--rest_api_port=-1",
        "--enable_model_list",
        "--lazy_loading",
        "--model_memory_limit_mb=12",
        "--max_num_load_retries=0",
    )
    with running.run_server(base / "none", *flags) as process:
        yield process


def _ask(address, name):
    with PredictionClient(address, name) as client:
        return client.predict({"x": [[10.0]]}, timeout_secs=_DEADLINE_SECS)["y"].item()


def _states(address):
    with PredictionClient(address, "a") as client:
        return {
            name: [one.state for one in found]
            for name, found in client.list_models().items()
            if name in "abc"
        }


def test_models_come_when_they_are_asked_and_go_when_others_need_the_room(served):
    assert re.search(
        "^Serving a version 1, .*, loaded when first asked:", served.log.read_text(), re.M
    )
    rest = f"http://{served.host}:{served.rest_port}"
    asleep = {"a": ["START"], "b": ["START"], "c": ["START"]}
    assert _states(served.address) == asleep
    assert _ask(served.address, "a") == 10.0 and _ask(rest, "b") == 20.0
    assert _states(rest) == {**asleep, "a": ["AVAILABLE"], "b": ["AVAILABLE"]}
    assert _ask(served.address, "a") == 10.0 and _ask(served.address, "c") == 30.0
    assert _states(served.address) == {**asleep, "a": ["AVAILABLE"], "c": ["AVAILABLE"]}
    assert _ask(rest, "b") == 20.0


def test_model_that_does_not_load_answers_with_the_reason(served):
    with PredictionClient(served.address, "broken") as client:
        with pytest.raises(
            client_errors.ClientError, match="does not appear to contain a SavedModel"
        ):
            client.model_metadata()
        assert client.model_status()[0].state == "END"
    with pytest.raises(client_errors.ClientError, match="Servable not found"):
        _ask(served.address, "later")
