"""Lists of any length, from the cells of a block to the schema and to typed columns."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from input_fns import blocks, conversion, errors, inference, list_cells, python_objects
from input_fns import schema as schema_lib
from input_fns import schema_proto
from input_fns import settings as settings_lib
from input_fns import statistics

Feature = schema_lib.Feature


def scan(
    values: list[Any], schema: schema_lib.Schema | None = None, **changes: Any
) -> inference.ScanResult:
    """Scans rows of a column `x` beside a label that alternates."""
    source = python_objects.from_object(
        [{"x": value, "y": i % 2} for i, value in enumerate(values)], label_column="y", name="rows"
    )
    settings = settings_lib.InputSettings(train_data="rows", batch_size=2, **changes)
    return inference.scan(source, settings, schema)


def convert(
    cells: pa.Array | np.ndarray, feature: Feature
) -> tuple[list[Any], list[blocks.BadRow]]:
    """The rows that fit, as Python has them, and those that do not."""
    raw = blocks.RawBlock("f", np.arange(1, len(cells) + 1), {"x": cells})
    block, bad = conversion.Converter(schema_lib.Schema((feature,)), False).convert(raw)
    column = block.columns["x"]
    if not isinstance(column, blocks.Lists):
        assert isinstance(column, np.ndarray)
        return column.tolist(), list(bad)
    values = column.values
    flat = (values.decode() if isinstance(values, blocks.Strings) else values).tolist()
    return [part.tolist() for part in np.split(np.array(flat), column.offsets[1:-1])], list(bad)


LISTS = [[1, 2], [], None, [3]]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(LISTS, pa.list_(pa.int64())),
        pa.array(LISTS, pa.large_list(pa.int32())),
        pa.array([None, [9], *LISTS, [8]], pa.list_(pa.int64())).slice(2, 4),
        pa.array(LISTS, pa.list_(pa.float64())),
    ],
)
def test_arrow_lists_are_taken_apart(cells: pa.Array) -> None:
    lengths, flat = list_cells.flatten(cells)
    assert (lengths.tolist(), flat.to_pylist()) == ([2, 0, 0, 1], [1, 2, 3])
    assert convert(cells, Feature("x", "int64", value_count=(0, 2)))[0] == [[1, 2], [], [], [3]]


@pytest.mark.parametrize(
    "cells, wanted",
    [
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (pa.array([1, None, 3]), [[1], [], [3]]),
        (pa.array([1.0, float("nan")]), [[1], []]),
        (pa.array([b"1", b"", b"3"], pa.binary()), [[1], [], [3]]),
        (pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], []]),
        (pa.nulls(2), [[], []]),
    ],
)
def test_other_cells_are_lists_too(cells: pa.Array | np.ndarray, wanted: list[list[int]]) -> None:
    assert convert(cells, Feature("x", "int64", value_count=(0, None)))[0] == wanted


@pytest.mark.parametrize(
    "dtype, lists, value, expected",
    [
        ("int64", [[1], [2, None]], "[2, null]", "a list of whole numbers, none of them missing"),
        ("int64", [[1], [2.5]], "[2.5]", "a list of whole numbers, none of them missing"),
        (
            "float32",
            [[1.5], [1e39, 1.0]],
            "[1e+39, 1.0]",
            "a list of numbers, none of them missing",
        ),
        ("float32", [[1.5], [float("nan")]], "[NaN]", "a list of numbers, none of them missing"),
        ("float32", [["1"], ["2", "tall"]], '["2", "tall"]', "a list of numbers, none"),
        (
            "string",
            [["a"], ["b", ""]],
            '["b", ""]',
            "a list of text in UTF-8, none of them missing",
        ),
        ("string", [[b"a"], [b"\xff"]], r'["\\xff"]', "a list of text in UTF-8, none of them"),
    ],
)
def test_a_list_with_a_bad_value_is_a_bad_row(
    dtype: str, lists: list[Any], value: str, expected: str
) -> None:
    kept, bad = convert(pa.array(lists), Feature("x", dtype, value_count=(0, 2)))
    assert len(kept) == 1
    assert [(row.row, row.column, row.value) for row in bad] == [(2, "x", value)]
    assert bad[0].expected.startswith(expected)


def test_lists_of_another_length_do_not_fit_a_shape() -> None:
    lists = pa.array([[1, 2], [3], None, [4, None], [5, 6]])
    kept, bad = convert(lists, Feature("x", "int64", (2,)))
    assert kept == [[1, 2], [5, 6]]
    assert [(row.row, row.value, row.expected) for row in bad] == [
        (2, "[3]", "a list of 2 whole numbers"),
        (3, "", "a list of 2 whole numbers"),
        (4, "[4, null]", "a list of 2 whole numbers"),
    ]
    assert convert(lists, Feature("x", "float32", (2,), 0.5))[0][1] == [0.5, 0.5]


@pytest.mark.parametrize(
    "cells, feature, sentence",
    [
        (
            pa.array([[1]]),
            Feature("x", "int64"),
            "'x' holds lists (list<item: int64>), the schema says one value.",
        ),
        (
            np.zeros((1, 2, 2)),
            Feature("x", "float32", value_count=(0, 1)),
            "'x' has shape (2, 2), the schema says lists",
        ),
        (
            pa.array([["a"]]),
            Feature("x", "string", (1,)),
            "gives 'x', which is text, the shape (1,). Give it a value_count",
        ),
        (
            pa.array([7]),
            Feature("x", "int64", (2,)),
            "a cell holds one value, the schema gives 'x' the shape (2,).",
        ),
    ],
)
def test_cells_of_another_form_are_refused(cells: Any, feature: Feature, sentence: str) -> None:
    with pytest.raises(errors.SchemaError) as caught:
        convert(cells, feature)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "values, feature",
    [
        ([[1, 2], [3], []], Feature("x", "int64", low=1, high=3, value_count=(0, 2))),
        ([[1.5, 2], [3]], Feature("x", "float32", low=1.5, high=3.0, value_count=(1, 2))),
        ([["b", "a"], ["b"]], Feature("x", "string", vocabulary=("a", "b"), value_count=(1, 2))),
        ([["b", "a"]] * 2, Feature("x", "string", vocabulary=("a", "b"), value_count=(2, 2))),
        ([["b"], None], Feature("x", "string", vocabulary=("b",), value_count=(0, 1))),
        ([[1, 2], [3, 4]], Feature("x", "int64", (2,), low=1, high=4)),
        ([[], []], Feature("x", "string", value_count=(0, 0))),
    ],
)
def test_lists_are_inferred(values: list[Any], feature: Feature) -> None:
    result = scan(values)
    assert result.schema.feature("x") == feature
    assert result.num_rows == len(values)
    assert scan(values, result.schema).schema == result.schema


@pytest.mark.parametrize(
    "first, later, value_count",
    [
        ([1, 2], [3], (1, 2)),
        ([1, 2], None, (0, 2)),
        (None, [1, 2, 3], (0, 3)),
        ([1], [2, 3], (1, 2)),
        (4, [2, 3], (1, 2)),
        ([1, 2], 4, (1, 2)),
    ],
)
def test_lists_may_show_after_many_rows(
    first: Any, later: Any, value_count: tuple[int, int]
) -> None:
    """A block has 8192 rows; the second one shows that the column is one of lists."""
    result = scan([first] * 8192 + [later] * 10)
    assert result.schema.feature("x").value_count == value_count
    found = result.statistics.column("x")
    assert isinstance(found, statistics.NumericStatistics)
    sizes = [(0 if v is None else np.size(v)) * n for v, n in ((first, 8192), (later, 10))]
    assert found.count == sum(sizes)
    assert scan([first] * 8192 + [later] * 10, result.schema).num_rows == 8202


def test_bad_lists_are_left_out_of_shape_and_statistics() -> None:
    values = [[1, 2], [3, None], [4, 5], [4, 4]]
    result = scan(values, bad_rows="skip")
    assert result.schema.feature("x") == Feature("x", "int64", (2,), low=1, high=5)
    assert [(row.row, row.value) for row in result.first_bad_rows] == [(2, "[3, null]")]
    with pytest.raises(errors.BadRowError) as caught:
        scan(values)
    assert str(caught.value).startswith(
        "rows, row 2, column 'x': expected a list of numbers, none of them missing or empty, found '[3, null]'."
    )


def test_statistics_of_lists_count_values_and_rows_without() -> None:
    found = scan([["a", "b"], [], ["a"]]).statistics.column("x")
    assert found == statistics.StringStatistics(
        "x", "string", 3, 1, 2, (("a", 2), ("b", 1)), 1.0, 1
    )


@pytest.mark.parametrize("role", ["label", "weight"])
def test_label_and_weight_are_no_lists(role: str) -> None:
    rows = [{"x": 1, "y": i % 2, role: [1] * i} for i in range(3)]
    names = {"label_column": "y", f"{role}_column": role}
    source = python_objects.from_object(rows, name="rows", **names)
    with pytest.raises(
        errors.SchemaError, match=f"rows: the {role} '{role}' holds lists .*one value a row"
    ):
        inference.scan(source, settings_lib.InputSettings(train_data="rows"))


@pytest.mark.parametrize(
    "cells, feature",
    [
        (pa.array([[]] * 4, pa.list_(pa.int64())), Feature("x", "int64", value_count=(0, 0))),
        (pa.array([None] * 4, pa.int64()), Feature("x", "int64", default=0)),
    ],
)
def test_a_column_without_a_number_has_no_range(cells: pa.Array, feature: Feature) -> None:
    table = pa.table({"x": cells, "y": [0, 1, 0, 1]})
    source = python_objects.from_object(table, "y", name="rows")
    found = inference.scan(source, settings_lib.InputSettings(train_data="rows"))
    assert found.schema.feature("x") == feature
    assert schema_proto.from_text(schema_proto.to_text(found.schema), "s") == found.schema
