"""Configs, labels and the look-up of models; the loads are faked."""

import functools
import threading

from google.protobuf import text_format
import pytest

from estimator_app.serving import model_table, models, version_statuses
from export import errors
from serving_client import wire

_DEADLINE_SECS = 30.0


class _FakeServable:
    def __init__(self, path):
        if path.endswith("/13"):
            raise errors.ServableError(errors.Code.DATA_LOSS, "no good")

    def close(self):
        pass

    def free(self):
        pass


@pytest.fixture
def base(tmp_path):
    for path in ("m/4", "m/5", "n/1", "broken/13"):
        (tmp_path / path).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def make_table():
    """Makes tables that are stopped in the end."""
    made = []

    def make(labels_for_unavailable=False):
        model_fn = functools.partial(
            models.ServedModel, poll_wait_secs=0.01, max_load_retries=0, load_fn=_FakeServable
        )
        made.append(model_table.ModelTable(model_fn, labels_for_unavailable))
        return made[-1]

    yield make
    for table in made:
        table.stop()


@pytest.fixture
def table(make_table):
    return make_table()


def _config(base, *entries):
    """A ModelServerConfig of these models: (name, more text of its config)."""
    listed = " ".join(
        f'config {{ name: "{name}" base_path: "{base}/{name}" model_platform: "tensorflow" {more} }}'
        for name, more in entries
    )
    return text_format.Parse(
        f"model_config_list {{ {listed} }}",
        wire.ModelServerConfig(),
        descriptor_pool=wire.POOL,
    )


_BOTH = "model_version_policy { latest { num_versions: 2 } }"


def _label(name, version):
    return f'version_labels {{ key: "{name}" value: {version} }}'


def _refusal(function, *arguments):
    with pytest.raises(errors.ServableError) as caught:
        function(*arguments)
    return str(caught.value)


def _version(table, *wanted):
    with table.acquire(*wanted) as (version, _, _):
        return version


def _settle(table, name, versions):
    """Waits until exactly these versions of a model are available, and the others have gone."""
    model = table._seen[name]
    waiter = threading.Event()
    while model.available != versions or any(
        status.state is version_statuses.State.UNLOADING for status in model.statuses()
    ):
        assert model._thread.is_alive()
        waiter.wait(0.005)


def test_models_are_found_by_name_and_version(base, table):
    table.reload(_config(base, ("m", ""), ("n", "")))
    assert table.names() == ["m", "n"]
    assert table.available() == {"m": [5], "n": [1]}
    assert (_version(table, "m"), _version(table, "m", 5), _version(table, "n")) == (5, 5, 1)
    assert [status.version for status in table.statuses("m")] == [5]


@pytest.mark.parametrize(
    "wanted, message",
    [
        (("",), "INVALID_ARGUMENT: ModelSpec has no name specified."),
        (("x",), "NOT_FOUND: Servable not found for request: Latest(x)"),
        (("m", 0), "NOT_FOUND: Servable not found for request: Specific(m, 0)"),
        (("m", None, "old"), "INVALID_ARGUMENT: Unrecognized servable version label: old"),
        (("x", None, "old"), "INVALID_ARGUMENT: Unrecognized servable version label: old"),
    ],
)
def test_requests_for_what_is_not_there(base, table, wanted, message):
    table.reload(_config(base, ("m", "")))
    assert _refusal(_version, table, *wanted) == message


@pytest.mark.parametrize(
    "wanted, message",
    [
        (("",), "NOT_FOUND: Could not find any versions of model "),
        (("x",), "NOT_FOUND: Could not find any versions of model x"),
        (("m", 7), "NOT_FOUND: Could not find version 7 of model m"),
    ],
)
def test_there_is_no_status(base, table, wanted, message):
    table.reload(_config(base, ("m", "")))
    assert _refusal(table.statuses, *wanted) == message


def test_reload_adds_and_removes_models(base, table):
    table.reload(_config(base, ("m", "")))
    table.reload(_config(base, ("n", "")), _DEADLINE_SECS)
    assert table.names() == ["n"] and _version(table, "n") == 1
    assert _refusal(_version, table, "m") == "NOT_FOUND: Servable not found for request: Latest(m)"
    _settle(table, "m", [])
    assert table.statuses("m") == [version_statuses.VersionStatus(5, version_statuses.State.END)]
    table.reload(_config(base, ("m", _BOTH), ("n", "")), _DEADLINE_SECS)
    assert _version(table, "m") == 5


def test_reload_changes_a_policy(base, table):
    table.reload(_config(base, ("m", "")))
    table.reload(_config(base, ("m", _BOTH)))
    _settle(table, "m", [5, 4])
    table.reload(_config(base, ("m", "model_version_policy { specific { versions: 4 } }")))
    _settle(table, "m", [4])


def test_label_finds_its_version_and_moves(base, table):
    table.reload(_config(base, ("m", _BOTH)))
    _settle(table, "m", [5, 4])
    table.reload(_config(base, ("m", _BOTH + _label("stable", 4) + _label("canary", 5))))
    assert _version(table, "m", None, "stable") == 4
    assert _version(table, "m", None, "canary") == 5
    table.reload(_config(base, ("m", _BOTH + _label("stable", 5))))
    assert _version(table, "m", None, "stable") == 5
    assert "Unrecognized" in _refusal(_version, table, "m", None, "canary")


_NOT_AVAILABLE = (
    "FAILED_PRECONDITION: Request to assign label to version {} of model m, which is not currently "
    "available for inference"
)


def test_label_of_a_version_that_is_not_available_is_refused_and_changes_nothing(base, table):
    labelled = _config(base, ("m", _label("stable", 5)), ("n", ""))
    # At the start no version is available yet.
    assert _refusal(table.reload, labelled) == _NOT_AVAILABLE.format(5)
    table.reload(_config(base, ("m", "")))
    table.reload(labelled)
    changed = _config(base, ("m", _label("stable", 4)))
    assert _refusal(table.reload, changed) == _NOT_AVAILABLE.format(4)
    assert table.names() == ["m", "n"] and _version(table, "m", None, "stable") == 5


def test_new_label_may_name_any_version_if_it_is_allowed_but_an_old_one_may_not(base, make_table):
    table = make_table(labels_for_unavailable=True)
    table.reload(_config(base, ("m", _label("stable", 5) + _label("next", 6))))
    assert _version(table, "m", None, "stable") == 5
    assert _refusal(_version, table, "m", None, "next") == (
        "NOT_FOUND: Servable not found for request: Specific(m, 6)"
    )
    moved = _config(base, ("m", _label("stable", 4)))
    assert _refusal(table.reload, moved) == _NOT_AVAILABLE.format(4)


@pytest.mark.parametrize(
    "text, message",
    [
        (
            'config { name: "m" base_path: "/m" } config { name: "m" base_path: "/n" }',
            "Illegal to list model m multiple times in config list",
        ),
        (
            'config { name: "m" base_path: "/m\\000/.." model_platform: "tensorflow" }',
            "Expected the base path of model m to be a path, found a NUL character in "
            "'/m\\x00/..'. Remove it.",
        ),
        (
            'config { name: "m" base_path: "models/m" model_platform: "tensorflow" }',
            "Expected model m to have an absolute path or URI; got base_path()=models/m",
        ),
        (
            'config { name: "m" base_path: "/m" }',
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (
            'config { name: "m" base_path: "/m" model_platform: "tensorflow" model_type: OTHER }',
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (
            'config { name: "m" base_path: "/m" model_type: OTHER }',
            "ModelServerConfig::model_type choice 2 not supported.",
        ),
        (
            'config { name: "m" base_path: "gs://b/m" model_platform: "caffe" }',
            "Model m requests unsupported platform caffe",
        ),
        (
            'config { name: "m" base_path: "/m" model_platform: "tensorflow" logging_config '
            '{ log_collector_config { type: "tfrecord" filename_prefix: "logs/m" } } }',
            "Expected model m to have an absolute path or URI for its log; got "
            "filename_prefix=logs/m",
        ),
        (
            'config { name: "m" base_path: "/m" model_platform: "tensorflow" logging_config '
            '{ log_collector_config { type: "tfrecord" filename_prefix: "/logs/m" } '
            "sampling_config { sampling_rate: 2 } } }",
            "Expected model m to have a sampling_rate of 0 to 1; got 2.0",
        ),
    ],
)
def test_config_that_is_wrong(table, text, message):
    config = wire.ModelServerConfig()
    text_format.Parse(f"model_config_list {{ {text} }}", config, descriptor_pool=wire.POOL)
    assert _refusal(table.reload, config) == f"INVALID_ARGUMENT: {message}"
    assert table.names() == []


def test_platform_cannot_change(base, table):
    table.reload(_config(base, ("m", "")))
    changed = _config(base, ("m", ""))
    changed.model_config_list.config[0].model_platform = "caffe"
    assert _refusal(table.reload, changed) == (
        "INVALID_ARGUMENT: Illegal to change a model's platform. For model m platform was "
        "tensorflow and new platform requested is caffe"
    )


def test_deprecated_type_is_the_platform(base, table):
    config = _config(base, ("m", ""))
    config.model_config_list.config[0].model_platform = ""
    config.model_config_list.config[0].model_type = 1
    table.reload(config)
    assert _version(table, "m") == 5


def test_empty_config_is_a_start_without_models_but_no_change(base, table):
    table.reload(wire.ModelServerConfig())
    assert table.names() == []
    table.reload(_config(base, ("m", "")))
    assert _refusal(table.reload, wire.ModelServerConfig()) == (
        "FAILED_PRECONDITION: Cannot transition to requested config. It is only legal to transition "
        "from one ModelConfigList to another."
    )
    table.reload(_config(base))
    assert table.names() == []


def test_custom_config_is_refused(table):
    config = wire.ModelServerConfig()
    config.custom_model_config.SetInParent()
    assert _refusal(table.reload, config) == (
        "INVALID_ARGUMENT: Missing custom_model_config_loader in ServerCore Options"
    )


_FAILURE = "{{{{{{name: {} version: 13}} due to error: DATA_LOSS: no good}}, }}"


def test_start_and_reload_tell_what_did_not_load(base, table, make_table):
    assert _refusal(table.reload, _config(base, ("m", ""), ("broken", ""))) == (
        "UNKNOWN: 1 servable(s) did not become available: " + _FAILURE.format("broken")
    )
    running = make_table()
    running.reload(_config(base, ("m", "")))
    assert _refusal(running.reload, _config(base, ("m", ""), ("broken", ""))) == (
        "UNKNOWN: 1 model(s) did not become available: " + _FAILURE.format("broken")
    )
    assert _version(running, "m") == 5


def test_reload_takes_no_longer_than_it_may(base, table):
    table.reload(_config(base, ("m", "")))
    config = _config(base, ("m", ""), ("later", ""))
    assert _refusal(table.reload, config, 0.05).startswith("DEADLINE_EXCEEDED: Model later did not")
    # It is served all the same, as soon as it is there.
    (base / "later" / "3").mkdir(parents=True)
    _settle(table, "later", [3])


def test_stop_ends_a_reload_that_waits_and_a_later_one_does_nothing(base, table):
    table.reload(_config(base, ("m", "")))
    waiting = threading.Thread(target=table.reload, args=[_config(base, ("later", ""))])
    waiting.start()
    table.stop()
    waiting.join(_DEADLINE_SECS)
    assert not waiting.is_alive()
    names = table.names()
    table.reload(_config(base, ("n", "")))
    assert table.names() == names and "n" not in table.available()


def test_another_kind_of_log_is_refused(table):
    config = wire.ModelServerConfig()
    text = (
        'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" '
        'logging_config { log_collector_config { type: "kafka" } } } }'
    )
    text_format.Parse(text, config, descriptor_pool=wire.POOL)
    assert _refusal(table.reload, config) == (
        "NOT_FOUND: Cannot find LogCollector::Factory for type: kafka"
    )
