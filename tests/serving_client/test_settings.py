"""The client's settings."""

import pytest

from serving_client import settings


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"address": ""}, "address must be a gRPC target such as localhost:8500; got ''."),
        ({"timeout_secs": 0}, "timeout_secs must be above 0; got 0."),
        ({"retry_max_wait_secs": float("nan")}, "retry_max_wait_secs must be above 0; got nan."),
        ({"retry_timeout_secs": -1}, "retry_timeout_secs must be 0 or more; got -1."),
        (
            {"max_message_bytes": 0},
            "max_message_bytes must be a number of bytes, or -1 for no limit; got 0.",
        ),
        ({"address": ()}, "address must be a gRPC target such as localhost:8500; got ()."),
        ({"address": "a:1,"}, "address must be a gRPC target such as localhost:8500; got 'a:1,'."),
        (
            {"address": ("a:1", "http://b:2")},
            "address must be all of gRPC or all of REST (http://...); got a:1, http://b:2.",
        ),
        ({"balance": "random"}, "balance must be one of round_robin, pick_first; got 'random'."),
        ({"compression": "zip"}, "compression must be one of none, gzip, deflate; got 'zip'."),
        (
            {"address": "http://a:1", "compression": "deflate"},
            "compression must be one of none, gzip; got 'deflate'.",
        ),
        ({"keepalive_secs": -1}, "keepalive_secs must be 0 or more; got -1."),
        ({"connect_timeout_secs": 0}, "connect_timeout_secs must be above 0; got 0."),
        (
            {"connect_timeout_secs": 5, "retry_timeout_secs": 5},
            "connect_timeout_secs must be below retry_timeout_secs, or no other address is asked in "
            "time; got 5 and 5.",
        ),
        (
            {"address": "http://a:1,http://localhost:85o1"},
            "address must be http://host:port or https://host:port; got 'http://localhost:85o1'.",
        ),
        (
            {"address": "https://:1"},
            "address must be http://host:port or https://host:port; got 'https://:1'.",
        ),
        (
            {"address": "http://a:1", "tls": settings.TlsSettings()},
            "tls needs addresses with https://; got http://a:1.",
        ),
        (
            {"address": "http://a:1", "headers": {"key-bin": b"x"}},
            "Header 'key-bin' must have bytes, and goes over gRPC only.",
        ),
    ],
)
def test_wrong_setting_is_refused_with_its_rule(values, sentence):
    with pytest.raises(ValueError) as caught:
        settings.ClientSettings(**{"address": "localhost:8500", **values})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "address, addresses",
    [
        ("a:1", ("a:1",)),
        ("a:1, b:2", ("a:1", "b:2")),
        (["a:1", "b:2"], ("a:1", "b:2")),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", ("ipv4:10.0.0.1:1,10.0.0.2:1",)),
        ("http://a:1,http://b:2", ("http://a:1", "http://b:2")),
    ],
)
def test_addresses_are_taken_apart(address, addresses):
    assert settings.ClientSettings(address).addresses == addresses


def test_tls_files_are_looked_at_before_the_first_call(tmp_path):
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(ValueError) as caught:
        settings.TlsSettings(ca_file=missing)
    assert str(caught.value) == (
        f"ca_file must be a file that can be read; got {missing!r} (No such file or directory)."
    )
    with pytest.raises(ValueError, match="cert_file needs key_file; got none."):
        settings.TlsSettings(cert_file=missing)
    with pytest.raises(ValueError, match="key_file needs cert_file; got none."):
        settings.TlsSettings(key_file=missing)
