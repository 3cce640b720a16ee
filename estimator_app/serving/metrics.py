"""Counters and histograms, and the text page that Prometheus reads them from.

The page is the stock server's own (TF Serving: prometheus_exporter.cc): names begin with a colon, counters have no
`_total` of their own and there are no HELP lines. prometheus-client can write none of the three.
"""

import bisect
from collections.abc import Iterable, Sequence
import dataclasses
import re
import threading

# Callers choose the names in labels: no flood of them may fill the memory.
_MAX_CELLS = 1000
_OTHERS = "(others)"


@dataclasses.dataclass
class Distribution:
    """What one cell of a histogram holds.

    Attributes:
        counts: `[limits + 1]`, values below each limit and not below the one before; the last is of the rest.
        sum: of all values.
    """

    counts: list[int]
    sum: float = 0.0


class Counter:
    """A number a set of labels, which only grows.

    Attributes:
        name: TensorFlow's form of it, such as `/tensorflow/serving/request_count`.
    """

    kind = "counter"

    def __init__(self, name: str, labels: Sequence[str]) -> None:
        self.name = name
        self._labels = tuple(labels)
        self._lock = threading.Lock()
        self._cells: dict[tuple[str, ...], int] = {}

    def add(self, *labels: str, amount: int = 1) -> None:
        """Adds to the cell of these values of the labels."""
        with self._lock:
            key = _bounded(labels, self._cells)
            self._cells[key] = self._cells.get(key, 0) + amount

    def cells(self) -> dict[tuple[str, ...], int]:
        """Values of the labels -> the number now, in sorted order."""
        with self._lock:
            return dict(sorted(self._cells.items()))

    def lines(self, shown: str) -> Iterable[str]:
        """The samples under the name `shown`."""
        for values, number in self.cells().items():
            yield f"{shown}{{{_pairs(self._labels, values)}}} {number}"


class Histogram:
    """How values are distributed, a set of labels.

    Attributes:
        name: as of a Counter.
        limits: the upper ends of the buckets, the open last one left out.
    """

    kind = "histogram"

    def __init__(self, name: str, labels: Sequence[str], limits: Sequence[float]) -> None:
        self.name = name
        self.limits = tuple(limits)
        self._labels = tuple(labels)
        self._lock = threading.Lock()
        self._cells: dict[tuple[str, ...], Distribution] = {}

    def add(self, *labels: str, value: float) -> None:
        """Adds one value to the cell of these values of the labels."""
        # A value at a limit counts in the bucket above it (TensorFlow: histogram.cc).
        bucket = bisect.bisect_right(self.limits, value)
        with self._lock:
            key = _bounded(labels, self._cells)
            cell = self._cells.get(key)
            if cell is None:
                cell = self._cells[key] = Distribution([0] * (len(self.limits) + 1))
            cell.counts[bucket] += 1
            cell.sum += value

    def cells(self) -> dict[tuple[str, ...], Distribution]:
        """Values of the labels -> a copy of what was added up to now, in sorted order."""
        with self._lock:
            return {
                key: Distribution(list(cell.counts), cell.sum)
                for key, cell in sorted(self._cells.items())
            }

    def lines(self, shown: str) -> Iterable[str]:
        """The samples under the name `shown`: the buckets cumulated, the sum, the count."""
        for values, cell in self.cells().items():
            labels = _pairs(self._labels, values)
            before = f"{labels}," if labels else ""
            total = 0
            for limit, count in zip((*self.limits, None), cell.counts):
                total += count
                end = "+Inf" if limit is None else f"{limit:g}"
                yield f'{shown}_bucket{{{before}le="{end}"}} {total}'
            yield f"{shown}_sum{{{labels}}} {cell.sum!r}"
            yield f"{shown}_count{{{labels}}} {total}"


def exponential(first: float, growth: float, count: int) -> list[float]:
    """`count` limits, each `growth` times the one before (TensorFlow: monitoring::Buckets::Exponential)."""
    limits = [first]
    while len(limits) < count:
        limits.append(limits[-1] * growth)
    return limits


def quantile(limits: Sequence[float], counts: Sequence[int], share: float) -> float:
    """The value that `share` of the values are below, as far as buckets tell; 0 without values.

    Within a bucket values count as evenly spread, and in the open last one as its lower end, as in Prometheus'
    `histogram_quantile`.

    Args:
        limits: `[n]` upper ends of the buckets, the open last one left out.
        counts: `[n + 1]` how many are in each.
        share: 0 to 1.
    """
    wanted = share * sum(counts)
    if not wanted:
        return 0.0
    below = 0
    lower = 0.0
    for limit, count in zip(limits, counts):
        if below + count >= wanted:
            return lower + (limit - lower) * (wanted - below) / count
        below += count
        lower = limit
    return lower


def page(metrics: Iterable[Counter | Histogram]) -> str:
    """The text page of all `metrics`, in the order of their names."""
    lines: list[str] = []
    for metric in sorted(metrics, key=lambda metric: metric.name):
        shown = re.sub("[^a-zA-Z0-9_]", ":", metric.name)
        lines.append(f"# TYPE {shown} {metric.kind}")
        lines.extend(metric.lines(shown))
    return "\n".join(lines) + "\n"


def _bounded(labels: tuple[str, ...], cells: dict) -> tuple[str, ...]:
    """The key of a cell: the labels, or those of all others once there are very many cells."""
    if labels in cells or len(cells) < _MAX_CELLS:
        return labels
    return (_OTHERS, *labels[1:])


def _pairs(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
