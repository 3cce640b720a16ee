"""`estimator-train data validate PATH`: what does not fit a schema. A door; see `input_fns.validation`."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from absl import flags

from estimator_app import data_commands, program
from input_fns import errors

if TYPE_CHECKING:
    from input_fns import schema_constraints, validation

_USAGE = """
estimator-train data validate PATH --schema=schema.pbtxt: everything that does not fit the schema, from one pass.

  estimator-train data validate new.csv.gz --schema=runs/census/schema.pbtxt
  estimator-train data validate 'new/*.parquet' --schema=schema.pbtxt --statistics=statistics.pbtxt --output_dir=out

PATH is what --train_data takes. Prints a line for each anomaly, by the names of TFX: columns that are missing or new,
values of another type, out of the vocabulary or the range, missing where one is required. Beside types and domains the
schema's presence, distribution_constraints, dataset_constraints and environments are honoured. With --statistics shares
of missing values are held against them, and so are distributions where the schema has a drift_comparator.
Exit codes: 0 no anomaly, 1 the work failed, 2 the request was wrong, 3 anomalies were found.
"""

flags.DEFINE_string("statistics", "", "statistics.pbtxt of data that is known to be good.")
flags.DEFINE_string(
    "environment", "TRAINING", "The schema's environment that PATH is of; SERVING has no label."
)
flags.DEFINE_string("output_dir", "", "Folder for anomalies.pbtxt, TFX's Anomalies message.")

_DECIDED = ("bad_rows", "task")  # by the schema
_DATA = tuple(name for name in data_commands.FLAGS if name not in _DECIDED)
GROUPS = {
    "Data": _DATA,
    "Checks": ("statistics", "environment"),
    "Output": ("output_dir", "progress"),
}


def cli() -> NoReturn:
    """Runs the program."""
    program.run(main, _USAGE, GROUPS)


def main(args: Sequence[str]) -> int:
    """Validates what the command line names; returns the exit code."""
    values = flags.FLAGS
    data_commands.require_arguments(args, ("PATH",), "estimator-train data validate")
    for name in _DECIDED:
        if values[name].present:
            program.fail(
                f"Expected no --{name}, since the schema alone decides what fits; found {values[name].value}. Leave "
                "it out."
            )
    if not values.schema:
        program.fail(
            "Expected --schema, the schema.pbtxt to hold the data against, found none. estimator-train data describe "
            "--output_dir=... writes one from data that is known to be good."
        )
    with data_commands.ending(values, values.output_dir):
        found, lines = _validate(args[0], values)
    program.show("\n".join(lines))
    return program.EXIT_FOUND if found.anomalies else 0


def _check_environment(environment: str, constraints: schema_constraints.SchemaConstraints) -> None:
    """Raises SettingsError for a name that the schema does not know, by which every column would be expected."""
    of_columns = (name for column in constraints.columns.values() for name in column.environments)
    known = dict.fromkeys((*constraints.environments, *of_columns))
    if known and environment not in known:
        raise errors.SettingsError(
            f"Expected --environment to be one of the schema's ({', '.join(known)}), found {environment!r}. Correct "
            "the name."
        )


def _validate(path: str, values: flags.FlagValues) -> tuple[validation.Validation, list[str]]:
    # Here, so that --help and a wrong flag answer at once.
    from estimator_app import row_progress
    from input_fns import (
        anomalies,
        schema,
        schema_constraints,
        statistics,
        validation,
        watched_sources,
    )

    if values.output_dir:
        data_commands.make_folders(values.output_dir)
    expected = schema.read(values.schema, values.label_column, values.weight_column)
    constraints = schema_constraints.read(values.schema)
    if values["environment"].present:
        _check_environment(values.environment, constraints)
    earlier = statistics.read(values.statistics) if values.statistics else None
    # What the schema calls label and weight may be missing, so nothing is opened by them.
    settings = dataclasses.replace(
        data_commands.settings_of(values, path), schema="", label_column="", weight_column=""
    )
    watch = functools.partial(row_progress.show, values.progress, sys.stderr)
    try:
        _, source = data_commands.open_source(settings, values.part)
        with watch("reading") as add:
            watched = watched_sources.count_rows(source, add)
            found = validation.validate(watched, expected, constraints, earlier, values.environment)
    except errors.EmptyFileError as error:
        found = validation.of_no_rows(str(error))
    lines = [
        f"{anomaly.column or 'all columns'}: {anomaly.short} ({anomaly.type}). {anomaly.description}"
        for anomaly in found.anomalies
    ]
    kinds = f"{len(lines):,} {'anomaly' if len(lines) == 1 else 'anomalies'}"
    lines.append(f"{found.num_rows:,} rows, {kinds if lines else 'no anomaly'}")
    if values.output_dir:
        anomalies_path = os.path.join(values.output_dir, "anomalies.pbtxt")
        anomalies.write(found.anomalies, anomalies_path, found.drifts)
        lines.append(f"anomalies  {anomalies_path}")
    return found, lines
