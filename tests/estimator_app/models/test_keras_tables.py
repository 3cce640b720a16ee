"""The Keras models for tables: what their layers compute."""

import numpy as np

from estimator_app.models import keras_tables


def test_one_hot_has_a_last_column_for_unknown_values():
    layer = keras_tables.OneHot(("a", "b"))
    np.testing.assert_array_equal(
        layer(np.array(["b", "a", "x"])), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    )
    assert keras_tables.OneHot.from_config(layer.get_config()).vocabulary == ["a", "b"]


def test_standardise_flattens_what_it_scales():
    layer = keras_tables.Standardise(1.0, 2.0)
    np.testing.assert_allclose(layer(np.array([[[1], [3]]])), [[0.0, 1.0]])


def test_hashed_ids_stay_below_the_number_of_buckets():
    ids = keras_tables.HashedIds(5)(np.array([f"value {i}" for i in range(50)]))
    assert set(np.asarray(ids)) == {0, 1, 2, 3, 4}
