"""Configuration files: what they hold, and what is said of those that are wrong."""

import logging

import pytest

from estimator_app.serving import text_files
from export import errors


def _file(tmp_path, text):
    path = tmp_path / "config.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_models_are_read(tmp_path):
    path = _file(
        tmp_path,
        """
        # Two of them.
        model_config_list {
          config {
            name: 'a' base_path: "/models/a" model_platform: "tensorflow"
            model_version_policy { specific { versions: 1 versions: 3 } }
            version_labels { key: "stable" value: 1 }
          }
          config: { name: "b", base_path: "/models/b", model_version_policy { all {} } }
        }
        """,
    )
    first, second = text_files.read(path, text_files.ModelServerConfig).model_config_list.config
    assert (first.name, first.base_path, first.model_platform) == ("a", "/models/a", "tensorflow")
    assert list(first.model_version_policy.specific.versions) == [1, 3]
    assert dict(first.version_labels) == {"stable": 1}
    assert second.model_version_policy.WhichOneof("policy_choice") == "all"


def test_keys_and_metrics_are_read(tmp_path):
    path = _file(
        tmp_path, 'server_key: "k" server_cert: "a\\nb" custom_ca: "c" client_verify: true'
    )
    ssl = text_files.read(path, text_files.SSLConfig)
    assert (ssl.server_key, ssl.server_cert, ssl.custom_ca) == ("k", "a\nb", "c")
    assert ssl.client_verify
    path = _file(tmp_path, 'prometheus_config { enable: true path: "/metrics" }')
    monitoring = text_files.read(path, text_files.MonitoringConfig).prometheus_config
    assert monitoring.enable and monitoring.path == "/metrics"


def test_numbers_are_those_of_the_stock_server():
    ssl = text_files.SSLConfig(server_key="k", client_verify=True)
    assert ssl.SerializeToString() == b"\x0a\x01k\x20\x01"
    monitoring = text_files.MonitoringConfig(prometheus_config={"enable": True, "path": "p"})
    assert monitoring.SerializeToString() == b"\x0a\x05\x08\x01\x12\x01p"


def test_file_without_a_word_is_an_empty_message(tmp_path):
    config = text_files.read(_file(tmp_path, "# later\n"), text_files.ModelServerConfig)
    assert config.WhichOneof("config") is None


@pytest.mark.parametrize(
    "text, place",
    [
        ("model_config_list {\n  config { nam: 'a' } }", "2:12: "),
        ("model_config_list { config { name: 'a' name: 'b' } }", "1:"),
        (b"model_config_list { config { name: '\xff' } }", ""),
    ],
)
def test_file_that_does_not_parse(tmp_path, caplog, text, place):
    path = _file(tmp_path, text)
    with caplog.at_level(logging.ERROR), pytest.raises(errors.ServableError) as caught:
        text_files.read(path, text_files.ModelServerConfig)
    assert str(caught.value) == f"INVALID_ARGUMENT: Invalid protobuf file: '{path}'"
    assert f"Error parsing text-format tensorflow.serving.ModelServerConfig: {place}" in caplog.text


def test_file_that_is_missing(tmp_path):
    with pytest.raises(errors.ServableError) as caught:
        text_files.read(f"{tmp_path}/none.txt", text_files.ModelServerConfig)
    assert str(caught.value) == f"NOT_FOUND: {tmp_path}/none.txt; No such file or directory"
