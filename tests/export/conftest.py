"""Models for the tests of `export`, written once."""

import contextlib
import pathlib

import pytest

from export import servable
from tests import saved_models


@pytest.fixture(scope="session")
def examples_path(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A version directory of saved_models.write_examples_model."""
    return saved_models.write_examples_model(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="session")
def plain_path(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A version directory of saved_models.write_plain_model."""
    return saved_models.write_plain_model(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def examples_model(examples_path: pathlib.Path):
    """The same, loaded."""
    with contextlib.closing(servable.Servable(str(examples_path))) as model:
        yield model


@pytest.fixture(scope="session")
def plain_model(plain_path: pathlib.Path):
    """The same, loaded."""
    with contextlib.closing(servable.Servable(str(plain_path))) as model:
        yield model
