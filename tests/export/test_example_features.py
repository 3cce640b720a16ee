"""Features as a graph's parser of Examples declares them."""

import tensorflow as tf

from export import example_features

_SPEC = {
    "age": tf.io.FixedLenFeature([], tf.float32, 0.0),
    "pixels": tf.io.FixedLenFeature([2, 3], tf.int64),
    "words": tf.io.VarLenFeature(tf.string),
    "prices": tf.io.RaggedFeature(tf.float32),
    "tail": tf.io.FixedLenSequenceFeature([4], tf.float32, allow_missing=True),
}
_FEATURES = {
    "age": example_features.ExampleFeature("float32", ()),
    "pixels": example_features.ExampleFeature("int64", (2, 3)),
    "prices": example_features.ExampleFeature("float32", None),
    "tail": example_features.ExampleFeature("float32", (None, 4)),
    "words": example_features.ExampleFeature("string", None),
}


def test_features_of_a_graph():
    with tf.Graph().as_default() as graph:
        tf.io.parse_example(tf.compat.v1.placeholder(tf.string, [None]), _SPEC)
    assert example_features.read(graph.as_graph_def()) == _FEATURES


def test_features_of_a_function():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def parse(examples):
        return tf.io.parse_example(examples, _SPEC)["age"]

    with tf.Graph().as_default() as graph:
        parse(tf.compat.v1.placeholder(tf.string, [None]))
    assert example_features.read(graph.as_graph_def()) == _FEATURES


def test_parser_of_older_tensorflow():
    with tf.Graph().as_default() as graph:
        tf.raw_ops.ParseExample(
            serialized=tf.constant([b""]),
            names=tf.constant([], tf.string),
            sparse_keys=["words"],
            dense_keys=["age", "pixels"],
            dense_defaults=[tf.constant(0.0), tf.constant([], tf.int64)],
            sparse_types=[tf.string],
            dense_shapes=[[], [2, 3]],
        )
    found = example_features.read(graph.as_graph_def())
    assert found == {name: _FEATURES[name] for name in ("age", "pixels", "words")}


def test_names_that_are_computed_are_left_out():
    with tf.Graph().as_default() as graph:
        tf.raw_ops.ParseExampleV2(
            serialized=tf.constant([b""]),
            names=tf.constant([], tf.string),
            sparse_keys=tf.compat.v1.placeholder(tf.string, [1]),
            dense_keys=tf.constant(["age"]),
            ragged_keys=tf.constant([], tf.string),
            dense_defaults=[tf.constant(0.0)],
            num_sparse=1,
            sparse_types=[tf.string],
            ragged_value_types=[],
            ragged_split_types=[],
            dense_shapes=[[]],
        )
    assert example_features.read(graph.as_graph_def()) == {"age": _FEATURES["age"]}
