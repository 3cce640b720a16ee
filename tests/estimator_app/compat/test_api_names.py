"""`tf_export` answers about Estimators on every TensorFlow as 2.15 itself does; nothing here asks which one it is."""

import types

import pytest
import tensorflow as tf
from tensorflow.python.util import tf_export
from tensorflow.python.util.tf_export import (
    get_v1_constants,
    get_v1_names,
    get_v2_constants,
    get_v2_names,
)

from estimator_app import compat
from estimator_app.compat import api_names


def _export(*names, **kwargs):
    return tf_export.api_export(*names, api_name=tf_export.ESTIMATOR_API_NAME, **kwargs)


def test_api_name_and_its_attributes():
    assert tf_export.ESTIMATOR_API_NAME == "estimator"
    assert tf_export.API_ATTRS["estimator"] == ("_estimator_api_names", "_estimator_api_constants")
    assert tf_export.API_ATTRS_V1["estimator"] == (
        "_estimator_api_names_v1",
        "_estimator_api_constants_v1",
    )
    assert not api_names.is_missing()


def test_names_of_a_class_of_the_wheel():
    from tensorflow_estimator.python.estimator.canned import dnn

    assert compat.estimator.DNNClassifier is dnn.DNNClassifierV2
    assert list(get_v2_names(dnn.DNNClassifierV2)) == ["estimator.DNNClassifier"]
    assert list(get_v1_names(dnn.DNNClassifierV2)) == []
    assert list(get_v1_names(dnn.DNNClassifier)) == ["estimator.DNNClassifier"]
    assert list(get_v2_names(compat.estimator.RunConfig)) == ["estimator.RunConfig"]


def test_names_of_all_three_apis_in_order():
    class Symbol:
        pass

    tf_export.keras_export("keras.symbol", v1=["keras.old"])(Symbol)
    _export("estimator.symbol", v1=["estimator.old", "estimator.older"])(Symbol)
    tf_export.tf_export("symbol", v1=["old"])(Symbol)
    assert list(get_v2_names(Symbol)) == ["symbol", "estimator.symbol", "keras.symbol"]
    assert list(get_v1_names(Symbol)) == ["old", "estimator.old", "estimator.older", "keras.old"]


def test_names_are_not_inherited_and_a_plain_value_has_none():
    class Parent:
        pass

    class Child(Parent):
        pass

    _export("estimator.parent")(Parent)
    assert list(get_v1_names(Child)) == list(get_v2_names(Child)) == []
    assert list(get_v1_names(3)) == list(get_v2_names(3)) == []


def test_constants_of_a_module(monkeypatch):
    module = types.ModuleType("a_module_with_constants")
    monkeypatch.setitem(__import__("sys").modules, module.__name__, module)
    _export("estimator.B", v1=["estimator.OLD_B"]).export_constant(module.__name__, "B")
    tf_export.tf_export("A").export_constant(module.__name__, "A")
    assert list(get_v2_constants(module)) == [(("A",), "A"), (("estimator.B",), "B")]
    assert list(get_v1_constants(module)) == [(("A",), "A"), (["estimator.OLD_B"], "B")]
    assert list(get_v1_constants(types.ModuleType("without"))) == []


def test_symbol_is_found_by_its_name():
    name = tf_export.get_canonical_name_for_symbol(
        compat.estimator.DNNRegressor, api_name="estimator"
    )
    assert name == "estimator.DNNRegressor"
    assert tf_export.get_symbol_from_name(name) is compat.estimator.DNNRegressor


def test_tensorflow_may_not_export_below_estimator():
    with pytest.raises(tf_export.InvalidSymbolNameError):
        tf_export.tf_export("estimator.symbol")(lambda: None)
    with pytest.raises(tf_export.InvalidSymbolNameError):
        _export("symbol")(lambda: None)


def test_names_of_tensorflow_and_keras_are_as_before():
    assert list(get_v2_names(tf.Variable)) == ["Variable"]
    assert "train.Saver" in get_v1_names(tf.compat.v1.train.Saver)
    assert "keras.layers.Dense" in get_v2_names(compat.keras.layers.Dense)
