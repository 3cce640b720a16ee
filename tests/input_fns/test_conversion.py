import numpy as np
import pyarrow as pa
import pytest

from input_fns import blocks, conversion, errors
from input_fns import schema as schema_lib

Feature = schema_lib.Feature


def convert(
    feature: Feature, *texts: bytes, role: str = "features"
) -> tuple[blocks.Block, tuple[blocks.BadRow, ...]]:
    schema = schema_lib.Schema(
        (feature,) if role == "features" else (),
        (feature,) if role == "label" else (),
        feature if role == "weight" else None,
    )
    rows = np.arange(1, len(texts) + 1)
    raw = blocks.RawBlock("f.csv", rows, {feature.name: pa.array(texts, pa.binary())})
    return conversion.Converter(schema, with_label=True).convert(raw)


def values(block: blocks.Block) -> list[object]:
    column = block.columns["x"]
    return (column.decode() if isinstance(column, blocks.Strings) else column).tolist()


def test_defaults_stand_in_for_empty_cells() -> None:
    assert values(convert(Feature("x", "int64", default=7), b"1", b"")[0]) == [1, 7]
    assert values(convert(Feature("x", "float32", default=0.5), b"", b"1")[0]) == [0.5, 1.0]
    assert values(convert(Feature("x", "string", default=b"none"), b"a", b"")[0]) == [b"a", b"none"]
    assert values(convert(Feature("x", "string", default=b""), b"a", b"")[0]) == [b"a", b""]


@pytest.mark.parametrize(
    "feature, text, expected",
    [
        (Feature("x", "int64"), b"", "a whole number, not an empty cell"),
        (Feature("x", "string"), b"", "a value, not an empty cell"),
        (Feature("x", "int64"), b"3.5", "a whole number"),
        (Feature("x", "float32"), b"tall", "a number"),
        (Feature("x", "string"), b"\xff", "text in UTF-8"),
    ],
)
def test_a_bad_row_is_left_out_and_described(feature: Feature, text: bytes, expected: str) -> None:
    block, bad = convert(feature, b"1", text, b"2")
    assert block.num_rows == 2
    assert [(row.row, row.column, row.expected) for row in bad] == [(2, "x", expected)]
    assert bad[0].value == text.decode("utf-8", "backslashreplace")


def test_a_whole_number_may_have_a_point() -> None:
    assert values(convert(Feature("x", "int64"), b"3.0", b"4")[0]) == [3, 4]


def test_values_outside_a_vocabulary_or_range_are_kept() -> None:
    assert values(convert(Feature("x", "string", vocabulary=("a",)), b"new")[0]) == [b"new"]
    assert values(convert(Feature("x", "int64", low=0, high=1), b"9")[0]) == [9]


def test_a_label_outside_the_vocabulary_is_bad() -> None:
    label = Feature("x", "string", vocabulary=("yes", "no"))
    block, bad = convert(label, b" no ", b"maybe", b"yes", b"", role="label")
    assert values(block) == [b"no", b"yes"]
    assert [(row.row, row.expected) for row in bad] == [
        (2, "one of 'yes', 'no'"),
        (4, bad[0].expected),
    ]


def test_the_codes_of_a_label_are_class_ids() -> None:
    label = Feature("x", "string", vocabulary=("yes", "no", "maybe"))
    column = convert(label, b"no", b"yes", b"no", role="label")[0].columns["x"]
    assert isinstance(column, blocks.Strings)
    assert column.codes.tolist() == [1, 0, 1]


def test_a_class_id_out_of_range_is_bad() -> None:
    label = Feature("x", "int64", low=0, high=2, categorical=True)
    block, bad = convert(label, b"0", b"3", b"-1", b"2", role="label")
    assert values(block) == [0, 2]
    assert [row.row for row in bad] == [2, 3]
    assert bad[0].expected == "a class id from 0 to 2"


def test_a_negative_weight_is_bad() -> None:
    block, bad = convert(Feature("x", "float32"), b"0", b"-1", role="weight")
    assert values(block) == [0.0]
    assert bad[0].expected == "a weight, a number >= 0"


def test_a_cell_cannot_hold_an_array() -> None:
    with pytest.raises(errors.SchemaError, match="a cell holds one value, .* the shape .3,."):
        convert(Feature("x", "float32", (3,)), b"1")


def test_a_typed_column_of_another_shape_is_refused() -> None:
    schema = schema_lib.Schema((Feature("x", "float32", (28, 28)),))
    raw = blocks.RawBlock("i.gz", np.array([1]), {"x": np.zeros((1, 8, 8), np.float32)})
    with pytest.raises(errors.SchemaError, match=r"i.gz: 'x' has shape \(8, 8\), the schema says"):
        conversion.Converter(schema, with_label=False).convert(raw)


def test_the_raw_row_is_kept_as_csv() -> None:
    schema = schema_lib.Schema((Feature("a", "string"), Feature("b", "int64")))
    cells = {"a": pa.array([b'x, "y"'], pa.binary()), "b": pa.array([b"?"], pa.binary())}
    raw = blocks.RawBlock("f.csv", np.array([5]), cells)
    (bad,) = conversion.Converter(schema, with_label=False).convert(raw)[1]
    assert bad == blocks.BadRow("f.csv", 5, "b", "?", "a whole number", '"x, ""y""",?')


def test_a_dictionary_is_typed_once_a_value() -> None:
    """Also one whose places are bytes, and that has as many values as these can count."""
    values = [f"value {i}" for i in range(128)]
    places = pa.array([127, None, 0, 127], pa.int8())
    cells = pa.DictionaryArray.from_arrays(places, pa.array(values))
    feature = Feature("s", "string", default=b"none")
    schema = schema_lib.Schema((feature,))
    raw = blocks.RawBlock("f", np.arange(4) + 1, {"s": cells})
    block, bad = conversion.Converter(schema, with_label=False).convert(raw)
    assert not bad
    found = block.columns["s"].decode().tolist()  # type: ignore[union-attr]
    assert found == [b"value 127", b"none", b"value 0", b"value 127"]
