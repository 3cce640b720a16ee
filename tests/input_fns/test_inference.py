from collections.abc import Callable
import csv
import logging
import pathlib

import numpy as np
import pytest

from input_fns import bad_rows as bad_rows_lib
from input_fns import csv_files, errors, inference
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources, statistics, trackers

Scan = Callable[..., inference.ScanResult]


@pytest.fixture
def scan(
    write_csv: Callable[..., str], make_settings: Callable[..., settings_lib.InputSettings]
) -> Scan:
    """Scans the lines of a file."""

    def run(
        lines: list[str] | str,
        schema: schema_lib.Schema | None = None,
        writer: bad_rows_lib.Writer | None = None,
        **changes: object,
    ) -> inference.ScanResult:
        settings = make_settings(write_csv(lines), **changes)
        source = sources.open_source(settings, "train", schema)
        return inference.scan(source, settings, schema, writer)

    return run


def numbers(values: str, **changes: object) -> list[str]:
    """Lines of a column `x` with a label that alternates."""
    return ["x,y"] + [f"{value},{'ab'[i % 2]}" for i, value in enumerate(values.split(";"))]


def x_of(result: inference.ScanResult) -> schema_lib.Feature:
    return result.schema.feature("x")


def test_types_ranges_vocabularies_and_the_label_are_inferred(
    scan: Scan, census_lines: list[str]
) -> None:
    result = scan(census_lines, label_column="income", weight_column="fnlwgt")
    ages = np.array([int(line.split(",")[0]) for line in census_lines[1:]])
    age = result.schema.feature("age")
    assert age == schema_lib.Feature("age", "int64", low=ages.min(), high=ages.max())
    assert result.schema.feature("gender").vocabulary == ("Female", "Male")
    assert result.schema.label_names == ("<=50K", ">50K")
    assert result.schema.weight is not None and result.schema.weight.name == "fnlwgt"
    assert "fnlwgt" not in [feature.name for feature in result.schema.features]
    found = result.statistics.column("age")
    assert isinstance(found, statistics.NumericStatistics)
    np.testing.assert_allclose((found.mean, found.stddev), (ages.mean(), ages.std()))
    assert result.num_rows == 1000


def test_the_result_does_not_depend_on_the_blocks(
    scan: Scan, census_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scan(census_lines, label_column="income")
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 5000)
    parts = scan(census_lines, label_column="income")
    assert parts.schema == whole.schema
    for a, b in zip(parts.statistics.columns, whole.statistics.columns, strict=True):
        if isinstance(a, statistics.NumericStatistics):
            assert isinstance(b, statistics.NumericStatistics)
            np.testing.assert_allclose((a.mean, a.stddev), (b.mean, b.stddev), rtol=1e-9)
        else:
            assert a == b


def test_a_column_of_whole_numbers_that_meets_a_fraction_is_float32(
    scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 100)
    lines = numbers(";".join(["1"] * 100 + ["3.5"] + ["2"] * 100))
    assert x_of(scan(lines)) == schema_lib.Feature("x", "float32", low=1.0, high=3.5)


@pytest.mark.parametrize(
    "values, dtype, default",
    [("1;;2;4", "int64", 2), ("1.5;;2.5", "float32", 2.0), ("a;;b", "string", b"")],
)
def test_a_column_with_empty_cells_has_a_default(
    scan: Scan, values: str, dtype: str, default: object
) -> None:
    feature = x_of(scan(numbers(values)))
    assert (feature.dtype, feature.default) == (dtype, default)


@pytest.mark.parametrize("value, dtype", [("2", "int64"), ("a", "string")])
def test_a_column_that_begins_with_a_block_of_empty_cells_has_a_default(
    scan: Scan, monkeypatch: pytest.MonkeyPatch, value: str, dtype: str
) -> None:
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 100)
    result = scan(numbers(";" * 200 + ";".join([value] * 200)))
    assert x_of(result).dtype == dtype and x_of(result).default is not None
    found = result.statistics.column("x")
    assert (found.missing, found.count) == (200, 200)


def test_a_column_that_was_always_filled_is_required(scan: Scan) -> None:
    schema = scan(numbers("1;2")).schema
    with pytest.raises(
        errors.BadRowError, match="row 2, column 'x': .* not an empty cell, found ''"
    ):
        scan(numbers("1;"), schema)


def test_few_words_in_a_numeric_column_are_bad_rows_and_many_make_it_text(scan: Scan) -> None:
    with pytest.raises(errors.BadRowError, match="row 11, column 'x': expected a number, .*'n/a'"):
        scan(numbers("1;" * 10 + "n/a"))
    assert x_of(scan(numbers("1;2;3;n/a"))).vocabulary == ("1", "2", "3", "n/a")


def test_too_many_different_texts_are_no_vocabulary(
    scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "MAX_DISTINCT", 5)
    assert x_of(scan(numbers("a;b;c;d;e;f"))).vocabulary is None
    assert x_of(scan(numbers("a;b;c;d;e;e"))).vocabulary == ("a", "b", "c", "d", "e")


def test_a_column_that_is_always_empty_is_text(
    scan: Scan, caplog: pytest.LogCaptureFixture
) -> None:
    assert x_of(scan(numbers(";;"))) == schema_lib.Feature("x", "string", default=b"")
    assert "Column x is empty in every row" in caplog.text


def label_of(scan: Scan, values: list[str], **changes: object) -> schema_lib.Feature:
    lines = ["x,y"] + [f"{i},{value}" for i, value in enumerate(values)]
    label = scan(lines, **changes).schema.label
    assert label is not None
    return label


@pytest.mark.parametrize(
    "values, task, expected",
    [
        (["b", "a"], "auto", ("a", "b")),
        (["1", "0", "2"], "auto", ("0", "1", "2")),
        (["1", "2", "10"], "auto", ("1", "2", "10")),
        (["-1", "1"], "auto", ("-1", "1")),
        (["0.5", "1.5"], "classification", ("0.5", "1.5")),
    ],
)
def test_a_label_of_classes(
    scan: Scan, values: list[str], task: str, expected: tuple[str, ...]
) -> None:
    label = label_of(scan, values, task=task)
    schema = schema_lib.Schema((), (label,))
    assert (schema.task, schema.label_names) == ("classification", expected)
    assert label.categorical == (expected[0] == "0")


@pytest.mark.parametrize(
    "values, task",
    [
        (["0.5", "1", "2"], "auto"),
        ([str(i * 1000) for i in range(21)], "auto"),
        ([str(i) for i in range(1001)], "auto"),
        (["0", "1"], "regression"),
    ],
)
def test_a_label_of_amounts(scan: Scan, values: list[str], task: str) -> None:
    label = label_of(scan, values, task=task)
    assert label == schema_lib.Feature(
        "y", "float32", low=min(map(float, values)), high=max(map(float, values))
    )


def test_a_label_that_cannot_be_learned_is_refused(
    scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.InputError, match="label 'y' is 'a' in every row"):
        label_of(scan, ["a", "a"])
    with pytest.raises(
        errors.InputError, match="--task=regression needs a label of numbers; .*'a'"
    ):
        label_of(scan, ["a", "b"], task="regression")
    monkeypatch.setattr(trackers, "MAX_DISTINCT", 3)
    with pytest.raises(errors.InputError, match="'y' has more than 3 different values"):
        label_of(scan, list("abcd"))


def test_a_row_without_label_or_weight_is_bad(scan: Scan) -> None:
    with pytest.raises(errors.BadRowError, match="row 2, column 'y': expected a label, not an emp"):
        label_of(scan, ["a", "", "b"])
    for weight in ("", "-1", "heavy"):
        with pytest.raises(
            errors.BadRowError, match="row 2, column 'w': .*a weight, a number >= 0"
        ):
            scan(["x,w,y", "1,1,a", f"2,{weight},b"], weight_column="w")


def test_the_error_names_place_value_and_fix(scan: Scan) -> None:
    schema = scan(numbers("1;2")).schema
    with pytest.raises(errors.BadRowError) as caught:
        scan(["y,x", "a,1", "b,two"], schema)
    assert (caught.value.row, caught.value.column, caught.value.value) == (2, "x", "two")
    assert str(caught.value).endswith(
        "data.csv, row 2, column 'x': expected a whole number, found 'two'. Correct the row, or "
        "pass --bad_rows=skip to leave such rows out and keep them in bad_rows.csv."
    )


def test_a_label_outside_the_vocabulary_names_place_and_value(scan: Scan) -> None:
    schema = scan(numbers("1;2")).schema
    with pytest.raises(
        errors.BadRowError, match="row 1, column 'y': expected one of 'a', 'b', fou"
    ):
        scan(["x,y", "1,c"], schema)


def test_a_feature_outside_the_vocabulary_or_range_is_no_bad_row(scan: Scan) -> None:
    schema = scan(["x,z,y", "1,p,a", "2,q,b"]).schema
    assert scan(["x,z,y", "100,new,a"], schema).num_rows == 1


def test_skipped_rows_are_counted_and_kept(scan: Scan, tmp_path: pathlib.Path) -> None:
    lines = numbers("1;" * 20 + "one;2")
    lines[3:3] = ["ragged", "1,2,3"]
    lines.append("7,")
    with bad_rows_lib.Writer(tmp_path / "bad_rows.csv") as writer:
        result = scan(lines, writer=writer, bad_rows="skip")
    assert (result.num_rows, result.bad_rows, writer.count) == (21, 4, 4)
    assert [bad.row for bad in result.first_bad_rows] == [3, 4, 23, 25]
    assert x_of(result) == schema_lib.Feature("x", "int64", low=1, high=2)
    with open(tmp_path / "bad_rows.csv", encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    assert [(row["row"], row["column"], row["value"]) for row in kept] == [
        ("3", "", "ragged"),
        ("4", "", "1,2,3"),
        ("23", "x", "one"),
        ("25", "y", ""),
    ]
    assert kept[2]["reason"].startswith("expected a number")
    assert kept[2]["raw_row"] == "one,a"


def test_the_examples_of_bad_rows_are_few(scan: Scan) -> None:
    result = scan(["x,y", "1,a", "1,b"] + ["ragged"] * 50, bad_rows="skip")
    assert (result.bad_rows, len(result.first_bad_rows)) == (50, 10)


def test_ragged_rows_are_refused_with_their_text(scan: Scan) -> None:
    with pytest.raises(
        errors.BadRowError, match="data.csv, row 2: expected 2 columns as in the he"
    ):
        scan(["x,y", "1,a", "2,b,c"])


def test_text_that_is_not_utf8_is_refused_with_its_place(
    write_csv: Callable[..., str], make_settings: Callable[..., settings_lib.InputSettings]
) -> None:
    settings = make_settings(write_csv("x,y\nZürich,a\nGenf,b\n".encode("latin-1")))
    source = sources.open_source(settings, "train")
    with pytest.raises(
        errors.BadRowError, match=r"row 1, column 'x': expected text in UTF-8, .*xfc"
    ):
        inference.scan(source, settings)


def test_no_usable_row_is_refused(scan: Scan) -> None:
    with pytest.raises(errors.InputError, match="None of the 2 rows of .*data.csv fits. The first"):
        scan(["x,y", "1", "2"], bad_rows="skip")


def test_columns_must_be_those_of_the_schema(scan: Scan) -> None:
    schema = scan(numbers("1;2")).schema
    with pytest.raises(errors.SchemaError, match="data.csv misses the column 'x'"):
        scan(["z,y", "1,a"], schema)
    with pytest.raises(errors.SchemaError, match="data.csv has the column 'z', which the schema"):
        scan(["x,z,y", "1,1,a"], schema)


def test_files_must_have_the_same_columns(
    write_csv: Callable[..., str], make_settings: Callable[..., settings_lib.InputSettings]
) -> None:
    files = [write_csv("x,y\n1,a\n", "1.csv"), write_csv("y,z\nb,1\n", "2.csv")]
    settings = make_settings(",".join(files))
    with pytest.raises(errors.SchemaError, match="2.csv misses the column 'x'"):
        inference.scan(sources.open_source(settings, "train"), settings)


def test_a_schema_without_the_classes_is_completed(scan: Scan) -> None:
    schema = schema_lib.Schema(
        (schema_lib.Feature("x", "float32"),), (schema_lib.Feature("y", "string"),)
    )
    result = scan(numbers("1;2"), schema)
    assert result.schema.label_names == ("a", "b")
    assert result.schema.features == schema.features


def test_a_task_that_contradicts_the_schema_is_refused(scan: Scan) -> None:
    schema = scan(numbers("1;2")).schema
    with pytest.raises(
        errors.SchemaError, match="--task=regression, but the schema's label 'y' is"
    ):
        scan(numbers("1;2"), schema, task="regression")


def test_the_reading_of_the_label_is_logged(scan: Scan, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="input_fns"):
        label_of(scan, ["1.5", "2"])
    assert "The label y is learned as an amount (regression)." in caplog.text
