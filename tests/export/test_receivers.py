"""Receivers: Examples and plain tensors give the model the same features."""

import numpy as np
import pytest
import tensorflow as tf

from export import receivers
from input_fns import schema as schema_lib

SCHEMA = schema_lib.Schema(
    (
        schema_lib.Feature("age", "int64"),
        schema_lib.Feature("marital status", "string", default=b"single"),
        schema_lib.Feature("picture", "float32", shape=(2, 3)),
    )
)
ROWS = {
    "age": np.array([30, 41]),
    "marital status": np.array([b"married", b"single"], object),
    "picture": np.arange(12, dtype=np.float32).reshape(2, 2, 3),
}


@pytest.fixture
def session():
    """A session on a graph that has the receiver."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.receiver = receivers.make_receiver(SCHEMA)
        yield session


def test_examples_are_parsed_into_the_features(session):
    (fed,) = session.receiver.receiver_tensors.values()
    features = session.run(
        session.receiver.features, {fed: receivers.serialize_examples(ROWS, SCHEMA)}
    )
    for name, values in ROWS.items():
        np.testing.assert_array_equal(features[name], values)


def test_plain_tensors_reach_the_features_without_examples(session):
    tensors = session.receiver.receiver_tensors_alternatives[receivers.TENSORS]
    features = session.run(
        session.receiver.features, {tensors[name]: ROWS[name] for name in tensors}
    )
    for name, values in ROWS.items():
        np.testing.assert_array_equal(features[name], values)


def test_default_stands_in_for_a_feature_that_an_example_lacks(session):
    example = tf.train.Example()
    example.features.feature["age"].int64_list.value.append(7)
    example.features.feature["picture"].float_list.value.extend([0.0] * 6)
    (fed,) = session.receiver.receiver_tensors.values()
    features = session.run(session.receiver.features, {fed: [example.SerializeToString()]})
    assert features["marital status"] == [b"single"]


def test_example_that_lacks_a_required_feature_is_refused(session):
    (fed,) = session.receiver.receiver_tensors.values()
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="Feature: age .* is required but could not be found"
    ):
        session.run(session.receiver.features, {fed: [b""]})
