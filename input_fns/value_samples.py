"""A sample of a stream of numbers in memory that does not grow, from which quantiles and histograms are drawn."""

from __future__ import annotations

import numpy as np

CAPACITY = 1 << 15


class ValueSample:
    """All values up to `CAPACITY` of them; then one of every 2, 4, 8, ... consecutive ones, drawn at random.

    Each value kept stands for a run of consecutive values, all runs of one length, and was drawn from its run on its
    own and uniformly. By Hoeffding's inequality the share of values below any one x is then off by more than
    sqrt(ln(2 / p) / (2 m)) with a probability of at most p, where m values are kept, CAPACITY / 2 at least: by more
    than 1.6 percentage points once in ten thousand. The seed is fixed: the same stream gives the same sample.
    """

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._run = 1  # consecutive values that one of `_kept` stands for
        self._kept = np.empty(CAPACITY)
        self._num_kept = 0
        self._open = np.empty(0)  # of the last run, which is not complete

    def add(self, values: np.ndarray) -> None:
        """Takes values in.

        Args:
            values: [n] float64.
        """
        if len(self._open):
            values = np.concatenate([self._open, values])
        while True:
            count = min(len(values) // self._run, CAPACITY - self._num_kept)
            self._keep(self._draw(values[: count * self._run], self._run))
            values = values[count * self._run :]
            if self._num_kept < CAPACITY:
                break
            # Two neighbours become one run of twice the length.
            halved = self._draw(self._kept, 2)
            self._run, self._num_kept = self._run * 2, 0
            self._keep(halved)
        self._open = values.copy()

    def weighted(self) -> tuple[np.ndarray, np.ndarray]:
        """The values kept, sorted, and how many values each stands for; two [m] float64 arrays."""
        values = np.concatenate([self._kept[: self._num_kept], self._open])
        weights = np.ones(len(values))
        weights[: self._num_kept] = self._run
        order = np.argsort(values, kind="stable")
        return values[order], weights[order]

    def _keep(self, values: np.ndarray) -> None:
        self._kept[self._num_kept : self._num_kept + len(values)] = values
        self._num_kept += len(values)

    def _draw(self, values: np.ndarray, run: int) -> np.ndarray:
        """One of each `run` consecutive values."""
        if run == 1:
            return values
        count = len(values) // run
        return values[np.arange(count) * run + self._rng.integers(0, run, count)]
