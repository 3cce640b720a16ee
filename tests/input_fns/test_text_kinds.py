"""Columns of text that are dates or natural language: found, declared, held against."""

from collections.abc import Callable
import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from input_fns import csv_files, errors, inference
from input_fns import schema as schema_lib
from input_fns import schema_proto
from input_fns import settings as settings_lib
from input_fns import sources, statistics

DAYS = [datetime.date(2024, 2, 26) + datetime.timedelta(days=i) for i in range(40)]
SENTENCES = [f"the {color} fox number {i} ran" for i, color in enumerate(["red", "grey"] * 20)]


@pytest.fixture
def scan(
    write_csv: Callable[..., str], make_settings: Callable[..., settings_lib.InputSettings]
) -> Callable[..., inference.ScanResult]:
    """Scans a column `x` of these values, beside a label."""

    def run(
        values: list[str], schema: schema_lib.Schema | None = None, **changes: object
    ) -> inference.ScanResult:
        lines = ["x,y"] + [f"{value},{'ab'[i % 2]}" for i, value in enumerate(values)]
        settings = make_settings(write_csv(lines), **changes)
        return inference.scan(sources.open_source(settings, "train", schema), settings, schema)

    return run


def declared(**kind: str) -> schema_lib.Schema:
    """A schema that says what `x` is."""
    x = schema_lib.Feature("x", "string", **kind)
    return schema_lib.Schema((x,), (schema_lib.Feature("y", "string", vocabulary=("a", "b")),))


@pytest.mark.parametrize(
    "values, kind, date_format",
    [
        ([day.isoformat() for day in DAYS], "date", "%Y-%m-%d"),
        ([f"{day}T08:30:00Z" for day in DAYS] + ["2024-01-01"], "date", ""),
        ([day.isoformat() for day in DAYS] + ["soon"], "", ""),
        ([day.strftime("%d.%m.%Y") for day in DAYS], "", ""),
        (SENTENCES, "text", ""),
        (SENTENCES[:4] * 10, "", ""),  # four categories that happen to be long
        ([f"row {i}" for i in range(40)], "", ""),  # different, but two words each
    ],
)
def test_kind_is_inferred(scan, values: list[str], kind: str, date_format: str) -> None:
    x = scan(values).schema.feature("x")
    assert (x.kind, x.date_format) == (kind, date_format)
    assert (x.vocabulary is None) == bool(kind)


def test_missing_dates_leave_a_column_a_date(scan) -> None:
    x = scan([day.isoformat() for day in DAYS] + ["", ""]).schema.feature("x")
    assert (x.kind, x.default) == ("date", b"")


def test_blocks_do_not_matter(scan, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [day.isoformat() for day in DAYS] * 20 + ["2024-01-01 10:00"]
    whole = scan(values)
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 600)
    parts = scan(values)
    assert parts.schema == whole.schema
    a, b = (found.statistics.column("x").days for found in (whole, parts))
    np.testing.assert_allclose((a.mean, a.stddev), (b.mean, b.stddev))


def test_days_are_counted_and_written(scan, tmp_path) -> None:
    found = scan([day.isoformat() for day in DAYS] + [""]).statistics
    days = np.array([(day - datetime.date(1970, 1, 1)).days for day in DAYS])
    x = found.column("x")
    assert (x.days.count, x.days.missing) == (40, 1)
    np.testing.assert_allclose((x.days.mean, x.days.stddev), (days.mean(), days.std()))
    assert (x.days.low, x.days.high) == (days.min(), days.max())
    statistics.write(found, tmp_path / "statistics.pbtxt")
    assert statistics.read(tmp_path / "statistics.pbtxt") == found


def test_bad_date_of_a_declared_column_is_a_bad_row(scan) -> None:
    schema = declared(kind="date", date_format="%d.%m.%Y")
    values = [day.strftime("%d.%m.%Y") for day in DAYS]
    assert scan(values, schema).statistics.column("x").days.high == 19818
    with pytest.raises(
        errors.BadRowError,
        match=r"row 41, column 'x': expected a date as %d.%m.%Y, found '31.02.2024'. Correct",
    ):
        scan([*values, "31.02.2024"], schema)
    left = scan([*values, "31.02.2024"], schema, bad_rows="skip")
    assert (left.num_rows, left.bad_rows) == (40, 1)
    with pytest.raises(errors.BadRowError, match="expected a date as ISO 8601 has it, not an empt"):
        scan(["", "2024-01-01"], declared(kind="date"))


def test_typed_dates_are_dates(tmp_path, make_settings) -> None:
    table = pa.table(
        {
            "day": DAYS,
            "moment": [datetime.datetime(2024, 2, 1, hour % 24) for hour in range(40)],
            "y": ["a", "b"] * 20,
        }
    )
    path = str(tmp_path / "x.parquet")
    pyarrow.parquet.write_table(table, path)
    settings = make_settings(path, label_column="y")
    schema = inference.scan(sources.open_source(settings, "train"), settings).schema
    day, moment = schema.features
    assert (day.kind, day.date_format) == ("date", "%Y-%m-%d")
    assert (moment.kind, moment.date_format) == ("date", "")


@pytest.mark.parametrize(
    "feature, domain",
    [
        (schema_lib.Feature("x", "string", kind="text"), "natural_language_domain {"),
        (schema_lib.Feature("x", "string", kind="date"), "time_domain {"),
        (
            schema_lib.Feature("x", "string", kind="date", date_format="%d.%m.%Y"),
            'string_format: "%d.%m.%Y"',
        ),
        (
            schema_lib.Feature("x", "int64", kind="date", date_format="UNIX_SECONDS"),
            "integer_format: UNIX_SECONDS",
        ),
    ],
)
def test_kind_is_written_as_tfx_has_it(feature: schema_lib.Feature, domain: str) -> None:
    schema = schema_lib.Schema((feature,))
    text = schema_proto.to_text(schema)
    assert domain in text
    assert schema_proto.from_text(text, "schema.pbtxt") == schema


@pytest.mark.parametrize(
    "kind, sentence",
    [
        ({"dtype": "int64", "kind": "text"}, "a int64 cannot be of kind 'text'"),
        ({"dtype": "string", "kind": "prose"}, "a string cannot be of kind 'prose'"),
        ({"dtype": "int64", "kind": "date"}, "found int64 without a unit"),
        ({"dtype": "float32", "kind": "date", "date_format": "UNIX_DAYS"}, "found float32 UNIX"),
        ({"dtype": "string", "kind": "date", "date_format": "%j"}, "Expected a date format of %Y"),
        ({"dtype": "string", "kind": "text", "vocabulary": ("a",)}, "without a vocabulary"),
    ],
)
def test_kind_that_does_not_fit_is_refused(kind: dict[str, object], sentence: str) -> None:
    with pytest.raises(errors.SchemaError, match=sentence):
        schema_lib.Feature("x", **kind)
