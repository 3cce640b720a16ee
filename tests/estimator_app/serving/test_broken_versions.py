"""Versions that cannot be loaded: each stands in the status with its error, and what was there goes on serving."""

import pathlib
import shutil
import time

import grpc
import numpy as np
import pytest

from export import errors
from serving_client import wire
from tests import running, saved_models

_DEADLINE_SECS = 60.0
_GOOD = 1


def _call(channel, name, request):
    method = wire.METHODS[name]
    call = channel.unary_unary(
        method.path, method.request.SerializeToString, method.response.FromString
    )
    return call(request, timeout=_DEADLINE_SECS)


def _graph_edit(change):
    return lambda path: saved_models.edit_saved_model(path, change)


def _truncate(name):
    def damage(path):
        file = next(path.glob(name))
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return damage


def _overwrite(name, content):
    return lambda path: next(path.glob(name)).write_bytes(content)


def _unknown_op(meta_graph):
    meta_graph.graph_def.node[0].op = "NoSuchOp"


def _ghost_output(meta_graph):
    meta_graph.signature_def["regression"].outputs["outputs"].name = "nobody:0"


def _other_dtype(meta_graph):
    meta_graph.signature_def["regression"].outputs["outputs"].dtype = 9  # DT_INT64


def _no_such_dtype(meta_graph):
    meta_graph.signature_def["regression"].outputs["outputs"].dtype = 9999


def _broken_default(meta_graph):
    default = meta_graph.signature_def["serving_default"].defaults["examples"]
    default.dtype = 1
    default.tensor_shape.dim.add(size=3)
    default.tensor_content = b"four"


def _no_directory(path):
    shutil.rmtree(path)
    path.write_text("a file")


# version -> (damage, code, what the error says)
_DAMAGES = {
    10: (_truncate("saved_model.pb"), "DATA_LOSS", "saved_model.pb as binary proto"),
    11: (_overwrite("saved_model.pb", b""), "NOT_FOUND", "Could not find meta graph def matching"),
    12: (_overwrite("saved_model.pb", b"\xff" * 100), "DATA_LOSS", "as binary proto"),
    13: (_truncate("variables/*.data*"), None, ""),
    14: (_overwrite("variables/*.index", b"no table"), None, ""),
    15: (lambda path: shutil.rmtree(path / "variables"), "NOT_FOUND", "variables"),
    16: (lambda path: (path / "assets" / "labels.txt").unlink(), "NOT_FOUND", "labels.txt"),
    17: (_graph_edit(_unknown_op), None, "NoSuchOp"),
    18: (
        _graph_edit(_ghost_output),
        "INVALID_ARGUMENT",
        "Expected output outputs of signature regression to be a tensor of the graph, found none "
        "called 'nobody:0'. Export the version again.",
    ),
    19: (
        _graph_edit(_other_dtype),
        "INVALID_ARGUMENT",
        "Expected output outputs of signature regression to be a tensor of the graph, found float32 "
        "where it declares int64. Export the version again.",
    ),
    20: (_graph_edit(_no_such_dtype), None, "9999"),
    21: (_graph_edit(_broken_default), None, ""),
    22: (_no_directory, "NOT_FOUND", "does not appear to contain a SavedModel"),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server of two models, to one of which every broken version came after the start."""
    folder = tmp_path_factory.mktemp("broken")
    other, base = folder / "other", folder / "model"
    saved_models.write_plain_model(other, 1)
    saved_models.write_examples_model(base, _GOOD)
    staged = folder / "staged"
    for version, (damage, _, _) in _DAMAGES.items():
        shutil.copytree(base / str(_GOOD), staged / str(version))
        damage(staged / str(version))
    config = folder / "models.txt"
    config.write_text(f"""model_config_list {{
      config {{ name: "model" base_path: "{base}" model_platform: "tensorflow"
                model_version_policy {{ all {{}} }} }}
      config {{ name: "other" base_path: "{other}" model_platform: "tensorflow" }}
    }}""")
    flags = (f"--model_config_file={config}", "--max_num_load_retries=0")
    with running.run_server(folder, *flags) as server:
        with grpc.insecure_channel(server.address) as channel:
            for version in _DAMAGES:
                pathlib.Path(staged, str(version)).rename(base / str(version))
            yield server, channel, _settled(channel)


def _settled(channel):
    """Version -> its status, once every broken one has ended."""
    request = wire.GetModelStatusRequest()
    request.model_spec.name = "model"
    deadline = time.monotonic() + _DEADLINE_SECS
    while True:
        entries = _call(channel, "GetModelStatus", request).model_version_status
        if sum(entry.state == 50 for entry in entries) == len(_DAMAGES):
            return {entry.version: entry for entry in entries}
        assert time.monotonic() < deadline, entries
        time.sleep(0.05)


@pytest.mark.parametrize("version", _DAMAGES)
def test_its_error_stands_in_its_status(served, version):
    _, _, statuses = served
    _, code, text = _DAMAGES[version]
    status = statuses[version].status
    assert status.error_code and text in status.error_message
    assert code is None or errors.Code(status.error_code).name == code


def test_what_was_there_goes_on_serving(served):
    server, channel, statuses = served
    assert statuses[_GOOD].state == 30
    request = wire.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "model", "regression"
    for data in saved_models.serialized((1.0, 2.0)):
        request.input.example_list.examples.add().ParseFromString(data)
    response = _call(channel, "Regress", request)
    assert response.model_spec.version.value == _GOOD
    assert [row.value for row in response.result.regressions] == [5.0]
    request = wire.PredictRequest()
    request.model_spec.name = "other"
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[3.0]])))
    assert _call(channel, "Predict", request).outputs["y"].float_val == [6.0]
    assert server.process.poll() is None
