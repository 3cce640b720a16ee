"""Session options from flags and a file, and sessions that have them."""

import contextlib

import pytest
import tensorflow as tf

from estimator_app.serving import session_config
from estimator_app.serving import settings as serving_settings
from export import errors, servable
from tests import saved_models


def _config(**changes):
    settings = serving_settings.ServerSettings(model_base_path="/m", **changes)
    return session_config.from_settings(settings)


def _threads(**changes):
    config = _config(**changes)
    return config.intra_op_parallelism_threads, config.inter_op_parallelism_threads


def test_without_flags_it_is_tensorflows_own():
    assert _config() == tf.compat.v1.ConfigProto()


def test_parallelism_of_sessions():
    assert _threads(tensorflow_session_parallelism=3) == (3, 3)
    assert _threads(tensorflow_intra_op_parallelism=2) == (2, 0)
    assert _threads(tensorflow_intra_op_parallelism=2, tensorflow_inter_op_parallelism=5) == (2, 5)
    # The separate ones count, as in the stock server.
    assert _threads(tensorflow_session_parallelism=3, tensorflow_inter_op_parallelism=5) == (0, 5)


def test_flags_count_before_the_file(tmp_path):
    path = tmp_path / "session.txt"
    path.write_text("inter_op_parallelism_threads: 7 intra_op_parallelism_threads: 6")
    both = {"tensorflow_session_config_file": str(path)}
    assert _threads(**both) == (6, 7)
    assert _threads(**both, tensorflow_intra_op_parallelism=2) == (2, 7)
    config = _config(**both, per_process_gpu_memory_fraction=0.25)
    assert config.gpu_options.per_process_gpu_memory_fraction == 0.25


def test_a_file_that_is_no_config(tmp_path):
    path = tmp_path / "session.txt"
    path.write_text("threads: many")
    with pytest.raises(errors.ServableError) as caught:
        _config(tensorflow_session_config_file=str(path))
    assert str(caught.value) == f"INVALID_ARGUMENT: Invalid protobuf file: '{path}'"


def test_mixed_precision(caplog):
    on = _config(mixed_precision="bfloat16").graph_options.rewrite_options
    assert on.auto_mixed_precision_onednn_bfloat16 == 1
    assert _config(mixed_precision="float8") == tf.compat.v1.ConfigProto()
    assert caplog.messages[-1] == (
        "float8 auto mixed precision is not supported. Valid option: bfloat16"
    )


def test_a_session_has_the_options(plain_base, tmp_path):
    path = tmp_path / "session.txt"
    path.write_text("device_count { key: 'CPU' value: 3 }")
    config = _config(tensorflow_session_config_file=str(path))
    with contextlib.closing(
        servable.Servable(str(plain_base / "5"), session_config=config)
    ) as model:
        devices = [device.name for device in model._session.list_devices()]
    assert len([name for name in devices if "device:CPU:" in name]) == 3


def test_tags_choose_the_meta_graph(tmp_path):
    path = saved_models.write_plain_model(tmp_path, tags=("serve", "gpu"))
    servable.Servable(str(path), tags=["gpu", "serve"]).close()
    with pytest.raises(errors.ServableError) as caught:
        servable.Servable(str(path))
    assert str(caught.value).startswith(
        "NOT_FOUND: Could not find meta graph def matching supplied tags: { serve }. "
    )
