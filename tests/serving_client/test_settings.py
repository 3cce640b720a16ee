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
    ],
)
def test_wrong_setting_is_refused_with_its_rule(values, sentence):
    with pytest.raises(ValueError) as caught:
        settings.ClientSettings(**{"address": "localhost:8500", **values})
    assert str(caught.value) == sentence
