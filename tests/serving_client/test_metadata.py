"""What a server says of a model, whatever it says."""

from serving_client import metadata, wire


def test_a_state_that_is_not_known_here_has_its_number():
    response = wire.GetModelStatusResponse()
    response.model_version_status.add(version=3, state=30)
    response.ParseFromString(response.SerializeToString() + b"\n\x04\x08\x02\x10\x3c")
    statuses = metadata.from_status_response(response)
    assert [(status.version, status.state) for status in statuses] == [
        (3, "AVAILABLE"),
        (2, "State 60"),
    ]
