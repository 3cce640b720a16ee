"""The decided names work on this TensorFlow, and a TensorFlow that cannot run Estimators says what to do."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import compat
from estimator_app.compat import patches, versions


@pytest.mark.parametrize("version", ["2.15.1", "2.16.2", "2.21.0", "2.21.0-rc1", "2.22.0rc0"])
def test_supported_versions_pass(version):
    versions.check(version)


@pytest.mark.parametrize("version", ["1.15.5", "2.14.1", "2.15.0"])
def test_too_old_a_version_names_range_and_fix(version):
    with pytest.raises(ImportError) as error:
        versions.check(version)
    assert f"Expected TensorFlow 2.15.1 or later, found {version}." in str(error.value)
    assert "pip install" in str(error.value)


@pytest.mark.parametrize("version", ["2.40.0", "3.0.0"])
def test_unknown_newer_version_is_warned_of_and_not_refused(version):
    with pytest.warns(versions.UntestedTensorFlowWarning, match=f"TensorFlow {version} is newer"):
        versions.check(version)


def test_only_releases_before_2_16_have_their_own_estimator():
    assert versions.has_own_estimator("2.15.1")
    assert not versions.has_own_estimator("2.16.0")


def test_patches_apply_twice_without_change():
    from tensorflow.python.util import tf_export

    before = dict(getattr(tf_export, "API_ATTRS"))
    module = sys.modules.get("tensorflow.python.tpu.tpu_embedding")
    patches.apply()
    assert tf_export.API_ATTRS == before
    assert sys.modules.get("tensorflow.python.tpu.tpu_embedding") is module


def test_parameter_server_cluster_is_read_from_tf_config(monkeypatch):
    jobs = '{"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}'
    cluster = f'{{"cluster": {jobs}, "task": {{"type": "worker", "index": 0}}}}'
    monkeypatch.setenv("TF_CONFIG", cluster)
    config = compat.estimator.RunConfig()
    assert (config.task_type, config.num_worker_replicas, config.num_ps_replicas) == (
        "worker",
        2,
        1,
    )
    assert config.global_id_in_cluster == 1


def _points():
    x = np.linspace(-1, 1, 32, dtype=np.float32)
    return (
        tf.data.Dataset.from_tensor_slices(({"x": x}, (x > 0).astype(np.int64)))
        .repeat(20)
        .batch(32)
    )


def test_premade_estimator_learns(tmp_path):
    classifier = compat.estimator.LinearClassifier(
        [tf.feature_column.numeric_column("x")], model_dir=str(tmp_path), optimizer="Adam"
    )
    before = classifier.train(_points, max_steps=1).evaluate(_points, steps=1)["loss"]
    assert classifier.train(_points, max_steps=60).evaluate(_points, steps=1)["loss"] < before


def test_keras_model_keeps_its_weights_as_an_estimator(tmp_path):
    keras = compat.keras
    model = keras.Sequential([keras.layers.Dense(1, use_bias=False, input_shape=(1,), name="only")])
    model.layers[0].set_weights([np.array([[3.0]], np.float32)])
    model.compile(keras.optimizers.legacy.SGD(0.0), "mse")

    def input_fn():
        return tf.data.Dataset.from_tensors(
            (np.ones([4, 1], np.float32), np.ones([4, 1], np.float32))
        ).repeat(2)

    estimator = compat.model_to_estimator(model, model_dir=str(tmp_path))
    estimator.train(input_fn, steps=1)
    assert next(estimator.predict(input_fn))["only"] == pytest.approx([3.0])
