"""Lists of different lengths as one plain tensor: filled up at their ends with what no list holds.

| dtype | padding |
|---|---|
| string | empty text |
| int64 | -2^63, the smallest |
| float32 | NaN |

Data with such a value in a list is refused before training, see `input_fns.conversion.list_column`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

PADDING: dict[str, Any] = {"string": b"", "int64": -(2**63), "float32": float("nan")}


def pad(lists: Iterable[np.ndarray], dtype: str) -> np.ndarray:
    """The lists as `[num_rows, longest]` of the dtype; strings as bytes.

    Args:
      lists: one array `[length]` a row.
      dtype: "string", "int64" or "float32".
    """
    rows = list(lists)
    longest = max((len(row) for row in rows), default=0)
    made = np.full(
        (len(rows), longest), PADDING[dtype], object if dtype == "string" else np.dtype(dtype)
    )
    for place, row in zip(made, rows):
        place[: len(row)] = row
    return made


def to_dense(lists: Any, dtype: str) -> Any:
    """A SparseTensor of lists, as `tf.io.parse_example` gives it, as a `[batch_size, longest]` tensor."""
    return tf.sparse.to_dense(lists, tf.constant(PADDING[dtype], dtype))


def to_sparse(dense: Any, dtype: str) -> Any:
    """A `[batch_size, width]` tensor as the SparseTensor `[batch_size, longest]` of its lists, without the padding."""
    is_filled = (
        ~tf.math.is_nan(dense) if dtype == "float32" else tf.not_equal(dense, PADDING[dtype])
    )
    width = tf.shape(dense, tf.int64)[1]
    # Only what stands behind the last value is padding; without any column the largest of none is below 0.
    places = tf.where(is_filled, tf.range(1, width + 1), tf.zeros((), tf.int64))
    lengths = tf.maximum(tf.reduce_max(places, axis=1), 0)
    indices = tf.where(tf.sequence_mask(lengths, width))
    longest = tf.maximum(tf.reduce_max(lengths), 0)
    return tf.SparseTensor(
        indices, tf.gather_nd(dense, indices), [tf.shape(dense, tf.int64)[0], longest]
    )
