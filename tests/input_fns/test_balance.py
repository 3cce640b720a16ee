import numpy as np
import pytest

from input_fns import balance, blocks, errors
from input_fns import schema as schema_lib
from input_fns import statistics

SCHEMA = schema_lib.Schema(
    (schema_lib.Feature("x", "int64"),),
    (schema_lib.Feature("y", "string", vocabulary=("a", "b", "c")),),
)
STATISTICS = statistics.DatasetStatistics(
    100, (statistics.StringStatistics("y", "string", 100, 0, 2, (("b", 80), ("a", 20))),)
)


def rows(labels: list[int]) -> blocks.Block:
    values = blocks.as_objects([b"a", b"b", b"c"])
    labels_ = blocks.Strings(np.array(labels, np.int32), values)
    return blocks.Block(len(labels), {"x": np.arange(len(labels)), "y": labels_})


def test_classes_have_the_same_sum_of_weights() -> None:
    weights = balance.class_weights(SCHEMA, STATISTICS)
    np.testing.assert_allclose(weights, [100 / 3 / 20, 100 / 3 / 80, 0])
    np.testing.assert_allclose(weights[:2] * [20, 80], 100 / 3)


def test_an_amount_cannot_be_balanced() -> None:
    schema = schema_lib.Schema(SCHEMA.features, (schema_lib.Feature("price", "float32"),))
    with pytest.raises(
        errors.SchemaError, match="for one label of classes, found regression of 'price'"
    ):
        balance.class_weights(schema, STATISTICS)


def test_no_feature_is_taken_for_the_weight() -> None:
    features = (*SCHEMA.features, schema_lib.Feature(balance.WEIGHT_COLUMN, "float32"))
    schema = schema_lib.Schema(features, SCHEMA.labels)
    weight = balance.with_weight(schema).weight
    assert weight is not None and weight.name == "class_weight_"
    assert balance.with_weight(SCHEMA).weight == schema_lib.Feature("class_weight", "float32")


def test_a_weight_of_ones_own_is_multiplied() -> None:
    weighing = balance.Weights("y", "w", np.array([2.0, 0.5, 1.0]))
    block = rows([0, 1, 2])
    weighted = weighing.apply(block).columns["w"]
    assert isinstance(weighted, np.ndarray) and weighted.dtype == np.float32
    assert weighted.tolist() == [2.0, 0.5, 1.0]
    own = blocks.Block(3, {**block.columns, "w": np.array([3.0, 4.0, 0.0], np.float32)})
    assert weighing.apply(own).columns["w"].tolist() == [6.0, 2.0, 0.0]  # type: ignore[union-attr]
    even = balance.Weights("y", "w", None).apply(own)
    assert even.columns["w"].tolist() == [3.0, 4.0, 0.0]  # type: ignore[union-attr]


def test_rows_come_as_often_as_their_class_wants() -> None:
    block = rows([0] * 2000 + [1] * 8000)
    repeats = balance.Repeats("y", np.array([2.5, 0.625, 0.0]))
    drawn = repeats.draw(block, np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=10_000)
    assert set(counts[:2000].tolist()) == {2, 3} and set(counts[2000:].tolist()) == {0, 1}
    assert abs(counts[:2000].sum() - 5000) < 100 and abs(counts[2000:].sum() - 5000) < 150
    assert (np.diff(drawn) >= 0).all()
