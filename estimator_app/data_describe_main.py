"""`estimator-train data describe PATH`: what each column holds. A door; see `estimator_app.description`."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import functools
import os
import sys
from typing import NoReturn

from absl import flags

from estimator_app import data_commands, program

_USAGE = """
estimator-train data describe PATH: what each column holds, from one pass over the rows.

  estimator-train data describe 'data/*.csv.gz' --label_column=income --output_dir=out
  estimator-train data describe rows.parquet --html=rows.html

PATH is what --train_data takes: paths or globs, comma-separated. Prints tables; with --html writes a page with a
histogram for each column, which loads nothing from anywhere; with --output_dir the page (statistics.html), schema.pbtxt
and statistics.pbtxt in TFX's form, and bad_rows.csv if there are some.
Exit codes: 0 done, 1 the work failed, 2 the request was wrong, 130 and 143 interrupted.
"""

flags.DEFINE_string(
    "html", "", "Where to write the page; default: statistics.html in --output_dir."
)
flags.DEFINE_string("output_dir", "", "Folder for schema.pbtxt, statistics.pbtxt and the page.")
flags.FLAGS.set_default("bad_rows", "skip")

GROUPS = {"Data": data_commands.FLAGS, "Output": ("output_dir", "html", "progress")}


def cli() -> NoReturn:
    """Runs the program."""
    program.run(main, _USAGE, GROUPS)


def main(args: Sequence[str]) -> int:
    """Describes what the command line names; returns the exit code."""
    values = flags.FLAGS
    data_commands.require_arguments(args, ("PATH",), "estimator-train data describe")
    with data_commands.ending(values, values.output_dir or values.html):
        lines = _describe(args[0], values)
    program.show("\n".join(lines))
    return 0


def _describe(path: str, values: flags.FlagValues) -> list[str]:
    # Here, so that --help and a wrong flag answer at once.
    from estimator_app import data_tables, description, row_progress
    from estimator_app.pages import describe, layout
    from input_fns import bad_rows as bad_rows_lib
    from input_fns import schema as schema_lib
    from input_fns import statistics as statistics_lib

    settings = data_commands.settings_of(values, path)
    known, source = data_commands.open_source(settings, values.part)
    watch = functools.partial(row_progress.show, values.progress, sys.stderr)
    output_dir = values.output_dir
    html = values.html or (os.path.join(output_dir, "statistics.html") if output_dir else "")
    if html:
        data_commands.make_folders(output_dir or ".", os.path.dirname(html) or ".")
    with contextlib.ExitStack() as stack:
        writer = None
        if output_dir:
            bad_rows_path = os.path.join(output_dir, "bad_rows.csv")
            writer = stack.enter_context(bad_rows_lib.Writer(bad_rows_path))
        found = description.describe(source, settings, known, watch, writer)
    lines = data_tables.describe(found, data_commands.width())
    written = []
    if output_dir:
        schema_path = os.path.join(output_dir, "schema.pbtxt")
        statistics_path = os.path.join(output_dir, "statistics.pbtxt")
        schema_lib.write(found.scan.schema, schema_path)
        statistics_lib.write(found.scan.statistics, statistics_path)
        written += [f"schema      {schema_path}", f"statistics  {statistics_path}"]
    if html:
        layout.write(describe.render(found), html)
        written.append(f"page        {html}")
    return [*lines, *([""] if written else []), *written]
