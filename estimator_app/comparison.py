"""Two data sets side by side: how far each column has drifted, and which limits that breaks."""

from __future__ import annotations

import dataclasses
from typing import Optional

from input_fns import drift, errors, schema_constraints
from input_fns import statistics as statistics_lib

COMPARATORS = ("drift", "skew")


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
      name: for a person.
      statistics: of its columns.
      bad_rows: rows that were left out.
    """

    name: str
    statistics: statistics_lib.DatasetStatistics
    bad_rows: int = 0

    @property
    def rows(self) -> str:
        """How many there are, for a person."""
        bad = f", bad rows left out: {self.bad_rows:,}" if self.bad_rows else ""
        return f"{self.statistics.num_rows:,} rows{bad}"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Both and what they differ in.

    Attributes:
      first: what is compared against, such as the training data.
      second: what may have drifted.
      found: by column.
      broken: column -> the limits it is above, such as "--max_drift=0.1"; only those that are.
    """

    first: Side
    second: Side
    found: drift.Comparison
    broken: dict[str, list[str]]


def compare(
    first: Side,
    second: Side,
    max_drift: Optional[float] = None,
    constraints: Optional[schema_constraints.SchemaConstraints] = None,
    comparator: str = "drift",
) -> Comparison:
    """Compares the columns that both have.

    Args:
      first: what is compared against.
      second: what may have drifted.
      max_drift: no column may drift more; None is no limit.
      constraints: a schema's, whose thresholds are limits as well.
      comparator: which of them: "drift" takes drift_comparator, "skew" takes skew_comparator.
    """
    found = drift.compare(first.statistics, second.statistics)
    broken: dict[str, list[str]] = {}
    for column in found.columns:
        limits = [("--max_drift", column.drift, max_drift)]
        if constraints is not None and column.name in constraints.columns:
            of_column = constraints.columns[column.name]
            thresholds = of_column.drift if comparator == "drift" else of_column.skew
            limits += [
                ("infinity_norm", column.infinity_norm or 0.0, thresholds.infinity_norm),
                (
                    "jensen_shannon_divergence",
                    column.jensen_shannon or 0.0,
                    thresholds.jensen_shannon,
                ),
            ]
        above = [
            f"{name} {limit:g}"
            for name, value, limit in limits
            if limit is not None and value > limit
        ]
        if above:
            broken[column.name] = above
    return Comparison(first, second, found, broken)


def require_alike(first: Side, second: Side, max_drift: float) -> None:
    """Refuses data that has drifted.

    Args:
      first: what is compared against.
      second: what may have drifted.
      max_drift: no column may drift more.

    Raises:
      InputError: one does, or the first's statistics are of a version that kept no distributions.
    """
    found = compare(first, second, max_drift)
    for column in found.found.columns:
        counts = [side.statistics.column(column.name).count for side in (first, second)]
        if column.jensen_shannon is None and all(counts):
            raise errors.InputError(
                f"Expected statistics of {first.name} with a histogram of {column.name!r}, for --max_drift; found "
                "none, they are of an earlier version. Leave out --max_drift, or start in a new --model_dir."
            )
    if found.broken:
        worst = found.found.columns[0]
        changes = [worst.note] if worst.note else []
        if worst.missing[0] != worst.missing[1]:
            changes.append(f"missing {worst.missing[0]:.1%} → {worst.missing[1]:.1%}")
        others = len(found.broken) - 1
        more = f"; {others} more above it" if others else ""
        raise errors.InputError(
            f"Expected {second.name} to be like {first.name}, with a drift of at most --max_drift={max_drift:g} in "
            f"each column; found {worst.drift:.3f} in {worst.name!r} ({', '.join(changes)}{more}). Look at both "
            "with estimator-train data compare, correct the data, or raise --max_drift."
        )
