"""Running statistics of a column, in memory that does not grow with the rows."""

from __future__ import annotations

import collections
import math

import numpy as np

from input_fns import blocks, histograms, statistics, tokens, value_samples

MAX_DISTINCT = 10_000
_MAX_DISTINCT_BYTES = 64 << 20
_TOP = 1000


class NumberTracker:
    """Count, mean, deviation and range of numbers, exact whatever the order of the blocks; histograms of a sample.

    Fractions are taken as float32, which is how they are learned from, so that the statistics of a file do not depend
    on the digits or the type that it holds them in.
    """

    def __init__(self) -> None:
        self.count = self.missing = self.zeros = 0
        self.mean = 0.0
        self._squares = 0.0  # sum of squared distances from the mean
        self.low: int | float = math.inf
        self.high: int | float = -math.inf
        self.whole = True  # whether all values so far were written as whole numbers
        self._sample = value_samples.ValueSample()

    def update(self, values: np.ndarray, missing: np.ndarray) -> None:
        """Adds some rows.

        Args:
            values: [n, ...] int64 or float.
            missing: [n] bool, the rows to count as missing.
        """
        if missing.any():
            self.missing += int(missing.sum())
            values = values[~missing]
        if not len(values):
            return
        if values.dtype.kind == "i":
            numbers = values.astype(np.float64).ravel()
        else:
            self.whole = False
            values = values.astype(np.float32, copy=False)
            numbers = values.astype(np.float64).ravel()
        # Chan, Golub and LeVeque: the moments of two parts give those of the whole.
        before, added = self.count, numbers.size
        mean = float(numbers.mean())
        delta, total = mean - self.mean, before + added
        self._squares += float(((numbers - mean) ** 2).sum()) + delta**2 * before * added / total
        self.mean += delta * added / total
        self.count = total
        self.zeros += added - int(np.count_nonzero(numbers))
        self._sample.add(numbers)
        self.low = min(self.low, values.min().item())
        self.high = max(self.high, values.max().item())

    def finish(self, name: str, dtype: str) -> statistics.NumericStatistics:
        """What was found."""
        if not self.count:
            return statistics.NumericStatistics(name, dtype, 0, self.missing, 0.0, 0.0, 0.0, 0.0)
        low, high = float(self.low), float(self.high)
        values, weights = self._sample.weighted()
        return statistics.NumericStatistics(
            name,
            dtype,
            self.count,
            self.missing,
            self.mean,
            math.sqrt(self._squares / self.count),
            low,
            high,
            self.zeros,
            histograms.equal_widths(values, weights, low, high, dtype == "int64"),
            histograms.equal_counts(values, weights, low, high),
        )


class TextTracker:
    """The different values of a text column and how often each occurs; their lengths and tokens.

    After `MAX_DISTINCT` different ones, or 64 MiB of them, no new value is taken in; `complete` says whether that has
    not happened.
    """

    def __init__(self) -> None:
        self.count = self.missing = 0
        self.counts: collections.Counter[bytes] = collections.Counter()
        self.complete = True
        self.max_length = 0
        self._bytes = 0  # of all rows
        self._distinct_bytes = 0
        self._tokens = tokens.TokenTracker()

    def update(self, values: blocks.Strings, missing: np.ndarray) -> None:
        """Adds some rows.

        Args:
            values: [n] strings.
            missing: [n] bool, the rows to count as missing.
        """
        codes = values.codes
        if missing.any():
            self.missing += int(missing.sum())
            codes = codes[~missing]
        self.count += len(codes)
        if not len(codes):
            return
        frequencies = np.bincount(codes, minlength=len(values.values))
        present = np.flatnonzero(frequencies)
        texts, frequencies = values.values[present], frequencies[present]
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self._bytes += int(lengths @ frequencies)
        self.max_length = max(self.max_length, int(lengths.max()))
        self._tokens.update(texts, frequencies)
        for value, frequency in zip(texts.tolist(), frequencies.tolist()):
            if value in self.counts:
                self.counts[value] += frequency
            elif len(self.counts) < MAX_DISTINCT and self._distinct_bytes < _MAX_DISTINCT_BYTES:
                self.counts[value] = frequency
                self._distinct_bytes += len(value)
            else:
                self.complete = False

    def texts(self) -> tuple[str, ...]:
        """The different values, sorted."""
        return tuple(sorted(value.decode() for value in self.counts))

    def finish(
        self, name: str, dtype: str = "string", top: int = _TOP
    ) -> statistics.StringStatistics:
        """What was found, with the `top` most frequent values."""
        # Equal counts in the order of the values, so that two passes write the same file.
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:top]
        distinct = len(self.counts) + (0 if self.complete else 1)
        return statistics.StringStatistics(
            name,
            dtype,
            self.count,
            self.missing,
            distinct,
            tuple((value.decode(), count) for value, count in ordered),
            self._bytes / self.count if self.count else 0.0,
            self.max_length,
            self._tokens.finish(),
        )
