"""Signatures read from the file of a SavedModel."""

import pytest

from export import errors, signatures
from tests import saved_models


def test_signatures_have_names_dtypes_and_shapes(plain_path):
    found = signatures.read(str(plain_path))
    assert list(found)[:3] == ["product", "random", "serving_default"]
    assert found["serving_default"] == signatures.Signature(
        name="serving_default",
        method_name="tensorflow/serving/predict",
        inputs={"x": signatures.TensorSpec("x:0", "float32", (None, 1))},
        outputs={"y": signatures.TensorSpec("mul:0", "float32", (None, 1))},
    )
    assert found["sum"].inputs["a"].shape is None
    assert found["slow"].inputs["n"].shape == ()


def test_signatures_of_a_module(tmp_path):
    found = signatures.read(str(saved_models.write_module(tmp_path)))
    assert found["serving_default"].inputs["word"].dtype == "string"
    assert found["serving_default"].outputs["number"].dtype == "int64"


def test_describe_lists_inputs_and_outputs(examples_path):
    found = signatures.read(str(examples_path))
    assert signatures.describe(found["regression"]).splitlines() == [
        "regression (tensorflow/serving/regress)",
        "  input  inputs   string [?]",
        "  output outputs  float32 [?, 1]",
    ]


def test_open_rank_is_shown():
    assert signatures.format_shape(None) == "[...]"
    assert signatures.format_shape(()) == "[]"


def test_directory_without_model_is_not_found(tmp_path):
    with pytest.raises(errors.ServableError) as caught:
        signatures.read(str(tmp_path))
    assert caught.value.code == errors.Code.NOT_FOUND
    assert caught.value.message == (
        "Specified file path does not appear to contain a SavedModel bundle (should have a file "
        f"called `saved_model.pb`)\nSpecified file path: {tmp_path}"
    )


def test_session_bundle_is_refused(tmp_path):
    (tmp_path / "export.meta").touch()
    with pytest.raises(errors.ServableError) as caught:
        signatures.read(str(tmp_path))
    assert caught.value.code == errors.Code.UNIMPLEMENTED
    assert caught.value.message == "Session Bundle is deprecated and removed."


def test_other_tags_are_not_found(plain_path):
    with pytest.raises(errors.ServableError) as caught:
        signatures.read(str(plain_path), tags=["serve", "gpu"])
    assert caught.value.code == errors.Code.NOT_FOUND
    assert caught.value.message.startswith(
        "Could not find meta graph def matching supplied tags: { gpu serve }."
    )


def test_garbage_is_data_loss(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no protobuf at all")
    with pytest.raises(errors.ServableError) as caught:
        signatures.read(str(tmp_path))
    assert caught.value.code == errors.Code.DATA_LOSS
    assert caught.value.message == f"Can't parse {tmp_path}/saved_model.pb as binary proto"
