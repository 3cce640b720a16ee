import datetime
import decimal
from typing import Any
import uuid

import numpy as np
import pytest

from input_fns import errors, in_memory


@pytest.mark.parametrize(
    "values, kind, cells",
    [
        ([None, None], "null", [None, None]),
        ([True, None, np.False_], "bool", [True, None, False]),
        ([1, None, np.int16(2), True], "int64", [1, None, 2, 1]),
        ([1, 2.5, None], "double", [1.0, 2.5, None]),
        ([2**70, 1], "double", [2.0**70, 1.0]),
        ([decimal.Decimal("3"), decimal.Decimal("4E2")], "int64", [3, 400]),
        ([decimal.Decimal("3.00"), 4], "double", [3.0, 4.0]),
        (["é", None, b"y", "007"], "string", ["é", None, "y", "007"]),
        (["x", float("nan")], "string", ["x", None]),
        ([b"\xff", "x"], "large_binary", [b"\xff", b"x"]),
        ([1, "x", 2.5, True, None], "binary", [b"1", b"x", b"2.5", b"1", None]),
        (
            [datetime.date(2024, 2, 3), datetime.datetime(2024, 2, 3, 4, 5)],
            "string",
            ["2024-02-03", "2024-02-03T04:05:00"],
        ),
        ([datetime.time(4, 5), uuid.UUID(int=1)], "string", ["04:05:00", str(uuid.UUID(int=1))]),
        ([np.array(5), np.array(6)], "int64", [5, 6]),
    ],
)
def test_values_become_typed_cells(values: list[Any], kind: str, cells: list[Any]) -> None:
    found = in_memory.from_values("t", "x", values)
    assert (str(found.type), found.to_pylist()) == (kind, cells)


def test_what_pandas_has_for_nothing_is_missing() -> None:
    pandas = pytest.importorskip("pandas")
    found = in_memory.from_values("t", "x", ["a", pandas.NA, pandas.NaT])
    assert found.to_pylist() == ["a", None, None]


@pytest.mark.parametrize(
    "values, shape, dtype",
    [
        ([[1, 2], (3, 4)], (2, 2), np.int64),
        ([np.zeros(3), [1, 2, 3]], (2, 3), np.float32),
        ([np.full((2, 2), 255, np.uint8)] * 3, (3, 2, 2), np.float32),
    ],
)
def test_lists_and_arrays_are_stacked(
    values: list[Any], shape: tuple[int, ...], dtype: type
) -> None:
    found = in_memory.from_values("t", "x", values)
    assert (found.shape, found.dtype) == (shape, dtype)
    assert found.max() == (1 if len(shape) == 3 else np.max(values))


@pytest.mark.parametrize(
    "values, sentence",
    [
        (
            [[[1], [2, 3]]],
            "holds arrays or lists of different shapes (lists of different lengths).",
        ),
        ([[1], 2], "holds arrays or lists of different shapes ((1,), ())."),
        (
            [np.zeros((2, 2)), np.zeros((2, 3))],
            "holds arrays or lists of different shapes ((2, 2), (2, 3)).",
        ),
    ],
)
def test_what_is_no_list_and_cannot_be_stacked_is_refused(values: list[Any], sentence: str) -> None:
    with pytest.raises(errors.SchemaError) as raised:
        in_memory.from_values("t", "x", values)
    assert str(raised.value).startswith(f"t: column 'x' {sentence}")


@pytest.mark.parametrize(
    "array, kind",
    [
        (np.array([1, 2], ">i2"), "int16"),
        (np.array([1, 2], np.float16), "float"),
        (np.array([1, 2], np.longdouble), "float"),
        (np.array(["a", "b"]), "string"),
        (np.array([b"a", b"b"]), "string"),
        (np.array(["a", None], object), "string"),
        (np.array([True, False]), "bool"),
    ],
)
def test_arrays_of_rank_1_become_typed_cells(array: np.ndarray, kind: str) -> None:
    assert str(in_memory.from_array("t", "x", array).type) == kind


def test_large_rows_come_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "_BLOCK_BYTES", 1000)
    arrays = {"x": np.arange(400, dtype=np.uint8).reshape(10, 5, 8), "y": np.arange(10)}
    in_memory.check_arrays("t", arrays)
    read = list(in_memory.to_blocks("t", arrays, ("x", "y"), first_row=11))
    assert [block.rows.tolist() for block in read[:2]] == [[11, 12, 13], [14, 15, 16]]
    pixels = np.concatenate([block.cells["x"] for block in read])
    np.testing.assert_array_equal(pixels, arrays["x"].astype(np.float32) / np.float32(255))
    assert [y for block in read for y in block.cells["y"].to_pylist()] == list(range(10))


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2], [3]],
        [[1, 2], None, []],
        [["a"], ["b"]],
        [["a", "b"], ["c"], ()],
        [[0.5], [None, 1.5]],
        [[], []],
        [np.array([1, 2]), np.array([3])],
    ],
)
def test_lists_of_other_lengths_and_of_text_stay_lists(values: list[Any]) -> None:
    found = in_memory.from_values("t", "x", values)
    wanted = [None if value is None else list(value) for value in values]
    assert [value or None for value in found.to_pylist()] == [value or None for value in wanted]


def test_numbers_beside_text_in_lists_are_text() -> None:
    found = in_memory.from_values("t", "x", [[1, "a"], [b"\xff"]])
    assert found.to_pylist() == [[b"1", b"a"], [b"\xff"]]
