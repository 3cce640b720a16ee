"""Rows of files: formats and what is wrong with them."""

import gzip
import io
import json

import pyarrow as pa
from pyarrow import parquet
import pytest

from serving_client import errors, rows


def read(path, text, wanted=None):
    """Returns the values of all rows of a file with this text."""
    if str(path).endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return [(row.number, dict(row.values)) for row in rows.RowFile(str(path), wanted)]


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
    assert [row.values for row in rows.RowFile("-", "csv")] == [{"a": "1"}]
    with pytest.raises(errors.InputError) as caught:
        rows.RowFile("-")
    assert str(caught.value) == (
        "'-' does not end in .csv, .jsonl (or .csv.gz, .jsonl.gz) or .parquet; say what it is with "
        "--format."
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
        ("a.csv", 'a\n"x" y\n', "{path}, line 2: ',' expected after '\"'."),
    ],
)
def test_file_that_cannot_be_told_apart_into_rows_is_named(tmp_path, name, text, sentence):
    with pytest.raises(errors.InputError) as caught:
        read(tmp_path / name, text)
    assert str(caught.value).startswith(sentence.format(path=tmp_path / name))


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        ("a.csv", "a,b\n1,2\n3\n4,5\n", "{path}, row 2: 1 values for 2 columns."),
        (
            "a.jsonl",
            '{"a": 1}\n{"a"\n{"a": 2}\n',
            "{path}, row 2: not JSON: Expecting ':' delimiter",
        ),
        (
            "a.jsonl",
            '{"a": 1}\n[1]\n{"a": 2}\n',
            "{path}, row 2: expected an object such as {{\"age\": 39}}; got '[1]'.",
        ),
        ("a.jsonl", '{"a": 1}\n{"a": {"b64": "?"}}\n{"a": 2}\n', "{path}, row 2: bad b64 value: "),
    ],
)
def test_bad_row_is_named_by_file_and_place_and_the_next_are_read(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    first, bad, last = rows.RowFile(str(tmp_path / name))
    assert (first.problem, last.problem, len(last.values)) == ("", "", len(first.values))
    assert (bad.number, dict(bad.values)) == (2, {})
    assert bad.problem.startswith(sentence.format(path=tmp_path / name))


def test_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(errors.InputError) as caught:
        list(rows.RowFile(str(path)))
    assert str(caught.value) == f"{path} cannot be read: No such file or directory."
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(errors.InputError, match="is not UTF-8 text"):
        list(rows.RowFile(str(path)))
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(b"a\n1\n")
    with pytest.raises(errors.InputError, match="is not a whole gzip file"):
        list(rows.RowFile(str(packed)))
    packed.write_bytes(gzip.compress(b"a\n1\n" * 1000)[:-10])
    with pytest.raises(errors.InputError, match="is not a whole gzip file"):
        list(rows.RowFile(str(packed)))


def test_bytes_are_written_as_they_are_read(tmp_path):
    values = {"raw": b"\xff\x00", "several": [b"\x00", "a"], "n": 1}
    (tmp_path / "a.jsonl").write_text(json.dumps(rows.encode_b64(values)))
    (row,) = rows.RowFile(str(tmp_path / "a.jsonl"))
    assert row.values == values


def parquet_file(path, columns, **options):
    """Writes a Parquet file."""
    parquet.write_table(pa.table(columns), path, **options)
    return rows.RowFile(str(path))


def test_parquet_gives_typed_values_in_order(tmp_path):
    columns = {"n": list(range(3000)), "raw": [b"\xff"] * 3000, "x": [[1.5, None]] * 3000}
    file = parquet_file(tmp_path / "a.parquet", columns, row_group_size=700)
    found = list(file)
    assert [(row.number, row.values["n"]) for row in found] == [(n + 1, n) for n in range(3000)]
    assert found[-1] == rows.Row(3000, {"n": 2999, "raw": b"\xff", "x": [1.5, None]}, is_text=False)


def test_what_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(errors.InputError, match="a.parquet is no Parquet file: "):
        list(rows.RowFile(str(tmp_path / "a.parquet")))
    with pytest.raises(errors.InputError, match="so --input must be a plain file; got '-'."):
        rows.RowFile("-", "parquet")
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(errors.InputError, match="names 'a' more than once among its columns"):
        list(rows.RowFile(str(tmp_path / "twice.parquet")))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_file_says_how_much_of_it_is_read(tmp_path, name):
    path = tmp_path / name
    if name == "a.parquet":
        file = parquet_file(path, {"a": list(range(50_000))})
    else:
        data = b"a\n" + b"".join(b"%d\n" % (n * 7919 % 50_000) for n in range(50_000))
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        file = rows.RowFile(str(path))
    assert file.fraction() is None
    found = iter(file)
    for _ in range(25_000):
        next(found)
    assert 0.4 < file.fraction() < 0.8
    for _ in range(25_000):
        next(found)
    assert file.fraction() == 1.0
