"""Parts of a date, computed in the graph, so that training and serving do the same to the text of a request.

A date is split by arithmetic on its digits; the calendar's is Howard Hinnant's ("chrono-Compatible Low-Level Date
Algorithms"), in which a year begins in March and 400 years are one era of 146,097 days. Month, weekday and hour are
those that stand in the text; an offset such as +01:00 counts for `days` only.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

import tensorflow as tf

from input_fns import dates

_ERA_DAYS = 146_097
_EPOCH = 719_468  # days from 0000-03-01 to 1970-01-01
_DAYS_A_YEAR = _ERA_DAYS / 400
_LENGTH = 25  # of 2026-11-21T18:30:15+01:00


@dataclasses.dataclass(frozen=True)
class Part:
    """What a part of a date is.

    Attributes:
      ids: how many values it has, that of a missing date included; 0 for an amount.
      missing: which of them stands for a missing date.
      period: of a cycle, after how many it begins again; 0 for others.
    """

    ids: int = 0
    missing: int = 0
    period: int = 0


PARTS = {
    "days": Part(),
    "year": Part(),
    "month": Part(13),  # 1 to 12
    "day": Part(32),  # 1 to 31
    "weekday": Part(8),  # Monday 1 to Sunday 7
    "hour": Part(25, missing=24),  # 0 to 23
    "month_cycle": Part(period=12),
    "weekday_cycle": Part(period=7),
    "hour_cycle": Part(period=24),
}


def default_parts(date_format: str) -> tuple[str, ...]:
    """Returns the parts that a model gets if nothing else is said; a date without a time has no hour."""
    has_time = date_format not in ("UNIX_DAYS", dates.DATE_ONLY) and (
        date_format in dates.UNITS_A_DAY or not date_format or "%H" in date_format
    )
    return ("days", "month", "weekday") + (("hour",) if has_time else ())


def year_of(days: float) -> float:
    """Returns the year, with its fraction, of days since 1970; for the mean of many dates."""
    return 1970 + days / _DAYS_A_YEAR


def years(days: float) -> float:
    """Returns how many years so many days are."""
    return days / _DAYS_A_YEAR


def split(
    values: Any, date_format: str, parts: Sequence[str], missing_days: float
) -> dict[str, Any]:
    """Returns part -> tensor.

    Args:
      values: `[batch]` string, or int64 for a format of UNIX time.
      date_format: as the schema has it.
      parts: which of PARTS.
      missing_days: what stands for `days` where there is no date, or text that is none.

    Returns:
      `[batch]` float32 for amounts, `[batch]` int64 for ids, `[batch, 2]` float32 (sine, cosine) for cycles, of which
      both are 0 where there is no date.
    """
    if values.dtype == tf.string:
        moment = _from_text(values, date_format)
    else:
        moment = _from_number(values, dates.UNITS_A_DAY[date_format])
    missing = {"days": missing_days, "year": year_of(missing_days)}
    return {part: _part(part, moment, missing) for part in parts}


@dataclasses.dataclass(frozen=True)
class _Moment:
    """A batch of dates: `[batch]` int64 each, `days` float32 with the time of day as a fraction, `valid` bool."""

    valid: Any
    year: Any
    month: Any
    day: Any
    hour: Any
    weekday: Any
    days: Any


def _part(name: str, moment: _Moment, missing: dict[str, float]) -> Any:
    part = PARTS[name]
    valid = moment.valid
    if part.period:
        value = tf.cast(getattr(moment, name.removesuffix("_cycle")), tf.float32)
        angle = value * (2 * math.pi / part.period)
        cycle = tf.stack([tf.sin(angle), tf.cos(angle)], axis=-1)
        return tf.where(valid[:, tf.newaxis], cycle, tf.zeros_like(cycle))
    value = getattr(moment, name)
    if part.ids:
        return tf.where(valid, value, tf.constant(part.missing, tf.int64))
    return tf.where(valid, tf.cast(value, tf.float32), tf.constant(missing[name], tf.float32))


def _from_text(values: Any, date_format: str) -> _Moment:
    if date_format:
        pattern, rewrite = dates.patterns(date_format)
        values = tf.strings.regex_replace(values, *dates.LONE_DIGIT)
        matched = tf.strings.regex_full_match(values, pattern)
        values = tf.where(matched, tf.strings.regex_replace(values, pattern, rewrite), "")
    valid = tf.strings.regex_full_match(values, dates.ISO_8601)
    # Every digit has its place once there are seconds without a fraction.
    values = tf.strings.regex_replace(values, r"[.,]\d+", "")
    values = tf.strings.regex_replace(values, r"^(.{13}:\d\d)(Z|[+-]|$)", r"\1:00\2")
    values = tf.where(valid, values, "1970-01-01")
    characters = tf.cast(tf.io.decode_raw(values, tf.uint8, fixed_length=_LENGTH), tf.int64)
    digits = tf.maximum(characters - ord("0"), 0)  # what is not there is 0

    def number(start: int, length: int = 2) -> Any:
        return sum(digits[:, start + place] * 10 ** (length - 1 - place) for place in range(length))

    year, month, day = number(0, 4), number(5), number(8)
    date = _to_days(year, month, day)
    valid &= tf.equal(_from_days(date)[1], month)  # else the 30th of February
    sign = tf.cast(tf.equal(characters[:, 19], ord("+")), tf.int64) - tf.cast(
        tf.equal(characters[:, 19], ord("-")), tf.int64
    )
    minutes = tf.where(tf.equal(characters[:, 22], ord(":")), number(23), number(22))
    offset = sign * (number(20) * 3600 + minutes * 60)
    seconds = number(11) * 3600 + number(14) * 60 + number(17) - offset
    return _Moment(valid, year, month, day, number(11), _weekday(date), _fraction(date, seconds))


def _from_number(values: Any, units_a_day: int) -> _Moment:
    date = values // units_a_day
    within = values % units_a_day
    year, month, day = _from_days(date)
    days = tf.cast(date, tf.float32) + tf.cast(within / units_a_day, tf.float32)
    hour = within * 24 // units_a_day
    return _Moment(tf.ones_like(values, tf.bool), year, month, day, hour, _weekday(date), days)


def _fraction(date: Any, seconds: Any) -> Any:
    return tf.cast(date, tf.float32) + tf.cast(seconds, tf.float32) / 86_400


def _weekday(days: Any) -> Any:
    return (days + 3) % 7 + 1  # 1970-01-01 was a Thursday, 4


def _to_days(year: Any, month: Any, day: Any) -> Any:
    """Returns the days since 1970-01-01 (Hinnant's days_from_civil)."""
    year = year - tf.cast(month <= 2, tf.int64)
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _ERA_DAYS + day_of_era - _EPOCH


def _from_days(days: Any) -> tuple[Any, Any, Any]:
    """Returns year, month and day (Hinnant's civil_from_days)."""
    days = days + _EPOCH
    era = days // _ERA_DAYS
    day_of_era = days - era * _ERA_DAYS
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // (_ERA_DAYS - 1)
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_of_year = (5 * day_of_year + 2) // 153  # from March on
    month = (month_of_year + 2) % 12 + 1
    year = year_of_era + era * 400 + tf.cast(month <= 2, tf.int64)
    return year, month, day_of_year - (153 * month_of_year + 2) // 5 + 1
