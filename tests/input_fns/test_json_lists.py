"""Lists in JSON lines: their type across blocks, and blocks in which some or all rows are bad."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

from input_fns import blocks, json_lines


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block a line or two."""
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 30)


def read(path: pathlib.Path, lines: list[Any]) -> list[blocks.RawBlock]:
    """The blocks of a file of these values, or of text that is none."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file = path / "a.jsonl"
    file.write_text("".join(f"{text}\n" for text in texts))
    return list(json_lines.JsonLinesFormat().read(blocks.Shard(str(file)), ("a",)))


def values(found: list[blocks.RawBlock]) -> list[Any]:
    cells = [block.cells["a"] for block in found]
    return [v for c in cells for v in (c.tolist() if isinstance(c, np.ndarray) else c.to_pylist())]


@pytest.mark.parametrize(
    "lists",
    [
        [[1, 2], [3], [], [4, 5, 6, 7, 8, 9]],
        [[], [], [], ["one", "two"], ["three"]],
        [[1, 2, 3, 4, 5, 6], [1.5], [7, 8, 9], [0.25, 3]],
        [["2020-01-01", "2021-01-01"], ["no date"], [], ["2022-02-02"]],
        [[True, False], [True]],
        [None, [1, 2, 3, 4, 5], None],
    ],
)
def test_lists_are_read_across_blocks(tmp_path: pathlib.Path, lists: list[Any]) -> None:
    found = read(tmp_path, [{"a": value} for value in lists])
    assert len(found) > 1
    assert values(found) == lists
    assert not any(block.misshapen for block in found)


@pytest.mark.parametrize(
    "lines, kept, bad",
    [
        (
            ["no json", "neither", {"a": [1, 2]}, {"a": [3]}],
            [[1, 2], [3]],
            [(1, "", "a JSON object"), (2, "", "a JSON object")],
        ),
        (
            [{"a": [1, 2]}, {"a": "text"}, {"a": [1, "x"]}, {"a": {"b": 1}}, {"a": [7]}],
            [[1, 2], [7]],
            [(i, "a", "a list of numbers") for i in (2, 3, 4)],
        ),
        (
            [{"a": ["x"]}, {"a": [1, 2]}, {"a": ["y", "z"]}],
            [["x"], ["y", "z"]],
            [(2, "a", "a list of text")],
        ),
        ([{"a": 1}, {"a": [1, 2, 3]}, {"a": 3}], [b"1", b"3"], [(2, "a", "one value")]),
    ],
)
def test_bad_lists_are_told_apart(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, lines: Any, kept: Any, bad: Any
) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 1 << 20)
    found = read(tmp_path, lines)
    assert values(found) == kept
    assert [(b.row, b.column, b.expected) for part in found for b in part.misshapen] == bad


def test_whole_numbers_stay_whole_beside_a_bad_row(tmp_path: pathlib.Path) -> None:
    found = read(tmp_path, [{"a": [1, 2, 3, 4, 5, 6]}, "no json", {"a": [7]}])
    assert values(found) == [[1, 2, 3, 4, 5, 6], [7]]
    kinds = [
        b.cells["a"].dtype if isinstance(b.cells["a"], np.ndarray) else b.cells["a"].type
        for b in found
        if len(b.rows)
    ]
    assert kinds and all("int64" in str(kind) for kind in kinds)
