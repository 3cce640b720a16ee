"""The flags that say how data is read: the same for every command that reads some.

A flag takes its default from the settings class that has the field, so a default is written once.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from absl import flags

from estimator_app import settings
from input_fns import formats
from input_fns import settings as input_settings

_INPUT = input_settings.InputSettings

flags.DEFINE_enum(
    "format",
    _INPUT.format or None,
    list(formats.FORMATS),
    "Format of your files; default: told by their endings.",
)
flags.DEFINE_list(
    "columns", list(_INPUT.columns), "Names of the columns of CSV files that have no header."
)
flags.DEFINE_string(
    "delimiter",
    _INPUT.delimiter,
    "What stands between cells of CSV; default: a comma, in .tsv a tab.",
)
flags.DEFINE_string("label_column", _INPUT.label_column, "Column to predict.")
flags.DEFINE_string(
    "weight_column",
    _INPUT.weight_column,
    "Numeric column that weighs each row in loss and metrics.",
)
flags.DEFINE_string(
    "schema",
    _INPUT.schema,
    "TFX schema.pbtxt to use instead of inferring one from the data.",
)
flags.DEFINE_enum(
    "task", _INPUT.task, input_settings.TASKS, "What the label is; auto decides from its values."
)
flags.DEFINE_enum(
    "bad_rows",
    _INPUT.bad_rows,
    input_settings.BAD_ROWS,
    "error: refuse the data at the first row that does not fit; skip: leave such rows out, count them and keep them in "
    "bad_rows.csv beside the results.",
)

NAMES = tuple(field.name for field in dataclasses.fields(_INPUT) if field.name in flags.FLAGS)

flags.DEFINE_enum(
    "progress",
    settings.TrainSettings.progress,
    settings.PROGRESS,
    "How progress is shown; auto: a bar on a terminal.",
)


def input_settings_from_flags(
    values: flags.FlagValues, **given: Any
) -> input_settings.InputSettings:
    """Returns the settings of the input that the parsed flags describe.

    Args:
      values: the flags; a field of the settings that has no flag there keeps its default.
      **given: fields that stand elsewhere on the command line.

    Raises:
      ValueError: a value, or a combination of values, that cannot be; one sentence.
    """
    return _INPUT(**section(_INPUT, values, format=values.format or "", **given))


def section(cls: type, values: flags.FlagValues, **given: Any) -> dict[str, Any]:
    """Returns the flags that are fields of a settings class, by name; those in `given` as they stand there."""
    found = {
        field.name: values[field.name].value
        for field in dataclasses.fields(cls)
        if field.name in values
    }
    return {**found, **given}
