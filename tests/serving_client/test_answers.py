"""Answers as lines of JSON and CSV."""

import datetime
import decimal

import numpy as np
import pytest

from serving_client import answers, errors

ANSWER = {"score": np.float32([0.1, 2]), "text": b"caf\xc3\xa9", "bad": b"\xff", "n": np.int64(3)}


def test_json_answers_have_short_floats_and_text():
    lines = answers.lines("jsonl")
    assert lines.text(1, {}, ANSWER) == (
        '{"row": 1, "outputs": {"score": [0.1, 2.0], "text": "café", "bad": "\\\\xff", "n": 3}}\n'
    )
    others = {"c": np.complex64([1j]), "s": np.array([b"x"], object), "h": np.float16(0.1)}
    assert lines.text(2, {}, others) == (
        '{"row": 2, "outputs": {"c": [[0.0, 1.0]], "s": ["x"], "h": 0.1}}\n'
    )


def test_csv_answers_have_a_column_an_element_and_one_header():
    lines = answers.lines("csv")
    assert lines.text(1, {}, ANSWER) == ("row,score_0,score_1,text,bad,n\n1,0.1,2.0,café,\\xff,3\n")
    assert lines.text(2, {}, ANSWER).startswith("2,0.1,")


def test_csv_goes_on_below_a_header_that_is_written():
    assert answers.lines("csv", ["row", "a_0", "a_1"]).text(7, {}, {"a": [1, 2]}) == "7,1,2\n"


def test_keys_stand_before_the_outputs():
    key = {"id": "x-1", "day": datetime.date(2020, 1, 2), "price": decimal.Decimal("1.50")}
    assert answers.lines("jsonl").text(1, key, {"a": 1}) == (
        '{"row": 1, "key": {"id": "x-1", "day": "2020-01-02", "price": "1.50"}, '
        '"outputs": {"a": 1}}\n'
    )
    assert answers.lines("csv").text(1, key, {"a": 1}) == (
        "row,id,day,price,a\n1,x-1,2020-01-02,1.50,1\n"
    )


@pytest.mark.parametrize("key, output", [("a", "a"), ("row", "a"), ("id", "row"), ("a_0", "a")])
def test_column_that_would_stand_twice_is_refused(key, output):
    with pytest.raises(errors.InputError, match="The answers would have two columns '(a|row|a_0)'"):
        answers.lines("csv").text(1, {key: "1"}, {output: [1] if key == "a_0" else 1})


def test_csv_rows_of_different_widths_are_refused():
    lines = answers.lines("csv")
    lines.text(1, {}, {"a": [1, 2]})
    with pytest.raises(errors.InputError) as caught:
        lines.text(2, {}, {"a": [1]})
    assert str(caught.value) == (
        "Row 2 has other output columns (row, a_0) than the first row (row, a_0, a_1); write .jsonl "
        "instead."
    )


def test_file_to_write_is_csv_or_json_lines():
    assert answers.file_format("a.b.csv.gz") == "csv"
    with pytest.raises(errors.InputError) as caught:
        answers.file_format("out.parquet")
    assert str(caught.value) == (
        "'out.parquet' does not end in .csv or .jsonl (or .csv.gz, .jsonl.gz); answers are written in "
        "no other format."
    )
