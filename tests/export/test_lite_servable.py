"""Versions that are served from a TFLite file."""

from concurrent import futures
import contextlib
import importlib.util
import pathlib
import sys

import flatbuffers
from flatbuffers import flexbuffers
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from export import errors, lite_servable, servable
from tests import saved_models

# The converter's names of `x` and `word`, without their `:0`.
_X, _WORD = "serving_default_x", "serving_default_word"


@pytest.fixture(scope="module")
def content():
    """The bytes of saved_models.lite_model."""
    return saved_models.lite_model()


def _version(base, content):
    path = base / "1"
    path.mkdir()
    (path / "model.tflite").write_bytes(content)
    return str(path)


@pytest.fixture(scope="module")
def made(content, tmp_path_factory):
    """The file as it is: its signature is made from the tensors' names."""
    path = _version(tmp_path_factory.mktemp("lite"), content)
    with contextlib.closing(lite_servable.load(path, interpreters=2)) as model:
        yield model


def _schema():
    """TensorFlow's own classes for the file, which its public names hide."""
    name = "lite_schema"
    place = pathlib.Path(tf.__file__).parent / "lite" / "python" / "schema_py_generated.py"
    spec = importlib.util.spec_from_file_location(name, place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _with_signatures(content, definitions):
    """The file with the buffer that a converter from a SavedModel puts there."""
    schema = _schema()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    builder = flexbuffers.Builder()
    with builder.Map():
        for name, definition in definitions.items():
            builder.Key(name)
            builder.String(definition.SerializeToString().decode())
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(bytes(builder.Finish()), np.uint8)
    model.buffers.append(buffer)
    metadata = schema.MetadataT()
    metadata.name, metadata.buffer = "signature_defs_metadata", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), metadata]
    packed = flatbuffers.Builder(1024)
    packed.Finish(model.Pack(packed), b"TFL3")
    return bytes(packed.Output())


def _definition(model, y="y"):
    """A SignatureDef on the file's tensors."""
    (signature,) = model.signatures.values()
    definition = meta_graph_pb2.SignatureDef(method_name=saved_models.PREDICT)
    definition.inputs["numbers"].name = signature.inputs[_X].name
    definition.inputs["text"].name = signature.inputs[_WORD].name
    for alias, spec in signature.outputs.items():
        named = y if spec.dtype == "float32" else "column"
        definition.outputs[named].name = spec.name
    return definition


def _ask(model, rows, signature="", names=(_X, _WORD)):
    numbers = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    words = np.array([f"w{row}".encode() for row in range(rows)], object)
    answer = model.predict(dict(zip(names, (numbers, words))), signature)
    by_dtype = {value.dtype.kind: value for value in answer.values()}
    np.testing.assert_array_equal(by_dtype["f"], numbers * 2 + 1)
    assert by_dtype["O"].tolist() == [[word] for word in words]
    return answer


def test_signature_is_made_from_the_tensors_names(made):
    assert list(made.signatures) == ["serving_default"]
    signature = made.signatures["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    specs = {name: (spec.dtype, spec.shape) for name, spec in signature.inputs.items()}
    assert specs == {_X: ("float32", (None, 2)), _WORD: ("string", (None,))}
    assert sorted(spec.dtype for spec in signature.outputs.values()) == ["float32", "string"]


def test_inputs_are_resized_to_what_is_sent(made):
    for rows in (1, 3, 2, 100, 1):
        _ask(made, rows)


def test_calls_from_several_threads_get_their_own_answers(made):
    with futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda rows: _ask(made, 1 + rows % 5), range(50)))


def test_wrong_dtype_and_shape_are_refused_and_the_next_call_is_answered(made):
    words = np.array([b"a"], object)
    with pytest.raises(errors.ServableError) as caught:
        made.predict({_X: np.ones([1, 2]), _WORD: words})
    assert caught.value.code == errors.Code.INVALID_ARGUMENT
    assert "Got value of type FLOAT64 but expected type FLOAT32" in caught.value.message
    with pytest.raises(errors.ServableError) as caught:
        made.predict({"y": np.ones([1, 2], np.float32), _WORD: words})
    assert caught.value.message.startswith(f"Signature input alias: {_X}(feed name: {_X}:0) not ")
    _ask(made, 2)


def test_signatures_of_the_file_count(content, made, tmp_path):
    carried = _with_signatures(
        content, {"serving_default": _definition(made), "second": _definition(made, y="z")}
    )
    with contextlib.closing(lite_servable.load(_version(tmp_path, carried), 1)) as model:
        assert sorted(model.signatures) == ["second", "serving_default"]
        answer = _ask(model, 3, "second", ("numbers", "text"))
        assert sorted(answer) == ["column", "z"]
        assert sorted(_ask(model, 1, "", ("numbers", "text"))) == ["column", "y"]


def test_a_signature_with_an_unknown_tensor_is_refused(content, made, tmp_path):
    definition = _definition(made)
    definition.inputs["numbers"].name = "nobody:0"
    path = _version(tmp_path, _with_signatures(content, {"serving_default": definition}))
    with pytest.raises(errors.ServableError) as caught:
        lite_servable.load(path, 1)
    assert str(caught.value) == (
        "INTERNAL: Signature input numbers references an unknown tensor: Unknown tensor 'nobody:0'."
    )


def test_a_call_waits_no_longer_than_its_time_limit(content, tmp_path):
    with contextlib.closing(lite_servable.LiteServable(_version(tmp_path, content), 1)) as model:
        with pytest.raises(errors.ServableError) as caught:
            model._free.get()
            model.predict(
                {_X: np.ones([1, 2], np.float32), _WORD: np.array([b"a"], object)}, timeout_ms=10
            )
        assert caught.value.code == errors.Code.DEADLINE_EXCEEDED


def test_a_file_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(errors.ServableError) as caught:
        lite_servable.load(_version(tmp_path, b"nonsense" * 100), 1)
    assert str(caught.value) == "INVALID_ARGUMENT: Cannot build FlatBufferModel from buffer."


def test_a_version_without_the_file_is_served_from_its_saved_model(plain_path):
    with contextlib.closing(lite_servable.load(str(plain_path), 1)) as model:
        assert type(model) is servable.Servable


def test_a_model_that_is_freed_has_no_interpreter_left(content, tmp_path):
    model = lite_servable.LiteServable(_version(tmp_path, content), 2)
    assert model._free.qsize() == 2
    model.close()
    model.close()
    model.free()
    assert model._free.empty()
