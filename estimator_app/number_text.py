"""Numbers as people read them, in tables and on pages."""

from __future__ import annotations

import datetime


def short(number: float) -> str:
    """Returns the number with four significant digits at least, such as "38.58", "189,778" or "1.2e-07"."""
    if abs(number) >= 1e9 or 0 < abs(number) < 1e-4:
        return f"{number:.3g}"
    if abs(number) >= 1000 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.4g}"


def percent(share: float) -> str:
    """Returns a share in [0, 1] such as "12.5 %"; what is not quite none or all does not look so."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{share:.1%}".replace("%", " %") if share not in (0, 1) else f"{share:.0%}"[:-1] + " %"


def day(number: float) -> str:
    """Returns the date of a number of days since 1970-01-01, as ISO 8601 has it."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=int(number))).isoformat()


def size(count: int) -> str:
    """Returns bytes as people say them, such as "1.2 MB"."""
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{amount:.1f} {units[0]}" if units[0] != "bytes" else f"{count} bytes"


def files(count: int) -> str:
    """Returns "1 file" or "3 files"."""
    return "1 file" if count == 1 else f"{count} files"
