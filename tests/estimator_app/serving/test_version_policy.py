"""Which versions a policy asks for."""

import pytest

from estimator_app.serving import version_policy
from serving_client import wire


@pytest.mark.parametrize(
    "fields, aspired",
    [
        ({}, [9]),
        ({"latest": {}}, [9]),
        ({"latest": {"num_versions": 2}}, [9, 3]),
        ({"latest": {"num_versions": 7}}, [9, 3, 1]),
        ({"all": {}}, [9, 3, 1]),
        ({"specific": {"versions": [3, 4, 1]}}, [3, 1]),
        ({"specific": {}}, []),
    ],
)
def test_versions_of_a_policy(fields, aspired):
    message = wire.ModelConfig(model_version_policy=fields).model_version_policy
    assert version_policy.from_message(message).aspired([1, 9, 3]) == aspired


def test_versions_that_are_named_but_missing():
    policy = version_policy.VersionPolicy(specific=frozenset({4, 3, 2}))
    assert policy.missing([3]) == [2, 4]
    assert version_policy.VersionPolicy().missing([]) == []
