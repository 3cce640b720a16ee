"""What a served model is fed: serialized `tf.Example`s, or one plain tensor a feature.

Plain TensorFlow: whoever needs Estimator's `ServingInputReceiver` wraps the three parts
(`ServingInputReceiver(*receiver)`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from export import padding
from input_fns import schema as schema_lib

# The name that TensorFlow's own receivers give the input of serialized Examples in a predict signature.
EXAMPLES = "examples"

# Signatures that take plain tensors are called `tensors:<name>`, such as `tensors:predict`.
TENSORS = "tensors"


class Receiver(NamedTuple):
    """The three parts of a `ServingInputReceiver`.

    Attributes:
      features: name -> `[batch_size, *shape]` tensor, of lists a SparseTensor `[batch_size, longest]`: what the model's
        function is given.
      receiver_tensors: the input of the main signatures: `examples`, `[batch_size]` string, serialized `tf.Example`s.
      receiver_tensors_alternatives: other places to feed; here `tensors`, the features themselves, lists as
        `[batch_size, width]` filled up as `padding` says.
    """

    features: dict[str, Any]
    receiver_tensors: dict[str, Any]
    receiver_tensors_alternatives: dict[str, dict[str, Any]]


def make_receiver(schema: schema_lib.Schema) -> Receiver:
    """Builds the receiver in the default graph.

    The alternative feeds the graph behind the parser (TensorFlow: `build_all_signature_defs`), so that both ways
    give the
    model the same tensors. A feature with a default may be left out of an Example, never out of plain tensors.
    """
    examples = tf.compat.v1.placeholder(tf.string, [None], name="input_example_tensor")
    parsed = tf.io.parse_example(examples, schema_lib.parse_spec(schema))
    features, plain = {}, {}
    for feature in schema.features:
        name, value = feature.name, parsed[feature.name]
        if feature.is_list:
            value = padding.to_dense(value, feature.dtype)
        # parse_example declares no batch size; a placeholder with a default keeps the shape open and can be fed too.
        plain[name] = tf.compat.v1.placeholder_with_default(
            value, value.shape, name=f"tensors/{_scope_name(name)}"
        )
        features[name] = (
            padding.to_sparse(plain[name], feature.dtype) if feature.is_list else plain[name]
        )
    return Receiver(features, {EXAMPLES: examples}, {TENSORS: plain})


def serialize_examples(rows: dict[str, Any], schema: schema_lib.Schema) -> list[bytes]:
    """Returns one serialized `tf.Example` a row.

    Args:
      rows: feature name -> array `[num_rows, *shape]` of the feature's dtype, strings as bytes; of lists a sequence of
        arrays `[length]`.
      schema: which features go in.
    """
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    feature.name: _to_feature(feature.dtype, value)
                    for feature, value in zip(schema.features, row)
                }
            )
        ).SerializeToString()
        for row in zip(*(rows[feature.name] for feature in schema.features))
    ]


def _to_feature(dtype: str, value: Any) -> Any:
    if dtype == "string":
        texts = value.tolist() if isinstance(value, np.ndarray) else [value]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
    values = tf.nest.flatten(value.tolist())
    if dtype == "int64":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _scope_name(name: str) -> str:
    """Returns `name` with the characters that a graph's names cannot have replaced."""
    return "".join(
        char if char.isascii() and (char.isalnum() or char in "_.-") else "_" for char in name
    )
