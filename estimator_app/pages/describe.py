"""The page that `data describe` writes: a card for each column."""

from __future__ import annotations

from estimator_app import number_text
from estimator_app.description import SHARES, TYPES, Description, Images
from estimator_app.pages import charts, layout
from input_fns import histograms
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

_MAX_VALUES = 10
_MAX_TOKENS = 30
_percent, _short, _day = number_text.percent, number_text.short, number_text.day


def render(found: Description) -> str:
    """Returns the page as HTML."""
    scan = found.scan
    columns = scan.statistics.columns
    cells = scan.num_rows * len(columns)
    missing = sum(column.missing for column in columns)
    size = number_text.size(found.num_bytes) if found.num_bytes else "rows"
    shares = {
        "rows": f"{scan.num_rows:,}",
        "columns": f"{len(columns):,}",
        "of all cells missing": _percent(missing / cells),
        "bad rows left out": f"{scan.bad_rows:,}",
    }
    body = [
        layout.tiles(shares, ["bad rows left out"] if scan.bad_rows else []),
        _bad_rows(found),
        layout.bar(
            {
                "place": "in the order of the file",
                "name": "by name",
                "missing": "most missing first",
                "distinct": "most distinct first",
            }
        ),
        layout.cards(
            _card(place, column, found, scan.schema) for place, column in enumerate(columns)
        ),
    ]
    files = number_text.files(found.num_files)
    return layout.page(found.name, f"{files}, {size}. Statistics of the rows that fit.", body)


def _bad_rows(found: Description) -> str:
    rows = "".join(
        f"<tr><td>{layout.escape(bad.path)}</td><td>{bad.row}</td><td class=left>{layout.escape(bad.column)}</td>"
        f"<td class=left>{layout.escape(bad.value[:80])}</td><td class=left>{layout.escape(bad.expected)}</td></tr>"
        for bad in found.scan.first_bad_rows
    )
    if not rows:
        return ""
    head = "<th>file</th><th>row</th><th class=left>column</th><th class=left>found</th><th class=left>expected</th>"
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _card(
    place: int,
    column: statistics_lib.NumericStatistics | statistics_lib.StringStatistics,
    found: Description,
    schema: schema_lib.Schema,
) -> str:
    missing = found.scan.statistics.missing_share(column.name)
    badges = [layout.badge(TYPES[column.dtype])]
    badges += [layout.badge(f.kind) for f in schema.columns if f.name == column.name and f.kind]
    roles = [("weight", schema.weight), *(("label", label) for label in schema.labels)]
    for role, marked in roles:
        if marked is not None and marked.name == column.name:
            badges.append(layout.badge(role, "role"))
    sort_by = {"place": place, "missing": missing, "distinct": 0.0}
    images = found.images.get(column.name)
    if isinstance(column, statistics_lib.NumericStatistics):
        parts = _of_numbers(column, missing, images)
        return layout.card(column.name, "numbers", badges, parts, sort_by, wide=images is not None)
    sort_by["distinct"] = column.distinct
    return layout.card(column.name, "text", badges, _of_text(column, missing), sort_by)


def _of_numbers(
    column: statistics_lib.NumericStatistics, missing: float, images: Images | None
) -> list[str]:
    alarms = ["missing"] if missing else []
    if not column.count:
        return [layout.facts({"missing": _percent(missing)}, alarms)]
    titles = [
        f"{_ends(bucket, column.dtype)}: {bucket.count:,.0f} ({_percent(bucket.count / column.count)})"
        for bucket in column.histogram
    ]
    points = [histograms.quantile(column.quantiles, share) for share in SHARES]
    p5, p25, median, p75, p95 = map(_short, points)
    parts = [charts.missing(missing)]
    if images:
        parts.append(charts.pictures(images.mean, images.first))
    # A whole number fills its bucket, to the next one.
    middle = 0.5 if column.dtype == "int64" else 0.0
    parts += [
        charts.histogram(
            [[bucket.count for bucket in column.histogram]],
            titles,
            (_short(column.low), _short(column.high)),
            charts.spread(
                [point + middle for point in points],
                column.histogram[0].low,
                column.histogram[-1].high,
                f"90 % of the values are between {p5} and {p95}, half between {p25} and {p75}; median {median}",
            ),
        ),
        layout.facts(
            {
                "mean": _short(column.mean),
                "deviation": _short(column.stddev),
                "median": median,
                "middle half": f"{p25} – {p75}",
                "middle 90 %": f"{p5} – {p95}",
                "zeros": _percent(column.zeros / column.count),
                "values": f"{column.count:,}",
                "missing": _percent(missing),
            },
            alarms,
        ),
    ]
    return parts


def _of_text(column: statistics_lib.StringStatistics, missing: float) -> list[str]:
    shown = column.top[:_MAX_VALUES]
    left = column.distinct - len(shown)
    rest = column.count - sum(count for _, count in shown)
    tail = f"{left:,} more: {_percent(rest / column.count)}" if left > 0 else ""
    values = {
        "distinct": f"{column.distinct:,}",
        "average length": f"{column.avg_length:.1f}",
        "longest": f"{column.max_length:,}",
        "values": f"{column.count:,}",
        "missing": _percent(missing),
    }
    parts = [charts.missing(missing)]
    if column.days is not None and column.days.histogram:
        parts.append(_of_days(column.days))
    else:
        parts.append(
            charts.values([(value, [count / column.count]) for value, count in shown], tail)
        )
    if column.tokens is not None:
        tokens = column.tokens
        values["tokens: mean, most"] = f"{tokens.average:.1f}, {tokens.most}"
        words = ", ".join(
            f"<b>{layout.escape(token)}</b> {count:,}" for token, count in tokens.top[:_MAX_TOKENS]
        )
        parts.append(f'<div class="words">Most frequent tokens: {words}</div>')
    return [*parts, layout.facts(values, ["missing"] if missing else [])]


def _of_days(days: statistics_lib.NumericStatistics) -> str:
    titles = [
        f"{_day(bucket.low)} to {_day(bucket.high - 1)}: {bucket.count:,.0f}"
        for bucket in days.histogram
    ]
    counts = [bucket.count for bucket in days.histogram]
    return charts.histogram([counts], titles, (_day(days.low), _day(days.high)))


def _ends(bucket: histograms.Bucket, dtype: str) -> str:
    if dtype == "int64":
        last = bucket.high - 1
        return (
            _short(bucket.low) if last <= bucket.low else f"{_short(bucket.low)} to {_short(last)}"
        )
    return f"{_short(bucket.low)} to {_short(bucket.high)}"
