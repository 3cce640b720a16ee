"""Keras initializers draw seeds after `set_random_seed`, on every Python, and the same ones as ever."""

import random

import numpy as np

from estimator_app.compat import keras


def test_set_random_seed_decides_initial_values():
    def build():
        keras.utils.set_random_seed(7)
        layer = keras.layers.Dense(4)
        layer.build((None, 3))
        return layer.get_weights()[0]

    kernel = build()
    np.testing.assert_array_equal(kernel, build())
    # The first number that Keras draws of Random(7): with another draw, models would start elsewhere than on 2.15.
    seed = random.Random(7).randint(1, int(1e9))
    expected = keras.initializers.GlorotUniform(seed=seed)((3, 4))
    np.testing.assert_array_equal(kernel, expected)
