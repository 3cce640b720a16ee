"""The page that `data compare` writes: both distributions of each column laid over each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from estimator_app import number_text
from estimator_app.comparison import Comparison
from estimator_app.pages import charts, layout
from input_fns import drift, histograms
from input_fns import statistics as statistics_lib

_MAX_VALUES = 10
_NUM_BINS = 30
_NOTABLE = 0.1  # a drift from here on is red where no limit is given
_percent, _short = number_text.percent, number_text.short


def render(found: Comparison) -> str:
    """Returns the page as HTML."""
    names = [f"{side.name} ({side.rows})" for side in (found.first, found.second)]
    legend = (
        f'<span class="legend"><span><i></i>{layout.escape(names[0])}</span>'
        f'<span class="second"><i></i>{layout.escape(names[1])}</span></span>'
    )
    columns = found.found.columns
    worst = columns[0] if columns else None
    figures = {
        "columns in both": f"{len(columns):,}",
        "largest drift": f"{worst.drift:.3f}" if worst else "-",
        "columns above a limit": f"{len(found.broken):,}",
        "only in the first": f"{len(found.found.only_first):,}",
        "only in the second": f"{len(found.found.only_second):,}",
    }
    alarms = [name for name in list(figures)[2:] if figures[name] != "0"]
    body = [
        layout.tiles(figures, alarms),
        _only(found),
        layout.bar(
            {"drift": "most drift first", "name": "by name", "missing": "most missing first"},
            legend,
        ),
        layout.cards(_card(column, found) for column in columns),
    ]
    return layout.page(
        "Drift",
        "How far the second data set is from the first: 0 is the same distribution, 1 has nothing in common.",
        body,
    )


def _only(found: Comparison) -> str:
    lines = [
        f'<p class="lead">Only in {layout.escape(side.name)}: {layout.escape(", ".join(names))}</p>'
        for side, names in (
            (found.first, found.found.only_first),
            (found.second, found.found.only_second),
        )
        if names
    ]
    return "".join(lines)


def _card(column: drift.ColumnDrift, found: Comparison) -> str:
    above = found.broken.get(column.name, [])
    notable = bool(above) or column.drift >= _NOTABLE
    badges = [layout.badge(f"drift {column.drift:.3f}", "alarm" if notable else "fine")]
    sides = [side.statistics.column(column.name) for side in (found.first, found.second)]
    parts, kind = _charts(sides)
    values = {
        "L-infinity": "-" if column.infinity_norm is None else f"{column.infinity_norm:.4f}",
        "Jensen-Shannon": "-" if column.jensen_shannon is None else f"{column.jensen_shannon:.4f}",
        "missing": " → ".join(map(_percent, column.missing)),
    }
    notes = [f"<b>{layout.escape(column.note)}</b>"] if column.note else []
    notes += (
        [f'<span class="alarm-text">above {layout.escape(", ".join(above))}</span>']
        if above
        else []
    )
    parts.append(f'<div class="words">{" · ".join(notes)}</div>')
    numbers = {"drift": column.drift, "missing": max(column.missing)}
    return layout.card(column.name, kind, badges, [*parts, layout.facts(values)], numbers)


def _charts(
    sides: list[statistics_lib.NumericStatistics | statistics_lib.StringStatistics],
) -> tuple[list[str], str]:
    numbers = [side for side in sides if isinstance(side, statistics_lib.NumericStatistics)]
    texts = [side for side in sides if isinstance(side, statistics_lib.StringStatistics)]
    if len(numbers) == 2:
        return _of_numbers(numbers), "numbers"
    days = [text.days for text in texts if text.days is not None]
    if len(days) == 2:
        return _of_numbers(days, number_text.day), "text"
    if len(texts) == 2:
        return _of_text(texts), "text"
    return [], "text"


def _of_numbers(
    sides: list[statistics_lib.NumericStatistics], show: Callable[[float], str] = _short
) -> list[str]:
    if not all(side.histogram and side.quantiles for side in sides):
        return []
    edges = _edges(sides)
    same = len({_width(side) for side in sides}) == 1
    shares = [
        histograms.shares_between(side.histogram if same else side.quantiles, edges[1:-1])
        for side in sides
    ]
    titles = [
        f"{show(low)} to {show(high)}: {_percent(a)} and {_percent(b)}"
        for low, high, a, b in zip(edges[:-1], edges[1:], *shares)
    ]
    # The last bucket may reach beyond the last value, as that of whole numbers always does.
    low = max(edges[0], min(side.low for side in sides))
    high = min(edges[-1], max(side.high for side in sides))
    return [charts.histogram([side.tolist() for side in shares], titles, (show(low), show(high)))]


def _edges(sides: list[statistics_lib.NumericStatistics]) -> np.ndarray:
    """Of buckets to show both in: those of the histograms if they have one width, else across the middle 98 %."""
    if len({_width(side) for side in sides}) == 1 and _width(sides[0]):
        low = min(side.histogram[0].low for side in sides)
        high = max(side.histogram[-1].high for side in sides)
        count = round((high - low) / _width(sides[0]))
        if count <= 2 * _NUM_BINS:
            return np.linspace(low, high, max(count, 1) + 1)
    low = min(histograms.quantile(side.quantiles, 0.01) for side in sides)
    high = max(histograms.quantile(side.quantiles, 0.99) for side in sides)
    return np.linspace(low, high, _NUM_BINS + 1) if high > low else np.array([low, low + 1])


def _width(side: statistics_lib.NumericStatistics) -> float:
    return side.histogram[0].high - side.histogram[0].low


def _of_text(sides: list[statistics_lib.StringStatistics]) -> list[str]:
    shares = drift.text_shares(sides[0], sides[1])
    values = dict.fromkeys((*shares[0], *shares[1]))
    ordered = sorted(values, key=lambda value: -max(side.get(value, 0.0) for side in shares))
    rows = [(value, [side.get(value, 0.0) for side in shares]) for value in ordered[:_MAX_VALUES]]
    left = len(ordered) - len(rows)
    return [charts.values(rows, f"{left:,} more" if left > 0 else "")]
