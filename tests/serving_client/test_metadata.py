"""What a server says of a model, whatever it says."""

import pytest

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


def test_signatures_that_cannot_be_read_are_said_to_be_so():
    response = wire.GetModelMetadataResponse()
    wire.pack_signatures(response, {"a": wire.SignatureDef()})
    response.metadata[wire.SIGNATURE_DEF].value = b"\xff\xff"
    with pytest.raises(ValueError, match="'signature_def' holds bytes that cannot be read"):
        metadata.from_metadata_response(response)
