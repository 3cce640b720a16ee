"""Lists on their way through a plain tensor: padded, fed, and cut again."""

import numpy as np
import pytest
import tensorflow as tf

from export import padding, receivers
from input_fns import schema as schema_lib

SCHEMA = schema_lib.Schema(
    (
        schema_lib.Feature("some words", "string", value_count=(0, 4)),
        schema_lib.Feature("ids", "int64", value_count=(0, None)),
        schema_lib.Feature("x", "float32", value_count=(0, 3)),
        schema_lib.Feature("age", "int64"),
    )
)


def arrays(*rows, dtype):
    return np.fromiter((np.array(row, dtype) for row in rows), object)


LISTS = {
    "some words": arrays([b"a", b"b c", b"\xff"], [], [b"a"], dtype=object),
    "ids": arrays([], [-1, 0, 2**63 - 1, 0], [-5], dtype=np.int64),
    "x": arrays([0.0, -0.5, 0.0], [], [], dtype=np.float32),
    "age": np.array([1, 2, 3]),
}
EMPTY = {name: values[1:2] if name != "ids" else values[:1] for name, values in LISTS.items()}


@pytest.fixture(scope="module")
def session():
    """A session on a graph that has the receiver."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.receiver = receivers.make_receiver(SCHEMA)
        yield session


def to_rows(values):
    if not isinstance(values, tf.compat.v1.SparseTensorValue):
        return values.tolist()
    rows = [[] for _ in range(values.dense_shape[0])]
    for (row, place), value in zip(values.indices, values.values):
        assert len(rows[row]) == place < values.dense_shape[1]
        rows[row].append(value)
    assert max(map(len, rows)) == values.dense_shape[1]
    return rows


@pytest.mark.parametrize("rows", [LISTS, EMPTY])
def test_examples_and_padded_tensors_give_the_same_lists(session, rows):
    serialized = receivers.serialize_examples(rows, SCHEMA)
    (examples,) = session.receiver.receiver_tensors.values()
    tensors = session.receiver.receiver_tensors_alternatives[receivers.TENSORS]
    padded = {
        feature.name: padding.pad(rows[feature.name], feature.dtype)
        for feature in SCHEMA.features
        if feature.is_list
    }
    feeds = {tensors[name]: values for name, values in {**padded, "age": rows["age"]}.items()}
    wanted = {name: [np.array(row).tolist() for row in values] for name, values in rows.items()}
    for fed in ({examples: serialized}, feeds):
        found = session.run(session.receiver.features, fed)
        assert {name: to_rows(values) for name, values in found.items()} == wanted


def test_more_padding_than_needed_changes_nothing(session):
    tensors = session.receiver.receiver_tensors_alternatives[receivers.TENSORS]
    feeds = {
        tensors["some words"]: [[b"a", b"", b"b", b"", b""]],
        tensors["ids"]: [[7, -(2**63), -(2**63)]],
        tensors["x"]: [[np.nan, np.nan]],
        tensors["age"]: [1],
    }
    found = session.run(session.receiver.features, feeds)
    assert to_rows(found["some words"]) == [[b"a", b"", b"b"]]
    assert to_rows(found["ids"]) == [[7]]
    assert to_rows(found["x"]) == [[]]


def test_plain_lists_are_open_in_both_dimensions(session):
    tensors = session.receiver.receiver_tensors_alternatives[receivers.TENSORS]
    assert tensors["ids"].shape.as_list() == [None, None]
    assert tensors["age"].shape.as_list() == [None]
