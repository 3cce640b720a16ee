"""What every command that reads data and trains nothing does the same way: how it is asked, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Optional

from absl import flags
from absl import logging as absl_logging

from estimator_app import data_flags, program, signals
from input_fns import errors
from input_fns import settings as input_settings

if TYPE_CHECKING:
    from input_fns import schema as schema_lib
    from input_fns import sources

flags.DEFINE_enum(
    "part",
    "train",
    ("train", "eval"),
    "Which part to take of data that holds both, such as Keras' mnist.npz.",
)

_WIDTH = 160  # of a table that is not shown on a terminal

FLAGS = (*data_flags.NAMES, "part")


@contextlib.contextmanager
def ending(values: flags.FlagValues, target: str) -> Iterator[signals.Signals]:
    """Ends the program with one sentence and an exit code if what is entered fails or is interrupted.

    Args:
      values: the flags.
      target: what is written, where the system does not name it.
    """
    if not values["verbosity"].present:
        absl_logging.set_verbosity(absl_logging.WARNING)
    with signals.Signals() as caught:
        try:
            yield caught
        except errors.InputError as error:
            program.fail(str(error))
        except OSError as error:
            program.fail(
                f"Expected to write {error.filename or target}, found: {error.strerror or error}. Make room or "
                "permissions and start again; nothing was changed.",
                program.EXIT_FAILED,
            )
        except signals.Interrupted as interrupted:
            print("Interrupted; nothing was written.", file=sys.stderr)
            sys.exit(interrupted.exit_code)


def require_arguments(args: Sequence[str], names: Sequence[str], command: str) -> None:
    """Ends the program with a sentence if other arguments are given than these.

    Args:
      args: what stands on the command line beside the flags.
      names: what `--help` calls those that are expected, one or two.
      command: the program and its command.
    """
    if len(args) != len(names) or not all(args):
        number = "one argument" if len(names) == 1 else "two arguments"
        program.fail(
            f"Expected {number}, {' and '.join(names)}, found {' '.join(map(repr, args)) or 'none'}. Quote a glob, so "
            f"that the shell does not expand it. Run {command} --help."
        )


def make_folders(*folders: str) -> None:
    """Makes the folders that are to be written to, unless they are there; before the work, so that none is in vain.

    Raises:
      SettingsError: one cannot be made or written to.
    """
    for folder in folders:
        try:
            os.makedirs(folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise errors.SettingsError(
                f"Expected {folder} to be a folder that can be written to, found: {error.strerror}. Choose another "
                "one, or make room and permissions."
            ) from error


def width() -> int:
    """Returns how wide a table may be, in characters."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH


def settings_of(values: flags.FlagValues, path: str) -> input_settings.InputSettings:
    """Returns how the data at `path` is read.

    Raises:
      InputError: a value, or a combination of values, that cannot be.
    """
    eval_data = path if values.part == "eval" else ""
    return data_flags.input_settings_from_flags(values, train_data=path, eval_data=eval_data)


def open_source(
    settings: input_settings.InputSettings, part: str
) -> tuple[Optional[schema_lib.Schema], sources.Source]:
    """Returns the schema that the settings name, if they do, and the rows; a label is not needed.

    Raises:
      InputError: the files are not there or not usable.
    """
    # Here, so that --help and a wrong flag answer at once.
    from input_fns import schema as schema_lib
    from input_fns import sources

    known = None
    if settings.schema:
        known = schema_lib.read(settings.schema, settings.label_column, settings.weight_column)
    # A reader of some formats loads TensorFlow.
    with program.quiet_native_start():
        return known, sources.open_source(settings, part, known, needs_label=False)
