"""A client for every server that speaks TensorFlow Serving's API, without TensorFlow.

    import serving_client

    with serving_client.PredictionClient("localhost:8500", "census") as client:
        client.wait_until_available(timeout_secs=30)
        answer = client.predict({"age": [39.0]}, signature_name="tensors:predict")
        answer["probabilities"]  # float32 [1, 2]

`AsyncPredictionClient` is the same for asyncio; an address that begins with `http://` is a REST port.
Values are encoded by the signature that the server states. `serving_client.wire` has the messages
themselves; `serving_client.errors` draws the tree of errors.
"""

from serving_client import wire
from serving_client.async_client import AsyncPredictionClient
from serving_client.calls import CallOptions
from serving_client.client import PredictionClient
from serving_client.encoding import make_example
from serving_client.errors import (
    AccessError,
    ClientError,
    DeadlineError,
    InputError,
    NotFoundError,
    OverloadedError,
    RefusedError,
    RequestError,
    ServerError,
    UnavailableError,
    UnsupportedError,
)
from serving_client.metadata import ModelMetadata, Signature, TensorSpec, VersionStatus
from serving_client.settings import ClientSettings, TlsSettings
from serving_client.wire import TensorError

__all__ = [
    "AccessError",
    "AsyncPredictionClient",
    "CallOptions",
    "ClientError",
    "ClientSettings",
    "DeadlineError",
    "InputError",
    "ModelMetadata",
    "NotFoundError",
    "OverloadedError",
    "PredictionClient",
    "RefusedError",
    "RequestError",
    "ServerError",
    "Signature",
    "TensorError",
    "TensorSpec",
    "TlsSettings",
    "UnavailableError",
    "UnsupportedError",
    "VersionStatus",
    "make_example",
    "wire",
]
