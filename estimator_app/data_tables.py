"""Statistics as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Optional

from estimator_app import number_text
from estimator_app.comparison import Comparison
from estimator_app.description import SHARES, TYPES, Description
from input_fns import histograms
from input_fns import statistics as statistics_lib

_BLOCKS = " ▁▂▃▄▅▆▇█"
_MAX_SPARK = 15
_MAX_TOP = 5
_MAX_VALUE = 24  # characters
_percent, _short = number_text.percent, number_text.short


def describe(found: Description, width: int) -> list[str]:
    """Returns the lines of a description.

    Args:
      found: what to show.
      width: columns of the terminal; the most frequent values are as many as fit.
    """
    scan, statistics = found.scan, found.scan.statistics
    numbers = [c for c in statistics.columns if isinstance(c, statistics_lib.NumericStatistics)]
    texts = [c for c in statistics.columns if isinstance(c, statistics_lib.StringStatistics)]
    size = f" of {number_text.size(found.num_bytes)}" if found.num_bytes else ""
    lines = [
        f"rows      {scan.num_rows:,} in {number_text.files(found.num_files)}{size}",
        f"columns   {len(statistics.columns)}: {len(numbers)} of numbers, {len(texts)} of text or classes",
    ]
    if scan.bad_rows:
        first = scan.first_bad_rows[0]
        lines.append(
            f"bad rows  {scan.bad_rows:,} left out; the first: row {first.row}"
            + (f", column {first.column!r}" if first.column else "")
            + f", expected {first.expected}, found {_clip(first.value)!r}"
        )
    if numbers:
        head = ["numbers", "type", "missing", "zeros", "mean", "sd", "min"]
        head += [*(f"{share:.0%}" for share in SHARES), "max", "histogram"]
        lines += ["", *align([head, *(_number_row(c, statistics) for c in numbers)], {0, 1, 13})]
    if texts:
        head = ["text", "type", "missing", "distinct", "length", "most frequent"]
        rows = [head, *(_text_row(c, statistics) for c in texts)]
        lines += ["", *(_clip(line, width) for line in align(rows, {0, 1, 5}))]
    for column in texts:
        if column.tokens is not None:
            tokens = column.tokens
            top = ", ".join(token for token, _ in tokens.top[:12])
            line = f"{tokens.average:.1f} on average, {tokens.most} at most; most frequent: {top}"
            lines += ["", _clip(f"tokens of {column.name}: {line}", width)]
    return lines


def compare(found: Comparison, width: int) -> list[str]:
    """Returns the lines of a comparison, the column that drifts most first.

    Args:
      found: what to show.
      width: columns of the terminal.
    """
    lines = [
        f"first     {found.first.name}: {found.first.rows}",
        f"second    {found.second.name}: {found.second.rows}",
    ]
    for side, names in (("first", found.found.only_first), ("second", found.found.only_second)):
        if names:
            lines.append(_clip(f"only in the {side}: {', '.join(names)}", width))
    head = ["column", "drift", "L-infinity", "Jensen-Shannon", "missing", "then", "changed most"]
    rows = [head]
    for column in found.found.columns:
        above = found.broken.get(column.name, [])
        rows.append(
            [
                column.name,
                f"{column.drift:.4f}",
                _distance(column.infinity_norm),
                _distance(column.jensen_shannon),
                *map(_percent, column.missing),
                (f"above {', '.join(above)}: " if above else "") + column.note,
            ]
        )
    return [*lines, "", *(_clip(line, width) for line in align(rows, {0, 6}))]


def align(rows: Sequence[Sequence[str]], left: set[int]) -> list[str]:
    """Returns a line for each row.

    Args:
      rows: cells, as many in each row.
      left: the columns that are aligned to the left, by number; others to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def _number_row(
    column: statistics_lib.NumericStatistics, statistics: statistics_lib.DatasetStatistics
) -> list[str]:
    cells = [column.name, TYPES[column.dtype], _percent(statistics.missing_share(column.name))]
    if not column.count:
        return cells + ["-"] * 10 + [""]
    quantiles = [_short(histograms.quantile(column.quantiles, share)) for share in SHARES]
    return [
        *cells,
        _percent(column.zeros / column.count),
        *map(_short, (column.mean, column.stddev, column.low)),
        *quantiles,
        _short(column.high),
        _spark([bucket.count for bucket in column.histogram]),
    ]


def _text_row(
    column: statistics_lib.StringStatistics, statistics: statistics_lib.DatasetStatistics
) -> list[str]:
    top = (
        f"{_clip(value)} {_percent(count / column.count)}" for value, count in column.top[:_MAX_TOP]
    )
    return [
        column.name,
        TYPES[column.dtype],
        _percent(statistics.missing_share(column.name)),
        f"{column.distinct:,}",
        _short(round(column.avg_length, 1)),
        ", ".join(top),
    ]


def _distance(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.4f}"


def _spark(counts: Sequence[float]) -> str:
    """The histogram as a line of at most 15 block characters; any value at all shows."""
    step = math.ceil(len(counts) / _MAX_SPARK)
    sums = [sum(counts[i : i + step]) for i in range(0, len(counts), step)]
    highest = max(sums)
    last = len(_BLOCKS) - 1
    return "".join(_BLOCKS[max(round(n / highest * last), n > 0)] for n in sums)


def _clip(text: str, width: int = _MAX_VALUE) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
