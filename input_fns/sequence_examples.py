"""Serialised `tf.train.SequenceExample`s as Examples: what is a value a step becomes a list."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf import message
import tensorflow as tf

EXPECTED = "a serialised tf.train.SequenceExample"


class UnfitError(Exception):
    """A record cannot be an Example.

    Attributes:
        column: the feature at fault; empty for the record as a whole.
        expected: what should have stood there.
    """

    def __init__(self, column: str, expected: str) -> None:
        super().__init__(column, expected)
        self.column, self.expected = column, expected


def list_names(records: Iterable[bytes]) -> frozenset[str]:
    """The names of the records' feature lists. Without any, a SequenceExample's bytes are those of an Example."""
    lists: set[str] = set()
    context: set[str] = set()
    for sequence in map(parse, records):
        if sequence is not None:
            lists |= set(sequence.feature_lists.feature_list)
            context |= set(sequence.context.feature)
    return frozenset(lists - context)


def parse(record: bytes) -> tf.train.SequenceExample | None:
    """The record's SequenceExample; None if it is none, or holds more than one can."""
    try:
        sequence = tf.train.SequenceExample.FromString(record)
    except message.DecodeError:
        return None
    size = sequence.ByteSize()
    sequence.DiscardUnknownFields()
    return sequence if sequence.ByteSize() == size else None


def to_example(sequence: tf.train.SequenceExample) -> tf.train.Example:
    """The context's features, and a feature for each of the feature lists with the values of its steps.

    Raises:
        UnfitError: a step has not exactly one value, the steps are of several kinds, or a name stands in both parts.
    """
    example = tf.train.Example(features=sequence.context)
    features = example.features.feature
    for name, steps in sequence.feature_lists.feature_list.items():
        if name in sequence.context.feature:
            raise UnfitError(name, "a feature of the context or of the steps, not of both")
        feature = features[name]
        kinds = {step.WhichOneof("kind") for step in steps.feature}
        if len(kinds) > 1 or None in kinds:
            raise UnfitError(name, "one value a step, of one kind")
        for kind in kinds:
            lists = [getattr(step, kind).value for step in steps.feature]
            if any(len(values) != 1 for values in lists):
                raise UnfitError(name, "one value a step, of one kind")
            getattr(feature, kind).value.extend([values[0] for values in lists])
    return example
