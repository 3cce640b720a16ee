"""Graphs are written as text on every supported pair of TensorFlow and protobuf."""

import google.protobuf
from google.protobuf import text_format
import pytest
import tensorflow as tf
from tensorflow.python.framework import graph_io

from estimator_app.compat import estimator, graph_text, versions


def small_graph():
    with tf.Graph().as_default() as graph:
        tf.constant([0.1, 1e-30, 3.0], name="numbers")
    return graph.as_graph_def()


@pytest.mark.parametrize("write", [tf.io.write_graph, tf.compat.v1.train.write_graph])
def test_a_graph_is_written_as_text_and_read_again(tmp_path, write):
    path = write(small_graph(), str(tmp_path), "graph.pbtxt", as_text=True)
    with open(path, encoding="utf-8") as file:
        read = text_format.Parse(file.read(), tf.compat.v1.GraphDef())
    assert read == small_graph()


def test_training_leaves_its_graph_as_text(tmp_path):
    def input_fn():
        return tf.data.Dataset.from_tensors(({"x": [1.0]}, [1.0]))

    column = tf.feature_column.numeric_column("x")
    estimator.LinearRegressor([column], model_dir=str(tmp_path)).train(input_fn)
    text = (tmp_path / "graph.pbtxt").read_text(encoding="utf-8")
    assert text_format.Parse(text, tf.compat.v1.GraphDef()).node


def test_protobuf_is_replaced_where_2_20_needs_it_and_nowhere_else():
    assert not graph_text.is_missing()
    protobuf = int(google.protobuf.__version__.split(".", maxsplit=1)[0])
    needed = versions.parse(tf.__version__)[:2] == (2, 20) and protobuf >= 7
    assert (graph_io.text_format is not text_format) == needed
