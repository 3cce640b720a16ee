"""What several tests of compat need."""

import pytest

from estimator_app import compat


@pytest.fixture
def installed():
    """`compat.install()` for the time of a test."""
    compat.install()
    yield
    compat.uninstall()
