"""Rows in, answers out: files, formats and what is wrong with them."""

import gzip
import io
import json

import numpy as np
import pytest

from serving_client import errors, rows


def read(path, text, wanted=None):
    """Returns the values of all rows of a file with this text."""
    if str(path).endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return [(row.number, dict(row.values)) for row in rows.read(str(path), wanted)]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_csv_gives_text_by_column(tmp_path, name):
    text = '\ufeffage,job\n39,"a, ""b"""\n\n40,\n'
    assert read(tmp_path / name, text) == [
        (1, {"age": "39", "job": 'a, "b"'}),
        (2, {"age": "40", "job": ""}),
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_json_lines_give_values_and_b64_bytes(tmp_path, name):
    text = '{"x": [[1, 2.5]], "raw": {"b64": "/wA="}}\n\n{"raw": [{"b64": "AA=="}], "y": null}\n'
    assert read(tmp_path / name, text) == [
        (1, {"x": [[1, 2.5]], "raw": b"\xff\x00"}),
        (2, {"raw": [b"\x00"], "y": None}),
    ]


def test_standard_input_needs_a_format(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n1\n"))
    assert [row.values for row in rows.read("-", "csv")] == [{"a": "1"}]
    with pytest.raises(errors.InputError) as caught:
        list(rows.read("-"))
    assert str(caught.value) == (
        "'-' does not end in .csv or .jsonl (or .csv.gz, .jsonl.gz); say what it is with --format."
    )


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        ("a.csv", "", "{path} is empty; expected a header line with column names."),
        (
            "a.csv",
            "a,b,a,b,c\n1,2,3,4,5\n",
            "{path} names 'a', 'b' more than once in its header. Rename or remove the columns that "
            "repeat.",
        ),
        ("a.csv", "a,b\n1,2\n3\n", "{path}, row 2: 1 values for 2 columns."),
        ("a.csv", 'a\n"x" y\n', "{path}, line 2: ',' expected after '\"'."),
        ("a.jsonl", '{"a": 1}\n{"a"\n', "{path}, row 2: not JSON: Expecting ':' delimiter"),
        (
            "a.jsonl",
            "[1]\n",
            "{path}, row 1: expected an object such as {{\"age\": 39}}; got '[1]'.",
        ),
        ("a.jsonl", '{"a": {"b64": "?"}}\n', "{path}, row 1: bad b64 value: "),
    ],
)
def test_bad_row_is_named_by_file_and_place(tmp_path, name, text, sentence):
    with pytest.raises(errors.InputError) as caught:
        read(tmp_path / name, text)
    assert str(caught.value).startswith(sentence.format(path=tmp_path / name))


def test_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(errors.InputError) as caught:
        list(rows.read(str(path)))
    assert str(caught.value) == f"{path} cannot be read: No such file or directory."
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(errors.InputError, match="is not UTF-8 text"):
        list(rows.read(str(path)))
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(b"a\n1\n")
    with pytest.raises(errors.InputError, match="is not a whole gzip file"):
        list(rows.read(str(packed)))
    packed.write_bytes(gzip.compress(b"a\n1\n" * 1000)[:-10])
    with pytest.raises(errors.InputError, match="is not a whole gzip file"):
        list(rows.read(str(packed)))


ANSWER = {"score": np.float32([0.1, 2]), "text": b"caf\xc3\xa9", "bad": b"\xff", "n": np.int64(3)}


def test_json_answers_have_short_floats_and_text(tmp_path):
    path = tmp_path / "out.jsonl"
    with rows.open_output(str(path)) as write:
        write(1, ANSWER)
        write(2, {"c": np.complex64([1j]), "s": np.array([b"x"], object), "h": np.float16(0.1)})
        assert not path.exists()  # renamed at the end
    assert path.read_text(encoding="utf-8") == (
        '{"row": 1, "outputs": {"score": [0.1, 2.0], "text": "café", "bad": "\\\\xff", "n": 3}}\n'
        '{"row": 2, "outputs": {"c": [[0.0, 1.0]], "s": ["x"], "h": 0.1}}\n'
    )


def test_csv_answers_have_a_column_an_element(tmp_path):
    path = tmp_path / "out.csv"
    with rows.open_output(str(path)) as write:
        write(1, ANSWER)
    assert path.read_text(encoding="utf-8") == (
        "row,score_0,score_1,text,bad,n\n1,0.1,2.0,café,\\xff,3\n"
    )


def test_compressed_answers(tmp_path):
    path = tmp_path / "out.jsonl.gz"
    with rows.open_output(str(path)) as write:
        write(1, {"a": 1})
    assert json.loads(gzip.decompress(path.read_bytes())) == {"row": 1, "outputs": {"a": 1}}


def test_csv_rows_of_different_widths_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(errors.InputError) as caught:
        with rows.open_output(str(tmp_path / "out.csv")) as write:
            write(1, {"a": [1, 2]})
            write(2, {"a": [1]})
    assert str(caught.value) == (
        "Row 2 has other output columns (row, a_0) than the first row (row, a_0, a_1); write .jsonl "
        "instead."
    )
    assert list(tmp_path.iterdir()) == []


def test_failed_work_keeps_the_old_file(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        with rows.open_output(str(path)) as write:
            write(1, {"a": 1})
            raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_does_not_exist_is_named(tmp_path):
    path = tmp_path / "none" / "out.jsonl"
    with pytest.raises(errors.InputError) as caught:
        with rows.open_output(str(path)):
            pass
    assert str(caught.value) == f"{path} cannot be written: No such file or directory."


def test_full_disk_is_the_works_fault(tmp_path):
    with pytest.raises(errors.ClientError) as caught:
        with rows.open_output(str(tmp_path / "out.jsonl")):
            raise OSError(28, "No space left on device")
    assert not isinstance(caught.value, errors.RequestError)
    assert str(caught.value).endswith("out.jsonl cannot be written: No space left on device.")
