"""How much two stacks differ: the measure, the judgement and the tables of scripts/compare_stacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses
import math
from typing import Optional

import numpy as np

TARGET = 1e-6

# What is compared of each model on each stack, in the order of the tables.
ASPECTS = {
    "loss": "loss by step",
    "variables": "variables after 100 steps",
    "resumed_here": "resumed from the yardstick's step 50",
    "resumed_back": "resumed on the yardstick from step 50",
    "predictions": "predictions, one checkpoint",
    "metrics": "metrics, one checkpoint",
    "exports": "answers of exports, each loaded on each",
    "served": "answers of estimator-serve",
}

# Training that is not the same twice on one stack is not compared between stacks.
_TRAINED = ("loss", "variables", "resumed_here", "resumed_back")


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the largest difference of two arrays, relative to the largest magnitude in either; 0 if bit-equal.

    Relative to the array's scale, not entry by entry: an entry near zero is a sum of larger ones, and its last digits
    are theirs. Other shapes, other text, or a number against NaN is infinitely different.
    """
    if one.shape != other.shape:
        return math.inf
    if one.dtype.kind in "USO" or other.dtype.kind in "USO":
        return 0.0 if np.array_equal(one, other) else math.inf
    if np.array_equal(one, other, equal_nan=True):
        return 0.0
    left, right = one.astype(np.float64), other.astype(np.float64)
    if not np.array_equal(np.isnan(left), np.isnan(right)):
        return math.inf
    scale = max(np.nanmax(np.abs(left)), np.nanmax(np.abs(right)))
    return float(np.nanmax(np.abs(left - right)) / scale)


def largest(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], prefix: str = ""
) -> tuple[float, str]:
    """Returns the largest `difference` of two sets of arrays, those whose names begin with `prefix`, and its name.

    A name that only one of them has is infinitely different.
    """
    names = sorted(name for name in {*one, *other} if name.startswith(prefix))
    found = [
        (
            difference(one[name], other[name]) if name in one and name in other else math.inf,
            name[len(prefix) :],
        )
        for name in names
    ]
    return max(found, default=(math.inf, "nothing to compare"))


def largest_by_step(one: np.ndarray, other: np.ndarray) -> tuple[float, str]:
    """Returns the largest relative difference of one loss, and its step."""
    if one.shape != other.shape:
        return math.inf, f"{one.size} against {other.size} steps"
    found = [difference(a[None], b[None]) for a, b in zip(one, other)]
    step = int(np.argmax(found))
    return found[step], f"step {step}"


@dataclasses.dataclass
class Row:
    """One model on one stack, against the same model on the yardstick.

    Attributes:
      model: name of the case.
      stack: name of the stack.
      yardstick: name of the stack that it is compared with.
      limit: the largest difference that is accepted.
      noise: difference of the variables of two runs on the yardstick; above 0, training is not judged.
      differences: aspect -> difference and the array or step that has it.
      errors: what failed, in the words of the failure.
    """

    model: str
    stack: str
    yardstick: str
    limit: float = TARGET
    noise: float = 0.0
    differences: dict[str, tuple[float, str]] = dataclasses.field(default_factory=dict)
    errors: list[str] = dataclasses.field(default_factory=list)

    def add(self, aspect: str, found: tuple[float, str]) -> None:
        """Keeps the larger of what is known of the aspect and `found`."""
        self.differences[aspect] = max(self.differences.get(aspect, (0.0, "")), found)

    def judged(self) -> dict[str, float]:
        """Returns aspect -> difference, of the aspects that count."""
        return {
            aspect: value
            for aspect, (value, _) in self.differences.items()
            if not (self.noise and aspect in _TRAINED)
        }

    def misses(self) -> list[str]:
        """Returns one sentence for everything that misses its target."""
        found = [
            f"{self.model} on {self.stack}: {ASPECTS[aspect]} differ by {value:.1e} "
            f"({self.differences[aspect][1]}), more than {self.limit:.0e}"
            for aspect, value in self.judged().items()
            if not value <= self.limit
        ]
        return found + [f"{self.model} on {self.stack}: {error}" for error in self.errors]


def show(value: Optional[float]) -> str:
    """Returns a difference as a table shows it."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    return "different" if math.isinf(value) else f"{value:.0e}".replace("e-0", "e-")


def table_by_stack(rows: Iterable[Row]) -> str:
    """Returns the Markdown table with one line a stack: the largest difference of any model, aspect by aspect."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.yardstick, row.stack), []).append(row)
    lines = [["from", "to", "models", "all bits equal", *ASPECTS.values()]]
    for (yardstick, stack), members in groups.items():
        equal = sum(not any(row.judged().values()) and not row.errors for row in members)
        cells = [yardstick, stack, str(len(members)), str(equal)]
        for aspect in ASPECTS:
            values = [row.judged()[aspect] for row in members if aspect in row.judged()]
            cells.append(show(max(values, default=None)))
        lines.append(cells)
    return _markdown(lines)


def table_by_model(rows: Iterable[Row]) -> str:
    """Returns the Markdown table with one line a model: the largest difference on any stack, aspect by aspect."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.yardstick, row.model), []).append(row)
    lines = [["model", "from", *ASPECTS.values(), "limit"]]
    for (yardstick, model), members in groups.items():
        cells = [f"`{model}`", yardstick]
        for aspect in ASPECTS:
            values = [row.judged()[aspect] for row in members if aspect in row.judged()]
            unjudged = any(aspect in row.differences for row in members)
            cells.append(show(max(values)) if values else "n/a" if unjudged else "")
        lines.append([*cells, show(members[0].limit)])
    return _markdown(lines)


def table_of_kernels(kernels: Mapping[str, Mapping[str, float]]) -> str:
    """Returns the Markdown table of stack -> kernel -> difference: those kernels that differ anywhere."""
    names = sorted({name for found in kernels.values() for name, value in found.items() if value})
    lines = [["kernel", *kernels]]
    lines += [[name, *(show(found.get(name)) for found in kernels.values())] for name in names]
    return _markdown(lines)


def _markdown(lines: list[list[str]]) -> str:
    head, *body = lines
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *body])
