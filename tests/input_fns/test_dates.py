"""Which text is a date."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from input_fns import dates, errors


def is_date(text: str, date_format: str = "") -> bool:
    return not dates.find_bad(pa.array([text]), date_format)[0]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21",
        "2024-02-29",
        "2026-11-21T18:30",
        "2026-11-21 18:30:15",
        "2026-11-21T18:30:15.250Z",
        "2026-11-21 18:30:15.000000+0100",
        "2026-11-21T18:30:15-05:30",
    ],
)
def test_iso_8601_is_a_date(text: str) -> None:
    assert is_date(text)


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-13-01", "2023-02-29", "2026-11-21T24:00", "18:30", "21.11.2026", "n/a"],
)
def test_other_text_is_none(text: str) -> None:
    assert not is_date(text)


def test_each_bad_value_is_found() -> None:
    values = pa.array(["2023-02-28", "2023-02-30", "soon", "2024-02-29"])
    assert dates.find_bad(values, "").tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    "text, date_format",
    [
        ("21.11.2026", "%d.%m.%Y"),
        ("3/5/2026", "%m/%d/%Y"),
        ("20261121 18h", "%Y%m%d %Hh"),
        ("2026-11-21 18:30:15", "%F %T"),
    ],
)
def test_format_of_ones_own(text: str, date_format: str) -> None:
    assert is_date(text, date_format)
    found = dates.to_days(pa.array([text]), date_format).tolist()
    full = date_format.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S")
    assert found == [(datetime.datetime.strptime(text, full) - datetime.datetime(1970, 1, 1)).days]
    assert not is_date("31.02.2026", "%d.%m.%Y") and not is_date("2026-11-21", "%d.%m.%Y")


@pytest.mark.parametrize("date_format", ["%d.%m", "%b %d, %Y", "%Y-%m-%d %d", "%Y-%m-%d %S"])
def test_format_that_cannot_be_read_is_refused(date_format: str) -> None:
    with pytest.raises(errors.SchemaError, match="Expected a date format of %Y, %m, %d and"):
        dates.check_format(date_format)


def test_format_is_inferred_from_all_values() -> None:
    assert dates.infer_format(pa.array(["2026-11-21", "1969-12-31"])) == "%Y-%m-%d"
    assert dates.infer_format(pa.array(["2026-11-21", "2026-11-21 18:30"])) == ""
    assert dates.infer_format(pa.array(["2026-11-21", "later"])) is None
    assert dates.infer_format(pa.array([], pa.string())) is None


def test_days_are_those_of_the_calendar() -> None:
    epoch = datetime.date(1970, 1, 1)
    wanted = [epoch + datetime.timedelta(days) for days in range(-50_000, 50_000, 997)]
    found = dates.to_days(pa.array([date.isoformat() for date in wanted]), "")
    np.testing.assert_array_equal(found, [(date - epoch).days for date in wanted])
