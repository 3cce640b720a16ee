"""Two servers in this process, one for each kind of model, and channels to them."""

from collections.abc import Iterator
import pathlib

import grpc
import pytest

from estimator_app.serving import server
from estimator_app.serving import settings as serving_settings
from tests import saved_models


@pytest.fixture(scope="session")
def examples_base(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A base path with version 3 of saved_models.write_examples_model."""
    base = tmp_path_factory.mktemp("examples")
    saved_models.write_examples_model(base, 3)
    return base


@pytest.fixture(scope="session")
def plain_base(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A base path with version 5 of saved_models.write_plain_model."""
    base = tmp_path_factory.mktemp("plain")
    saved_models.write_plain_model(base, 5)
    return base


@pytest.fixture(scope="session")
def examples_server(examples_base: pathlib.Path) -> Iterator[server.ModelServer]:
    """Serves `examples` version 3."""
    settings = serving_settings.ServerSettings(
        port=0, rest_api_port=-1, model_name="examples", model_base_path=str(examples_base)
    )
    with server.ModelServer(settings) as running:
        yield running


@pytest.fixture(scope="session")
def plain_server(plain_base: pathlib.Path) -> Iterator[server.ModelServer]:
    """Serves `plain` version 5."""
    settings = serving_settings.ServerSettings(
        port=0, rest_api_port=-1, model_name="plain", model_base_path=str(plain_base)
    )
    with server.ModelServer(settings) as running:
        yield running


@pytest.fixture(scope="session")
def examples_channel(examples_server: server.ModelServer) -> Iterator[grpc.Channel]:
    """To `examples`."""
    with grpc.insecure_channel(f"127.0.0.1:{examples_server.port}") as channel:
        yield channel


@pytest.fixture(scope="session")
def plain_channel(plain_server: server.ModelServer) -> Iterator[grpc.Channel]:
    """To `plain`."""
    with grpc.insecure_channel(f"127.0.0.1:{plain_server.port}") as channel:
        yield channel
