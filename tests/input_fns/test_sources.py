from collections.abc import Callable

import pytest

from input_fns import csv_files, errors
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

MakeSettings = Callable[..., settings_lib.InputSettings]


def test_a_header_without_the_label_lists_its_columns(
    write_csv: Callable[..., str], make_settings: MakeSettings
) -> None:
    path = write_csv("a,b\n1,2\n")
    with pytest.raises(errors.SchemaError, match="data.csv has no label column 'y'. .* a, b. Corr"):
        sources.open_source(make_settings(path), "train")


def test_a_header_without_the_weight_lists_its_columns(
    write_csv: Callable[..., str], make_settings: MakeSettings
) -> None:
    settings = make_settings(write_csv("a,y\n1,2\n"), weight_column="w")
    with pytest.raises(errors.SchemaError, match="has no weight column 'w'.*--weight_column"):
        sources.open_source(settings, "train")


def test_columns_missed_or_unknown_are_named_with_their_file(write_csv: Callable[..., str]) -> None:
    files = write_csv("a,b,y\n1,2,3\n", "1.csv"), write_csv("y,a,c\n1,2,3\n", "2.csv")
    source = sources.Source(csv_files.CsvFormat(), files, "y")
    with pytest.raises(errors.SchemaError, match="2.csv misses the column 'b'. .*: y, a, c"):
        source.check_columns(["a", "b"], ["a", "b", "y"])
    with pytest.raises(errors.SchemaError, match="2.csv has the column 'c', which the schema does"):
        source.check_columns(["a", "y"], ["a", "b", "y"])
    source.check_columns(["a"], ["a", "b", "c", "y"])


def test_a_given_schema_names_label_and_weight(write_csv: Callable[..., str]) -> None:
    path = write_csv("a,y,w\n1,2,3\n")
    schema = schema_lib.Schema(
        (schema_lib.Feature("a", "int64"),),
        (schema_lib.Feature("y", "float32"),),
        schema_lib.Feature("w", "float32"),
    )
    settings = settings_lib.InputSettings(train_data=path, schema="schema.pbtxt")
    source = sources.open_source(settings, "train", schema)
    assert (source.label_columns, source.weight_column) == (("y",), "w")


def test_evaluation_data_must_be_given(
    write_csv: Callable[..., str], make_settings: MakeSettings
) -> None:
    settings = make_settings(write_csv("a,y\n1,2\n"))
    with pytest.raises(
        errors.SettingsError,
        match="Expected --eval_data beside --train_data=.*data.csv, found none",
    ):
        sources.open_source(settings, "eval")


def test_packaged_data_may_be_learned_by_another_column() -> None:
    settings = settings_lib.InputSettings(data="census", label_column="hours-per-week")
    source = sources.open_source(settings, "train")
    assert (source.label_columns, source.task) == (("hours-per-week",), "auto")
    assert sources.open_source(settings_lib.InputSettings(data="census"), "eval").task != "auto"


def test_the_digits_have_one_label() -> None:
    settings = settings_lib.InputSettings(data="mnist", label_column="digit")
    with pytest.raises(errors.SchemaError, match="has no label column 'digit'. .*: image, label"):
        sources.open_source(settings, "train")


def test_digits_do_not_fit_a_schema_of_a_table() -> None:
    source = sources.open_source(settings_lib.InputSettings(data="mnist"), "train")
    with pytest.raises(
        errors.SchemaError, match="misses the column 'age'. Its columns are: image, label"
    ):
        source.check_columns(["age"], ["age"])


def test_the_label_must_be_told_where_the_files_do_not(write_csv: Callable[..., str]) -> None:
    settings = settings_lib.InputSettings(train_data=write_csv("a,y\n1,2\n"))
    with pytest.raises(errors.SettingsError, match="Pass --label_column; the columns are: a, y"):
        sources.open_source(settings, "train")


def test_a_name_that_tells_no_format_lists_the_endings(make_settings: MakeSettings) -> None:
    with pytest.raises(errors.SettingsError, match=r"rows.xls .*: csv \(.csv, .tsv, .*--format"):
        sources.open_source(make_settings("rows.xls"), "train")


def test_the_files_of_one_data_set_are_of_one_format(make_settings: MakeSettings) -> None:
    settings = make_settings("a.csv.gz, b.parquet")
    with pytest.raises(errors.SettingsError, match=r"found a.csv.gz \(csv\), b.parquet \(parquet"):
        sources.open_source(settings, "train")
