"""Histograms and quantiles of numbers, as statistics keep them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

NUM_BINS = 30
NUM_QUANTILES = 100


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Values from `low` to `high`; the high end belongs to the next bucket, if there is one.

    Attributes:
        low: the low end.
        high: the high end; that of a bucket that holds one value alone is the same.
        count: values in it; a fraction where they were estimated.
    """

    low: float
    high: float
    count: float


def equal_widths(
    values: np.ndarray, weights: np.ndarray, low: float, high: float, whole: bool
) -> tuple[Bucket, ...]:
    """A histogram of buckets of the same width; of whole numbers, which may be a bucket each, of a whole width.

    Args:
        values: [n] float64, n >= 1, sorted.
        weights: [n] float64, how often each occurs.
        low: the smallest that there is, which need not be among `values`.
        high: the largest, likewise.
        whole: whether they are whole numbers.
    """
    width = math.ceil((high - low + 1) / NUM_BINS) if whole else (high - low) / NUM_BINS
    if not whole and low + width == low:
        return (Bucket(low, high, float(weights.sum())),)
    num_bins = math.ceil((high - low + 1) / width) if whole else NUM_BINS
    edges = low + width * np.arange(
        num_bins + 1, dtype=np.float64
    )  # int64 may not have room for it
    index = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, num_bins - 1)
    counts = np.bincount(index, weights, num_bins)
    return _buckets(edges, counts)


def equal_counts(
    values: np.ndarray, weights: np.ndarray, low: float, high: float
) -> tuple[Bucket, ...]:
    """A histogram of `NUM_QUANTILES` buckets that hold the same number of values each: their ends are percentiles.

    Args:
        values: [n] float64, n >= 1, sorted.
        weights: [n] float64, how often each occurs.
        low: the smallest that there is, which need not be among `values`.
        high: the largest, likewise.
    """
    upto = np.cumsum(weights)
    shares = np.arange(1, NUM_QUANTILES) / NUM_QUANTILES
    # The smallest value that at least that share of all is not above: the inverse of the distribution function.
    inner = values[np.searchsorted(upto, shares * upto[-1] * (1 - 1e-12))]
    edges = np.concatenate([[low], inner, [high]])
    return _buckets(edges, np.full(NUM_QUANTILES, upto[-1] / NUM_QUANTILES))


def coarser(quantiles: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
    """A fifth of the buckets: of percentiles every fifth."""
    parts = [quantiles[start : start + 5] for start in range(0, len(quantiles), 5)]
    return tuple(Bucket(p[0].low, p[-1].high, sum(b.count for b in p)) for p in parts)


def quantile(quantiles: tuple[Bucket, ...], share: float) -> float:
    """The value that this share of all values is not above.

    Args:
        quantiles: buckets that hold the same number of values each, at least one.
        share: from 0 to 1; between two ends of buckets the nearer one is taken.
    """
    nearest = round(share * len(quantiles))
    return quantiles[nearest - 1].high if nearest else quantiles[0].low


def _buckets(edges: np.ndarray, counts: np.ndarray) -> tuple[Bucket, ...]:
    ends = edges.tolist()
    return tuple(map(Bucket, ends[:-1], ends[1:], counts.tolist()))


def shares_upto(buckets: tuple[Bucket, ...], points: np.ndarray) -> np.ndarray:
    """[m] float64, of all values the share that is not above each point; within a bucket they are spread evenly.

    Args:
        buckets: at least one.
        points: [m] float64.
    """
    low, high, counts = (
        np.array(column) for column in zip(*((b.low, b.high, b.count) for b in buckets))
    )
    width = np.where(high > low, high - low, 1.0)
    inside = np.where(
        high > low, (points[:, None] - low) / width, (points[:, None] >= low).astype(float)
    )
    return np.asarray(inside.clip(0, 1) @ counts / counts.sum())


def shares_between(buckets: tuple[Bucket, ...], edges: np.ndarray) -> np.ndarray:
    """[m + 1] float64, the shares below the first edge, from one edge to the next, above the last.

    Args:
        buckets: at least one.
        edges: [m] float64, ascending; a value at an edge is in the part below it.
    """
    return np.diff(np.concatenate([[0.0], shares_upto(buckets, edges), [1.0]]))
