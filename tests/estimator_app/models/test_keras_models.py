"""The Keras models, and what their layers compute."""

import dataclasses

import numpy as np
import tensorflow as tf

from estimator_app import run as run_lib
from estimator_app.models import keras_models
from input_fns import settings as input_settings


def test_one_hot_has_a_last_column_for_unknown_values():
    layer = keras_models.OneHot(("a", "b"))
    np.testing.assert_array_equal(
        layer(np.array(["b", "a", "x"])), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    )
    assert keras_models.OneHot.from_config(layer.get_config()).vocabulary == ["a", "b"]


def test_standardise_flattens_what_it_scales():
    layer = keras_models.Standardise(1.0, 2.0)
    np.testing.assert_allclose(layer(np.array([[[1], [3]]])), [[0.0, 1.0]])


def test_hashed_ids_stay_below_the_number_of_buckets():
    ids = keras_models.HashedIds(5)(np.array([f"value {i}" for i in range(50)]))
    assert set(np.asarray(ids)) == {0, 1, 2, 3, 4}


def test_mnist_mlp_learns_real_digits_with_101770_parameters(make_settings, tmp_path):
    settings = make_settings(tmp_path / "job", model="mnist_mlp", max_steps=60)
    digits = input_settings.InputSettings(data="mnist", batch_size=64, seed=1)
    result = run_lib.run(dataclasses.replace(settings, input=digits))
    assert result.metrics["accuracy"] > 0.75

    checkpoint = tf.train.load_checkpoint(tf.train.latest_checkpoint(result.model_dir))
    kernels = [
        shape
        for name, shape in checkpoint.get_variable_to_shape_map().items()
        if "layer" in name and "OPTIMIZER_SLOT" not in name and name.endswith("VARIABLE_VALUE")
    ]
    assert sum(int(np.prod(shape)) for shape in kernels) == 101_770
