"""Rows of rare classes count as much as those of frequent ones: by what they weigh, or by how often they come.

A class that has n_c of N rows, of K classes, weighs N / (K n_c), so that all classes have the same sum of weights and
the mean weight of a row is 1: the "balanced" weights of King and Zeng, Logistic Regression in Rare Events Data (2001).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from input_fns import blocks, errors
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

WEIGHT_COLUMN = "class_weight"


def class_weights(
    schema: schema_lib.Schema, statistics: statistics_lib.DatasetStatistics
) -> np.ndarray:
    """[num_classes] float64, what a row of each class weighs; a class without a row weighs nothing.

    Raises:
        SchemaError: there is not one label of classes.
    """
    if schema.task != "classification":
        found = ", ".join(f"{label.name!r}" for label in schema.labels)
        raise errors.SchemaError(
            f"--class_balance is for one label of classes, found {schema.task} of {found}. Leave it out, or pass "
            "--task=classification if the label is one."
        )
    assert schema.label is not None
    known = statistics.column(schema.label.name)
    assert isinstance(known, statistics_lib.StringStatistics)
    frequencies = dict(known.top)
    counts = np.array([frequencies.get(name, 0) for name in schema.label_names], np.float64)
    return np.divide(
        counts.sum() / len(counts), counts, out=np.zeros_like(counts), where=counts > 0
    )


def with_weight(schema: schema_lib.Schema) -> schema_lib.Schema:
    """The schema of rows that carry a weight: its own, or one named `WEIGHT_COLUMN`, or so with a line below it."""
    if schema.weight is not None:
        return schema
    name, taken = WEIGHT_COLUMN, {column.name for column in schema.columns}
    while name in taken:
        name += "_"
    return dataclasses.replace(schema, weight=schema_lib.Feature(name, "float32"))


@dataclasses.dataclass(frozen=True)
class Weights:
    """Gives rows the weight of their class.

    Attributes:
        label: name of the column of classes.
        weight: name of the column of weights; one that is there is multiplied.
        by_class: [num_classes] weights; None weighs all the same, as an evaluation does.
    """

    label: str
    weight: str
    by_class: np.ndarray | None

    def apply(self, block: blocks.Block) -> blocks.Block:
        """The block with weights."""
        own = block.columns.get(self.weight, np.ones(block.num_rows, np.float32))
        if self.by_class is not None:
            own = own * self.by_class[_class_ids(block, self.label)].astype(np.float32)
        return blocks.Block(block.num_rows, {**block.columns, self.weight: own})


@dataclasses.dataclass(frozen=True)
class Repeats:
    """Takes rows as often as their class wants it.

    Attributes:
        label: name of the column of classes.
        by_class: [num_classes] how often a row comes, on average.
    """

    label: str
    by_class: np.ndarray

    def draw(self, rows: blocks.Block, rng: np.random.Generator) -> np.ndarray:
        """[m] int64, numbers of the rows to take, in their order: of one that is to come 2.3 times always two, and a
        third with probability 0.3."""
        wanted = self.by_class[_class_ids(rows, self.label)]
        counts = np.floor(wanted + rng.random(len(wanted))).astype(np.int64)
        return np.repeat(np.arange(rows.num_rows), counts)


def _class_ids(block: blocks.Block, label: str) -> np.ndarray:
    column = block.columns[label]
    assert not isinstance(column, blocks.Lists)  # a label is one value a row
    return column.codes if isinstance(column, blocks.Strings) else column
