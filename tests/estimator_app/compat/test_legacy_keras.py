"""tf.keras is legacy Keras whether TensorFlow was imported first or not, and what cannot work says what to do."""

import pytest
import tensorflow as tf

from estimator_app.compat import legacy_keras, versions
from tests import fresh_process

after_2_15 = pytest.mark.skipif(
    versions.has_own_estimator(tf.__version__),
    reason="tf.keras is Keras 2 whatever the switch says",
)


@pytest.mark.parametrize("value", ["0", "false", "", "yes"])
def test_switch_that_is_off_is_refused(value):
    with pytest.raises(ImportError) as error:
        legacy_keras.check_switch({"TF_USE_LEGACY_KERAS": value})
    assert f"found TF_USE_LEGACY_KERAS={value}: it makes tf.keras Keras 3" in str(error.value)
    assert "Unset it" in str(error.value)


@pytest.mark.parametrize(
    "environ", [{}, *({"TF_USE_LEGACY_KERAS": v} for v in ("1", "true", "True"))]
)
def test_switch_that_is_on_or_absent_passes(environ):
    legacy_keras.check_switch(environ)


@pytest.mark.parametrize(
    "tensorflow, keras",
    [("2.16.2", "2.16.0"), ("2.20.0", "2.20.1"), ("2.22.0-rc0", "2.21.0"), ("2.40.0", "2.21.0")],
)
def test_package_that_belongs_to_tensorflow_passes(tensorflow, keras):
    legacy_keras.check_package(tensorflow, keras)


@pytest.mark.parametrize(
    "tensorflow, keras, sentences",
    [
        ("2.21.0", None, ("found none.", "pip install 'tf-keras==2.21.*'.")),
        ("2.40.0", None, ("found none.", "pip install 'tf-keras>=2.21'.")),
        ("2.40.0", "2.9.0", ("Expected tf-keras 2.21 or later", "found tf-keras 2.9.0.")),
        (
            "2.16.2",
            "2.21.0",
            (
                "Expected tf-keras 2.16 beside TensorFlow 2.16.2, found tf-keras 2.21.0.",
                "pip install 'tf-keras==2.16.*'.",
            ),
        ),
    ],
)
def test_package_that_is_missing_or_of_another_release_is_answered(tensorflow, keras, sentences):
    with pytest.raises(versions.UnsupportedTensorFlowError) as error:
        legacy_keras.check_package(tensorflow, keras)
    for sentence in sentences:
        assert sentence in str(error.value)


def test_tested_stack_has_the_package_that_belongs_to_it():
    legacy_keras.check_package(tf.__version__, legacy_keras.installed_version())


@after_2_15
def test_package_that_is_missing_or_of_another_release_is_answered_in_a_real_process(tmp_path):
    metadata = tmp_path / "tf_keras-2.9.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: tf-keras\nVersion: 2.9.0\n")
    result = fresh_process.run(f"""
        import sys
        sys.modules["tf_keras"] = None
        try:
            import tensorflow, estimator_app.compat
        except Exception as error:
            print(error)
        del sys.modules["tf_keras"]
        sys.path.insert(0, {str(tmp_path)!r})
        import estimator_app.compat
        """)
    assert result.returncode != 0
    assert "Expected the package tf-keras beside TensorFlow" in result.stdout
    assert "found tf-keras 2.9.0. Install the one that belongs to it: pip install" in result.stderr


@after_2_15
def test_tensorflow_may_be_imported_first():
    printed = fresh_process.output("""
        import tensorflow as tf

        held = tf.compat.v1
        from estimator_app import compat

        from tensorflow.keras.layers import Dense
        from tensorflow.compat.v1.keras import Model
        import tensorflow.compat.v1 as tf1

        assert compat.keras.layers.Dense is Dense
        assert issubclass(Dense, tf.keras.layers.Layer)
        assert issubclass(Model, tf1.keras.Model)
        assert held.layers.dense is tf1.layers.dense
        assert held.nn.rnn_cell.BasicLSTMCell is tf1.nn.rnn_cell.BasicLSTMCell
        print(tf.keras.Model.__module__, held.keras.Model.__module__, Dense.__module__)
        """)
    assert all(name.startswith("tf_keras.") for name in printed.split())


@after_2_15
def test_keras_3_that_was_used_is_replaced_with_a_warning_and_its_objects_go_on(tmp_path):
    printed = fresh_process.output(f"""
        import os, warnings
        import numpy as np
        import tensorflow as tf
        from tensorflow.keras import layers

        keras_3 = tf.keras
        model = tf.keras.Sequential([tf.keras.Input((1,)), layers.Dense(1)])
        model.compile(tf.keras.optimizers.SGD(0.01), "mse")
        x = np.ones([4, 1], np.float32)
        model.fit(x, x, verbose=0)
        assert type(model).__module__.startswith("keras.")

        os.environ["TF_USE_LEGACY_KERAS"] = "1"  # too late for TensorFlow
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            from estimator_app import compat
        print(*(str(w.message) for w in caught if w.category.__name__ == "KerasSwitchedWarning"))

        assert tf.keras.__name__ == "tf_keras.api._v2.keras"
        from tensorflow.keras.layers import Dense
        assert issubclass(Dense, tf.keras.layers.Layer) and not issubclass(Dense, layers.Layer)

        before = model.predict(x, verbose=0)
        model.save({str(tmp_path / "model.keras")!r})
        loaded = keras_3.models.load_model({str(tmp_path / "model.keras")!r})
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), before)
        assert keras_3.layers.Dense is layers.Dense
        model.fit(x, x, verbose=0)

        classifier = compat.estimator.LinearRegressor([tf.feature_column.numeric_column("x")])
        classifier.train(lambda: tf.data.Dataset.from_tensors(({{"x": x}}, x)), steps=1)
        """)
    assert printed.startswith("tf.keras was Keras 3 until now and is legacy Keras (tf-keras)")
    assert printed.count("until now") == 1
