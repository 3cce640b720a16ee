import csv
import pathlib

import pytest

from input_fns import bad_rows, blocks

BAD = blocks.BadRow("f.csv", 3, "age", "old", "a number", "old,Clerk\nx")


def test_rows_are_written_and_the_file_renamed(tmp_path: pathlib.Path) -> None:
    with bad_rows.Writer(tmp_path / "bad_rows.csv") as writer:
        writer.add(BAD)
        assert not (tmp_path / "bad_rows.csv").exists()
    with open(tmp_path / "bad_rows.csv", encoding="utf-8", newline="") as file:
        header, row = csv.reader(file)
    assert tuple(header) == bad_rows.COLUMNS
    assert row == ["f.csv", "3", "age", "old", "expected a number", "old,Clerk\nx"]
    assert writer.count == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_no_bad_rows_leave_no_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bad_rows.csv").write_text("of an earlier run")
    with bad_rows.Writer(tmp_path / "bad_rows.csv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_nothing_half_written(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bad_rows.csv").write_text("of an earlier run")
    with pytest.raises(KeyError), bad_rows.Writer(tmp_path / "bad_rows.csv") as writer:
        writer.add(BAD)
        raise KeyError
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of an earlier run"]
