"""How far the distributions of two data sets are apart, column by column."""

from __future__ import annotations

import dataclasses

import numpy as np

from input_fns import histograms
from input_fns import statistics as statistics_lib

_NUM_BINS = 20
_ATOM = 0.05  # a number that makes up this share of the values has a bin of its own

_Column = statistics_lib.NumericStatistics | statistics_lib.StringStatistics


@dataclasses.dataclass(frozen=True)
class ColumnDrift:
    """Of one column; shares and distances are in [0, 1].

    Attributes:
        name: the column.
        infinity_norm: L-infinity distance of text; None of numbers.
        jensen_shannon: Jensen-Shannon divergence; None where the statistics have no distribution to compare.
        missing: share of rows without a value in either data set.
        note: what has changed most, such as a value and its shares; may be empty.
    """

    name: str
    infinity_norm: float | None
    jensen_shannon: float | None
    missing: tuple[float, float]
    note: str = ""

    @property
    def drift(self) -> float:
        """The one figure: L-infinity of text, Jensen-Shannon of numbers, or what share is missing more or less."""
        distance = self.jensen_shannon if self.infinity_norm is None else self.infinity_norm
        return max(distance or 0.0, abs(self.missing[1] - self.missing[0]))


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Of two data sets.

    Attributes:
        columns: those that both have, the one that drifts most first.
        only_first: names of columns that only the first has.
        only_second: likewise.
    """

    columns: tuple[ColumnDrift, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def compare(
    first: statistics_lib.DatasetStatistics, second: statistics_lib.DatasetStatistics
) -> Comparison:
    """Compares the columns that both have; two columns of one name that are of two kinds are as far apart as can be."""
    names = [column.name for column in first.columns]
    others = [column.name for column in second.columns]
    found = [_compare_column(first, second, name) for name in names if name in others]
    return Comparison(
        tuple(sorted(found, key=lambda column: -column.drift)),
        tuple(name for name in names if name not in others),
        tuple(name for name in others if name not in names),
    )


def infinity_norm(first: np.ndarray, second: np.ndarray) -> float:
    """The largest difference of two shares of a value: what TFX's comparators call infinity_norm.

    Args:
        first: [n] float64, the share of each value.
        second: [n] likewise, of the same values.
    """
    return float(np.abs(first - second).max(initial=0.0))


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> float:
    """The Jensen-Shannon divergence in bits: 0 if they are the same, 1 if no value is in both.

    With m = (p + q) / 2 it is H(m) - (H(p) + H(q)) / 2, H the entropy: Lin, "Divergence measures based on the Shannon
    entropy", IEEE Transactions on Information Theory 37 (1991), equation 4.1 with equal weights.

    Args:
        first: [n] float64, shares that sum to 1.
        second: [n] likewise, of the same values or bins.
    """
    middle = (first + second) / 2
    return max(0.0, _entropy(middle) - (_entropy(first) + _entropy(second)) / 2)


def text_shares(
    a: statistics_lib.StringStatistics, b: statistics_lib.StringStatistics
) -> tuple[dict[str, float], dict[str, float]]:
    """The shares by which two columns of text are compared, of each the most frequent ones.

    They are of values; of text of which more values differ than statistics list, if it has several words, of tokens.
    """
    if a.tokens is not None and b.tokens is not None and not (_is_whole(a) and _is_whole(b)):
        return _token_shares(a.tokens), _token_shares(b.tokens)
    return _value_shares(a), _value_shares(b)


def _is_whole(column: statistics_lib.StringStatistics) -> bool:
    return column.distinct <= len(column.top)


def _value_shares(column: statistics_lib.StringStatistics) -> dict[str, float]:
    return {value: count / column.count for value, count in column.top}


def _token_shares(tokens: statistics_lib.TokenStatistics) -> dict[str, float]:
    return {token: count / (tokens.texts * tokens.average) for token, count in tokens.top}


def _entropy(shares: np.ndarray) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log2(present)).sum())


def _compare_column(
    first: statistics_lib.DatasetStatistics, second: statistics_lib.DatasetStatistics, name: str
) -> ColumnDrift:
    a, b = first.column(name), second.column(name)
    missing = first.missing_share(name), second.missing_share(name)
    if isinstance(a, statistics_lib.NumericStatistics):
        if isinstance(b, statistics_lib.NumericStatistics):
            return _compare_numbers(a, b, missing)
    elif isinstance(b, statistics_lib.StringStatistics):
        if a.days is not None and b.days is not None:
            later = f"{b.days.mean - a.days.mean:+.0f} days on average"
            return dataclasses.replace(_compare_numbers(a.days, b.days, missing), note=later)
        return _compare_text(a, b, missing)
    if not a.count or not b.count:  # nothing tells the kind of a column without a value
        return ColumnDrift(name, None, None, missing)
    return ColumnDrift(name, None, 1.0, missing, f"{_kind(a)} and {_kind(b)}")


def _kind(column: _Column) -> str:
    if isinstance(column, statistics_lib.NumericStatistics):
        return "numbers"
    return "text" if column.dtype == "string" else "class ids"


def _compare_text(
    a: statistics_lib.StringStatistics,
    b: statistics_lib.StringStatistics,
    missing: tuple[float, float],
) -> ColumnDrift:
    """A value that is not among the most frequent ones of a side counts as one that the side does not have.

    The rest, beyond the values that either side lists, is one value for the Jensen-Shannon divergence.
    """
    if not a.count or not b.count:
        return ColumnDrift(a.name, None, None, missing)
    listed = text_shares(a, b)
    values = list(dict.fromkeys((*listed[0], *listed[1])))
    shares = [np.array([of_side.get(value, 0.0) for value in values]) for of_side in listed]
    rest = [max(0.0, 1.0 - of_side.sum()) for of_side in shares]
    divergence = jensen_shannon(*(np.append(s, r) for s, r in zip(shares, rest)))
    worst = int(np.argmax(np.abs(shares[0] - shares[1])))
    note = f"{values[worst]!r} {shares[0][worst]:.1%} → {shares[1][worst]:.1%}"
    return ColumnDrift(a.name, infinity_norm(*shares), divergence, missing, note)


def _compare_numbers(
    a: statistics_lib.NumericStatistics,
    b: statistics_lib.NumericStatistics,
    missing: tuple[float, float],
) -> ColumnDrift:
    """Over common bins, each with a twentieth of the values of both, and one for each number that many rows have."""
    sides = [column.quantiles or column.histogram for column in (a, b)]
    means = (f"{n:,.0f}" if 1000 <= abs(n) < 1e9 else f"{n:.4g}" for n in (a.mean, b.mean))
    note = f"mean {' → '.join(means)}"
    if not all(sides):
        return ColumnDrift(a.name, None, None, missing, note)
    edges = _common_edges(sides[0], sides[1])
    shares = [histograms.shares_between(side, edges) for side in sides]
    return ColumnDrift(a.name, None, jensen_shannon(*shares), missing, note)


def _common_edges(
    first: tuple[histograms.Bucket, ...], second: tuple[histograms.Bucket, ...]
) -> np.ndarray:
    """[m] float64, ascending: ends of bins of which each is above one edge and up to the next."""
    ends = np.unique([end for bucket in (*first, *second) for end in (bucket.low, bucket.high)])
    upto = (histograms.shares_upto(first, ends) + histograms.shares_upto(second, ends)) / 2
    wanted = np.arange(1, _NUM_BINS) / _NUM_BINS
    edges = ends[np.minimum(np.searchsorted(upto, wanted - 1e-9), len(ends) - 1)]
    atoms = np.array(
        [
            value
            for side in (first, second)
            for value in {bucket.low for bucket in side if bucket.low == bucket.high}
            if _share_of(side, value) >= _ATOM
        ]
    )
    return np.unique(np.concatenate([edges, atoms, np.nextafter(atoms, -np.inf)]))


def _share_of(buckets: tuple[histograms.Bucket, ...], value: float) -> float:
    there = sum(bucket.count for bucket in buckets if bucket.low == bucket.high == value)
    return there / sum(bucket.count for bucket in buckets)
