"""A model behind a real gRPC server, and an address that nobody listens at."""

import socket
from typing import Iterator

import pytest

from tests.serving_client import fake_server


@pytest.fixture
def model() -> fake_server.FakeModel:
    return fake_server.FakeModel()


@pytest.fixture
def address(model: fake_server.FakeModel) -> Iterator[str]:
    with fake_server.serve(model) as address:
        yield address


@pytest.fixture
def dead_address() -> Iterator[str]:
    """An address whose port is taken but not listened at, so that nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        yield f"localhost:{taken.getsockname()[1]}"
