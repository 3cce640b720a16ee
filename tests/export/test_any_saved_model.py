"""SavedModels of kinds that other loaders refuse."""

import contextlib

import numpy as np
import tensorflow as tf

from export import servable

v1 = tf.compat.v1


def test_reference_variables_of_tf1_and_dimensions_that_are_open(tmp_path):
    path = str(tmp_path / "1")
    with tf.Graph().as_default() as graph, v1.Session() as session:
        factor = v1.get_variable("factor", initializer=3.0, use_resource=False)
        x = v1.placeholder(tf.float32, [None, None, None], name="x")
        assert "VariableV2" in {operation.type for operation in graph.get_operations()}
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, path, {"x": x}, {"y": x * factor})
    with contextlib.closing(servable.Servable(path)) as model:
        assert model.signatures["serving_default"].inputs["x"].shape == (None, None, None)
        for shape in ((1, 2, 3), (4, 0, 1), (2,)):
            answer = model.predict({"x": np.ones(shape, np.float32)})["y"]
            np.testing.assert_array_equal(answer, np.full(shape, 3.0, np.float32))


def test_a_function_that_asks_for_xla_is_compiled(tmp_path):
    class Squares(tf.Module):
        @tf.function(
            jit_compile=True, input_signature=[tf.TensorSpec([None], tf.float32, name="x")]
        )
        def square(self, x):
            return {"y": x * x}

    module = Squares()
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.square)
    with contextlib.closing(servable.Servable(str(tmp_path / "1"))) as model:
        answer = model.predict({"x": np.float32([2.0, 3.0])})["y"]
    assert answer.tolist() == [4.0, 9.0]


def test_rows_of_different_lengths_inside_the_graph_and_as_components(tmp_path):
    class Words(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def split(self, text):
            words = tf.strings.split(text)
            return {
                "padded": words.to_tensor("-"),
                "values": words.values,
                "splits": words.row_splits,
            }

    module = Words()
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.split)
    with contextlib.closing(servable.Servable(str(tmp_path / "1"))) as model:
        answer = model.predict({"text": np.array([b"a b c", b"", b"d"], object)})
    assert answer["padded"].tolist() == [[b"a", b"b", b"c"], [b"-"] * 3, [b"d", b"-", b"-"]]
    assert answer["values"].tolist() == [b"a", b"b", b"c", b"d"]
    assert answer["splits"].tolist() == [0, 3, 3, 4]
