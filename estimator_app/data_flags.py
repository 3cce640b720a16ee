"""The flags that say how data is read: the same for every command that reads some.

A flag takes its default from the settings class that has the field, so a default is written once.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from absl import flags

from estimator_app import settings
from input_fns import errors, formats
from input_fns import settings as input_settings

_INPUT = input_settings.InputSettings

flags.DEFINE_string(
    "train_query",
    _INPUT.train_query,
    "SELECT of the rows to take, or to train on, from data that is a database's URL.",
)
flags.DEFINE_string(
    "eval_query",
    _INPUT.eval_query,
    "SELECT of the rows to evaluate on; without --eval_data, of --train_data's database.",
)
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
flags.DEFINE_list(
    "image_size",
    [str(size) for size in _INPUT.image_size],
    "HEIGHT,WIDTH to which images of a folder are resized; default: the size that all have.",
)
flags.DEFINE_integer(
    "image_channels", _INPUT.image_channels, "1: grey, 3: colour; default: as the first image."
)
flags.DEFINE_float(
    "validation_share",
    _INPUT.validation_share,
    "Of a folder of images without a part for evaluation, the share that is kept for it.",
)
flags.DEFINE_string(
    "label_column", _INPUT.label_column, "Column to predict, or several separated by commas."
)
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
    "task",
    _INPUT.task,
    input_settings.TASKS,
    "What the label is; auto decides from its values. multi_label: 0 and 1 of classes that do not exclude each other, "
    "in a column each or in one of vectors.",
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
      SettingsError: a value, or a combination of values, that cannot be; one sentence.
    """
    image_size = numbers("image_size", values, "224,224")
    return _INPUT(
        **section(_INPUT, values, format=values.format or "", image_size=image_size, **given)
    )


def numbers(name: str, values: flags.FlagValues, example: str, kind: type = int) -> tuple[Any, ...]:
    """Returns the flag of that name, a list of numbers: whole ones, or with `kind` float any.

    Raises:
      SettingsError: it is one of something else; the sentence shows the example.
    """
    texts = values[name].value or []
    try:
        return tuple(kind(number) for number in texts)
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise errors.SettingsError(
            f"Expected --{name} to be {what} such as {example}; found '{','.join(texts)}'."
        ) from None


def section(cls: type, values: flags.FlagValues, **given: Any) -> dict[str, Any]:
    """Returns the flags that are fields of a settings class, by name; those in `given` as they stand there."""
    found = {
        field.name: values[field.name].value
        for field in dataclasses.fields(cls)
        if field.name in values
    }
    return {**found, **given}
