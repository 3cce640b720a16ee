"""`estimator-train data bench`: what a training waits for. A door; see `estimator_app.input_doctor`."""

from __future__ import annotations

from collections.abc import Sequence
import sys
import tempfile
from typing import TYPE_CHECKING, NoReturn

from absl import flags as absl_flags

from estimator_app import flags, number_text, program, tf_verbosity

if TYPE_CHECKING:
    from estimator_app import input_doctor

_USAGE = """
estimator-train data bench: what a training waits for (disk, input or model), and what would help.

  estimator-train data bench --train_data='train*.csv' --label_column=price --model=dnn --batch_size=256

Takes the flags of a job and times each stage of its input, its model on one batch over and over, and its training. It
trains in a temporary directory; --model_dir and evaluation data are not looked at.
Exit codes: 0 done, 1 the work failed, 2 the request was wrong, 130 interrupted.
"""

absl_flags.DEFINE_float("secs", 3.0, "Seconds for each measurement.", lower_bound=0.1)

GROUPS = {"Data": flags.GROUPS["Data"], "Model": flags.GROUPS["Model"], "Output": ("secs",)}


def cli() -> NoReturn:
    """Runs the program."""
    program.run(main, _USAGE, GROUPS)


def main(args: Sequence[str]) -> int:
    """Times the job that the flags describe; returns the exit code."""
    values = absl_flags.FLAGS
    if args:
        program.fail(
            f"Expected flags only, found '{args[0]}'. Run estimator-train data bench --help for the list of flags."
        )
    if not values.secs < float("inf"):
        program.fail(f"Expected a finite --secs, found {values.secs:g}. Leave it out for 3.")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        values["model_dir"].value = directory
        values["progress"].value = "none"
        try:
            settings = flags.settings_from_flags(values)
        except ValueError as error:
            program.fail(str(error))
        print("Loading TensorFlow ...", file=sys.stderr, flush=True)
        try:
            with program.quiet_native_start():
                from estimator_app import compat, failures, input_doctor
        except ImportError as error:
            program.fail(str(error))
        tf_verbosity.apply("error", compat.quiet)
        try:
            found = input_doctor.diagnose(settings, values.secs, _say)
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            return 130
        except Exception as error:  # pylint: disable=broad-exception-caught
            code, sentence = failures.explain(error)
            if code is None:
                raise
            program.fail(sentence, code)
    print("\n".join([*_table(found), "", *_verdict(found), *input_doctor.advice(found)]))
    return 0


def _say(name: str) -> None:
    print(f"timing: {name} ...", file=sys.stderr, flush=True)


def _table(found: input_doctor.Diagnosis) -> list[str]:
    size = found.batch_size
    rows = [("first pass", found.first_pass, "schema and statistics, once a job")]
    rows += [(stage.name, stage.rows_per_sec, stage.what) for stage in found.stages]
    if found.cached is not None:
        rows.append(("cached", found.cached, "batches in TensorFlow with --cache=memory"))
    rows.append(("model", found.model * size, "steps on one batch over and over"))
    rows.append(("training", found.training * size, "steps on the data"))
    lines = [f"{'stage':<11}{'rows/s':>14}{f'batches/s of {size}':>21}"]
    for name, rate, what in rows:
        shown = number_text.short(round(rate)), number_text.short(round(rate / size))
        lines.append(f"{name:<11}{shown[0]:>14}{shown[1]:>21}   {what}")
    return lines


def _verdict(found: input_doctor.Diagnosis) -> list[str]:
    share = f"Training reaches {found.share:.0%} of what the model does alone"
    if found.bound == "model":
        return [f"{share}: the model is what it waits for."]
    return [f"{share}: it waits for the {found.bound}, most for the stage '{found.slowest.name}'."]
