"""Dates in columns: which text is one, by ISO 8601 or a format of one's own, and how many days after 1970 it lies.

The patterns are RE2's, which Arrow has here and TensorFlow has in the graph, so that a model takes for a date what the
reading of its data took for one. Nothing here knows TensorFlow.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from input_fns import errors

# 2026-11-21, 2026-11-21T18:30, 2026-11-21 18:30:15.250Z, 2026-11-21T18:30:15+01:00
ISO_8601 = (
    r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?)?$"
)
DATE_ONLY = "%Y-%m-%d"

# Names of TFX's TimeDomain.integer_format -> how many of that unit a day has.
UNITS_A_DAY = {
    "UNIX_DAYS": 1,
    "UNIX_SECONDS": 86_400,
    "UNIX_MILLISECONDS": 86_400 * 10**3,
    "UNIX_MICROSECONDS": 86_400 * 10**6,
    "UNIX_NANOSECONDS": 86_400 * 10**9,
}

# A digit that stands alone gets a zero before it, for days and months written 3/5/2026.
LONE_DIGIT = (r"\b(\d)\b", r"0\1")

_DIGITS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_ENDS = {"": "", "H": r"T\H:00", "HM": r"T\H:\M", "HMS": r"T\H:\M:\S"}


def check_format(date_format: str) -> None:
    """Refuses a format of text that cannot be read.

    Args:
        date_format: of `time.strptime`; empty is ISO 8601.

    Raises:
        SchemaError: it has other parts than year, month, day, hour, minute and second, or one of them twice.
    """
    if date_format:
        patterns(date_format)


def patterns(date_format: str) -> tuple[str, str]:
    """A format as RE2 has it: the pattern of its text, and the rewrite of that into ISO 8601.

    Args:
        date_format: of `time.strptime`, such as `%d.%m.%Y %H:%M`.

    Raises:
        SchemaError: see `check_format`.
    """
    pieces = re.split(r"%(.)", date_format.replace("%F", DATE_ONLY).replace("%T", "%H:%M:%S"))
    parts = pieces[1::2]
    times = "".join(part for part in "HMS" if part in parts)
    if len(set(parts)) < len(parts) or set("Ymd") - set(parts) or times not in _ENDS:
        known = False
    else:
        known = set(parts) <= set(_DIGITS)
    if not known:
        raise errors.SchemaError(
            f"Expected a date format of %Y, %m, %d and perhaps %H, %M, %S, each once, found {date_format!r}. Write "
            "the dates as ISO 8601 has them, or remove the time_domain to take the column as text."
        )
    pattern = "".join(
        rf"(\d{{{_DIGITS[piece]}}})" if index % 2 else re.escape(piece)
        for index, piece in enumerate(pieces)
    )
    rewrite = r"\Y-\m-\d" + _ENDS[times]
    for index, part in enumerate(parts, 1):
        rewrite = rewrite.replace(f"\\{part}", f"\\{index}")
    return f"^{pattern}$", rewrite


def find_bad(values: pa.StringArray, date_format: str) -> np.ndarray:
    """[n] bool, which of the values are no dates.

    Args:
        values: [n] text, none of it null.
        date_format: empty is ISO 8601.
    """
    bad = np.zeros(len(values), bool)
    if date_format:
        pattern, rewrite = patterns(date_format)
        values = pc.replace_substring_regex(values, *LONE_DIGIT)
        bad = ~_matches(values, pattern)
        values = pc.replace_substring_regex(values, pattern, rewrite)
    bad |= ~_matches(values, ISO_8601)
    good = np.flatnonzero(~bad)
    days = pc.utf8_slice_codeunits(values.take(pa.array(good)), 0, 10)
    if _to_date(days) is None:  # the 30th of February is among them
        bad[good] = [_to_date(pa.array([day])) is None for day in days.to_pylist()]
    return bad


def to_days(values: pa.StringArray, date_format: str) -> np.ndarray:
    """[n] int64, the days since 1970-01-01, of text that `find_bad` lets pass; the time of day plays no part."""
    if date_format:
        values = pc.replace_substring_regex(values, *LONE_DIGIT)
        values = pc.replace_substring_regex(values, *patterns(date_format))
    dates = pc.utf8_slice_codeunits(values, 0, 10).cast(pa.date32())
    return dates.cast(pa.int32()).to_numpy(zero_copy_only=False).astype(np.int64)


def infer_format(values: pa.StringArray) -> str | None:
    """`DATE_ONLY` if all values are dates without a time, empty if all are ISO 8601, else None.

    Args:
        values: [n] text, none of it null or empty.
    """
    if not len(values) or find_bad(values[:1], "")[0] or find_bad(values, "").any():
        return None
    return DATE_ONLY if pc.max(pc.utf8_length(values)).as_py() == 10 else ""


def _matches(values: pa.StringArray, pattern: str) -> np.ndarray:
    return pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False)


def _to_date(values: pa.StringArray) -> pa.Array | None:
    try:
        return values.cast(pa.date32())
    except pa.ArrowInvalid:
        return None
