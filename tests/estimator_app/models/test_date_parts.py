"""Parts of dates against Python's own calendar."""

import datetime
import math

import numpy as np
import pytest
import tensorflow as tf

from estimator_app.models import date_parts

EPOCH = datetime.datetime(1970, 1, 1)
# Some 3,700 dates over the calendar, and every day about leap years.
DAYS = [
    *(
        datetime.datetime(1, 1, 1) + datetime.timedelta(days, 3661 * days)
        for days in range(0, 730_000, 197)
    ),
    *(
        datetime.datetime(year, 2, 27, 23, 59, 59) + datetime.timedelta(day)
        for year in (4, 100, 400, 1600, 1900, 1999, 2000, 2023, 2024, 2100, 9996)
        for day in range(4)
    ),
    *(datetime.datetime(2023, 12, 30) + datetime.timedelta(hours=hour) for hour in range(60)),
]
AMOUNTS = ("days", "year")


def split(texts, date_format="", missing_days=0.0, dtype=tf.string):
    values = tf.constant(texts, dtype)
    found = date_parts.split(values, date_format, tuple(date_parts.PARTS), missing_days)
    return {name: tensor.numpy() for name, tensor in found.items()}


def check(found, moments, days=None):
    """Holds the parts against Python's."""
    wanted = {
        "year": [moment.year for moment in moments],
        "month": [moment.month for moment in moments],
        "day": [moment.day for moment in moments],
        "weekday": [moment.isoweekday() for moment in moments],
        "hour": [moment.hour for moment in moments],
    }
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, name)
    days = days or [(moment - EPOCH) / datetime.timedelta(days=1) for moment in moments]
    np.testing.assert_allclose(found["days"], days, rtol=1e-7, atol=1e-3)
    for name, period in (("month", 12), ("weekday", 7), ("hour", 24)):
        angle = 2 * math.pi * np.array(wanted[name]) / period
        cycle = np.stack([np.sin(angle), np.cos(angle)], axis=1)
        np.testing.assert_allclose(found[f"{name}_cycle"], cycle, atol=1e-5)


@pytest.mark.parametrize("separator", ["T", " "])
def test_iso_8601_is_split_as_python_does(separator):
    check(split([day.isoformat(separator) for day in DAYS]), DAYS)


def test_dates_without_a_time_begin_their_day():
    days = [day.replace(hour=0, minute=0, second=0) for day in DAYS]
    check(split([day.strftime("%Y-%m-%d").rjust(10, "0") for day in days]), days)


@pytest.mark.parametrize("date_format", ["%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S", "%F %T"])
def test_format_of_ones_own(date_format):
    days = [day for day in DAYS if day.year >= 1000]
    check(split([day.strftime(date_format) for day in days], date_format), days)


@pytest.mark.parametrize("unit, microseconds", [("SECONDS", 10**6), ("MICROSECONDS", 1)])
def test_unix_time(unit, microseconds):
    numbers = [(day - EPOCH) // datetime.timedelta(microseconds=microseconds) for day in DAYS]
    check(split(numbers, f"UNIX_{unit}", dtype=tf.int64), DAYS)


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-01T00:30Z",
        "2024-02-29 23:30:05.250+02:00",
        "2024-03-01T01:15-0330",
        "2024-03-01T01:15:00,5",
    ],
)
def test_offset_counts_for_days_alone(text):
    moment = datetime.datetime.fromisoformat(text.replace(" ", "T"))
    in_utc = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
    check(split([text]), [moment.replace(tzinfo=None)], [in_utc.timestamp() / 86_400])


@pytest.mark.parametrize(
    "text", ["", "soon", "2023-02-29", "2024-02-30T10:00", "2024-13-01", "\xff"]
)
def test_what_is_no_date_is_missing(text):
    found = split([text, "2024-02-29"], missing_days=365.2425)
    missing = {name: values[0].tolist() for name, values in found.items()}
    assert missing["days"] == pytest.approx(365.2425) and missing["year"] == pytest.approx(1971)
    assert missing == {
        **missing,
        **{"month": 0, "day": 0, "weekday": 0, "hour": 24},
        **{f"{name}_cycle": [0, 0] for name in ("month", "weekday", "hour")},
    }
    assert found["month"][1] == 2 and found["hour"][1] == 0


@pytest.mark.parametrize(
    "date_format, has_hour",
    [
        ("", True),
        ("%Y-%m-%d", False),
        ("%d.%m.%Y %H:%M", True),
        ("UNIX_DAYS", False),
        ("UNIX_SECONDS", True),
    ],
)
def test_hour_is_a_default_where_there_is_a_time(date_format, has_hour):
    assert ("hour" in date_parts.default_parts(date_format)) == has_hour
