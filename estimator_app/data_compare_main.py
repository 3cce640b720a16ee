"""`estimator-train data compare A B`: how far B has drifted from A. A door; see `estimator_app.comparison`."""

from __future__ import annotations

from collections.abc import Sequence
import functools
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from absl import flags

from estimator_app import data_commands, program

if TYPE_CHECKING:
    from estimator_app import comparison

_USAGE = """
estimator-train data compare A B: how far the columns of B have drifted from those of A.

  estimator-train data compare train.csv.gz eval.csv.gz --html=drift.html
  estimator-train data compare runs/census/statistics.pbtxt new.parquet --max_drift=0.1

A and B are what --train_data takes, or a statistics.pbtxt. Of text the drift is the L-infinity distance of the two
distributions, of numbers their Jensen-Shannon divergence, of either the difference of the shares missing if that is
more: 0 is the same distribution, 1 has nothing in common. With --schema data is read by that schema, and the
thresholds of its drift_comparator or skew_comparator are limits as --max_drift is.
Exit codes: 0 no column is above a limit, 1 the work failed, 2 the request was wrong, 3 a column is above a limit.
"""

flags.DEFINE_float("max_drift", None, "Largest drift that a column may have, from 0 to 1.")
flags.DEFINE_enum(
    "comparator",
    "drift",
    ("drift", "skew"),
    "Whose thresholds in the schema are limits: drift_comparator, for data of another time, or skew_comparator, for "
    "data that is served.",
)
flags.DEFINE_string(
    "html", "", "Where to write a page with both histograms of each column laid over each other."
)
flags.FLAGS.set_default("bad_rows", "skip")

GROUPS = {
    "Data": data_commands.FLAGS,
    "Limits": ("max_drift", "comparator"),
    "Output": ("html", "progress"),
}


def cli() -> NoReturn:
    """Runs the program."""
    program.run(main, _USAGE, GROUPS)


def main(args: Sequence[str]) -> int:
    """Compares what the command line names; returns the exit code."""
    values = flags.FLAGS
    data_commands.require_arguments(args, ("A", "B"), "estimator-train data compare")
    if values.max_drift is not None and not 0 <= values.max_drift <= 1:
        program.fail(f"Expected --max_drift from 0 to 1, found {values.max_drift:g}. Correct it.")
    with data_commands.ending(values, values.html):
        found, lines = _compare(args[0], args[1], values)
    program.show("\n".join(lines))
    return program.EXIT_FOUND if found.broken else 0


def _compare(
    path_a: str, path_b: str, values: flags.FlagValues
) -> tuple[comparison.Comparison, list[str]]:
    # Here, so that --help and a wrong flag answer at once.
    from estimator_app import comparison, data_tables
    from estimator_app.pages import compare, layout
    from input_fns import schema_constraints

    if values.html:
        data_commands.make_folders(os.path.dirname(values.html) or ".")
    constraints = schema_constraints.read(values.schema) if values.schema else None
    first, second = (_side(path, values) for path in (path_a, path_b))
    found = comparison.compare(first, second, values.max_drift, constraints, values.comparator)
    lines = data_tables.compare(found, data_commands.width())
    if values.html:
        layout.write(compare.render(found), values.html)
        lines += ["", f"page      {values.html}"]
    return found, lines


def _side(path: str, values: flags.FlagValues) -> comparison.Side:
    from estimator_app import comparison, row_progress
    from input_fns import inference
    from input_fns import statistics as statistics_lib
    from input_fns import watched_sources

    if path.endswith(".pbtxt"):
        return comparison.Side(path, statistics_lib.read(path))
    settings = data_commands.settings_of(values, path)
    known, source = data_commands.open_source(settings, values.part)
    watch = functools.partial(row_progress.show, values.progress, sys.stderr)
    with watch(f"reading {path}") as add:
        scan = inference.scan(watched_sources.count_rows(source, add), settings, known)
    return comparison.Side(path, scan.statistics, scan.bad_rows)
