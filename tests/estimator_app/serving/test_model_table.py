"""The look-up of models, without TensorFlow."""

import pytest

from estimator_app.serving import model_table, models
from export import errors


class _FakeServable:
    def close(self):
        pass


@pytest.fixture
def model(tmp_path):
    return models.ServedModel("m", str(tmp_path), load_fn=lambda path: _FakeServable())


def test_table_finds_models_by_name(tmp_path, model):
    (tmp_path / "4").mkdir()
    model.poll_once()
    table = model_table.ModelTable({"m": model})
    with table.acquire("m", 4) as (version, _):
        assert version == 4
    assert [status.version for status in table.statuses("m")] == [4]


@pytest.mark.parametrize(
    "wanted, message",
    [
        (("",), "INVALID_ARGUMENT: ModelSpec has no name specified."),
        (("x",), "NOT_FOUND: Servable not found for request: Latest(x)"),
        (("m",), "NOT_FOUND: Servable not found for request: Latest(m)"),
        (("m", 0), "NOT_FOUND: Servable not found for request: Specific(m, 0)"),
        (("m", None, "old"), "INVALID_ARGUMENT: Unrecognized servable version label: old"),
    ],
)
def test_table_refuses(model, wanted, message):
    with pytest.raises(errors.ServableError) as caught:
        with model_table.ModelTable({"m": model}).acquire(*wanted):
            pass
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "wanted, message",
    [
        (("",), "NOT_FOUND: Could not find any versions of model "),
        (("x",), "NOT_FOUND: Could not find any versions of model x"),
        (("m", 7), "NOT_FOUND: Could not find version 7 of model m"),
    ],
)
def test_table_has_no_status(model, wanted, message):
    with pytest.raises(errors.ServableError) as caught:
        model_table.ModelTable({"m": model}).statuses(*wanted)
    assert str(caught.value) == message
