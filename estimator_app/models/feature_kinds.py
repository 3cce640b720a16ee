"""The kinds of columns that the file of `--features` may name, and what each may be told.

Every kind of `tf.feature_column` is here; a kind's options go by TensorFlow's names where TensorFlow has one.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import math
from typing import Any

NORMALIZERS = ("standard", "min_max", "log1p", "none")
COMBINERS = ("mean", "sqrtn", "sum")


@dataclasses.dataclass(frozen=True)
class Option:
    """A value that the file may give: whether it is one, and how that is said."""

    accepts: Callable[[Any], bool]
    what: str


def _iswhole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return _iswhole(value) or (isinstance(value, float) and math.isfinite(value))


def whole(least: int) -> Option:
    return Option(lambda value: _iswhole(value) and value >= least, f"a whole number >= {least}")


def one_of(*known: str) -> Option:
    return Option(lambda value: value in known, f"one of {', '.join(known)}")


def is_ascending(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(is_number(item) for item in value)
        and all(low < high for low, high in zip(value, value[1:]))
    )


def is_vocabulary(value: Any) -> bool:
    same = isinstance(value, list) and len({type(item) for item in value}) == 1
    return (
        same and (_iswhole(value[0]) or isinstance(value[0], str)) and len(set(value)) == len(value)
    )


_TEXT = Option(lambda value: isinstance(value, str) and bool(value), "a text")
_OUTSIDE = {
    "num_oov_buckets": whole(0),
    "default_value": whole(-1),
}
EMBEDDING = {
    "dimension": whole(1),
    "combiner": one_of(*COMBINERS),
    "max_norm": Option(lambda value: is_number(value) and value > 0, "a number > 0"),
    "trainable": Option(lambda value: isinstance(value, bool), "true or false"),
    "checkpoint": _TEXT,
    "tensor": _TEXT,
}

# Kind -> its options. A value that is no mapping goes to the first option that takes it.
BASES = {
    "numeric": {
        "normalizer": one_of(*NORMALIZERS),
        "default": Option(is_number, "a number"),
    },
    "bucketized": {
        "boundaries": Option(is_ascending, "numbers in ascending order such as [18, 25, 30]"),
        "quantiles": whole(2),
    },
    "vocabulary_list": {
        "values": Option(
            is_vocabulary,
            "different texts, or different whole numbers, in brackets; quote words such as 'yes' and 'no'",
        ),
        **_OUTSIDE,
    },
    "vocabulary_file": {"path": _TEXT, "size": whole(1), **_OUTSIDE},
    "hash_bucket": {"size": whole(1)},
    "identity": {"num_buckets": whole(1), "default_value": whole(0)},
}
KINDS: dict[str, dict[str, Option]] = BASES | {
    "weighted_categorical": {"weight_feature": _TEXT},
    "indicator": {},
    "embedding": EMBEDDING,
}
OF_IDS = ("vocabulary_list", "vocabulary_file", "hash_bucket", "identity")
