"""`estimator-train`: flags -> settings -> train, evaluate, export. A door; the story is in `estimator_app.run`.

What else it can do is told by its first argument, and lies in a module for each such command.
"""

from __future__ import annotations

from collections.abc import Sequence
import importlib
import os
import sys
from typing import NoReturn

from absl import flags as absl_flags

from estimator_app import program, tf_verbosity

# Command -> its module, whose `cli` runs it.
COMMANDS = {"convert": "estimator_app.convert_main", "data": "estimator_app.data_main"}

_USAGE = """
estimator-train: trains, evaluates and exports an Estimator.

  estimator-train --data=census --model=dnn_linear --model_dir=runs/census
  estimator-train --train_data='train*.csv.gz' --eval_data=eval.csv --label_column=price \\
      --model=dnn --model_dir=runs/prices

A second start with the same --model_dir goes on where the first ended. TF_CONFIG is honoured.

Other commands, each with a --help of its own:

  estimator-train convert IN OUT     writes data in another format, in one file or many
  estimator-train data describe PATH what data holds, with a page of histograms; data --help has more such commands

Exit codes: 0 done, 1 the work failed, 2 the request was wrong, 130 and 143 interrupted after a checkpoint.
"""


def cli() -> NoReturn:
    """Runs the program, or the command that its first argument names."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in COMMANDS:
        sys.argv[:2] = [f"{sys.argv[0]} {command}"]
        importlib.import_module(COMMANDS[command]).cli()
    # Here, so that a command knows only the flags that it takes.
    from estimator_app import flags

    program.run(main, _USAGE, flags.GROUPS)


def main(args: Sequence[str]) -> int:
    """Runs one job from the parsed flags; returns the exit code."""
    from estimator_app import flags

    if args:
        program.fail(
            f"Expected flags, or one of {', '.join(COMMANDS)} before any flag, found '{args[0]}'. Run estimator-train "
            f"--help for the list of flags."
        )
    try:
        settings = flags.settings_from_flags(absl_flags.FLAGS)
    except ValueError as error:
        program.fail(str(error))

    print("Loading TensorFlow ...", file=sys.stderr, flush=True)
    level = absl_flags.FLAGS.tf_verbosity
    if level == "debug":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0")
    # Here, so that --help and a wrong flag answer before TensorFlow is loaded.
    try:
        with program.quiet_native_start():
            from estimator_app import compat, failures, interruption, run
    except KeyboardInterrupt:
        print("Interrupted while TensorFlow was loading; nothing was done.", file=sys.stderr)
        return 130
    except ImportError as error:  # a TensorFlow that cannot run Estimators says so, and what to do
        program.fail(str(error))

    tf_verbosity.apply(level, compat.quiet)
    try:
        result = run.run(settings, progress_stream=sys.stderr)
    except interruption.Interrupted as interrupted:
        print(run.describe_interruption(settings, interrupted), file=sys.stderr)
        return interrupted.exit_code
    except Exception as error:  # pylint: disable=broad-exception-caught
        code, sentence = failures.explain(error)
        if code is None:
            raise
        program.fail(sentence, code)
    print("\n".join(result.lines()))
    return 0


if __name__ == "__main__":
    cli()
