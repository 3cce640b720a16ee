"""Runs the sides of a benchmark in turn, each run in a process of its own, and prints medians and ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from typing import Any

_RESULT = "RESULT "


def heading(title: str) -> None:
    """Prints what is measured, on what."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("tensorflow", "tensorflow-estimator", "numpy", "pyarrow")
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"\n== {title}")
    print(
        f"   {versions}, Python {platform.python_version()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        flush=True,
    )


def report(value: Mapping[str, Any]) -> None:
    """Called by a side's process: hands its figures to the process that started it."""
    print(_RESULT + json.dumps(dict(value)), flush=True)


def measure(module: str, arguments: Sequence[str], python: str = sys.executable) -> dict[str, Any]:
    """Runs one side, `python -m module arguments`, and returns what it reported.

    Raises:
      RuntimeError: it failed or reported nothing; with the end of what it printed.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [python, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    for line in done.stdout.splitlines():
        if line.startswith(_RESULT):
            return json.loads(line[len(_RESULT) :])
    raise RuntimeError(
        f"{module} {' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )


def measure_in_turn(
    runs: int, sides: Mapping[str, Callable[[], dict[str, Any]]], figure: str
) -> dict[str, list[float]]:
    """Runs every side once, then every side again, `runs` times; returns side -> its figures."""
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(runs):
        for name, run in sides.items():
            value = float(run()[figure])
            figures[name].append(value)
            print(f"   turn {turn + 1}: {name:<28} {value:12,.1f} {figure}", flush=True)
    return figures


def ratio(ours: Sequence[float], other: Sequence[float]) -> float:
    """Returns the median of the ratios turn by turn, so that a machine that changes its speed counts on both sides."""
    return statistics.median(a / b for a, b in zip(ours, other))
