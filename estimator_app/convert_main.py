"""`estimator-train convert IN OUT`: data of one format to data of another. A door; see `input_fns.file_conversion`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import functools
import signal
import sys
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Optional

from absl import flags
from absl import logging as absl_logging

from estimator_app import data_flags, program
from input_fns import errors, writers

if TYPE_CHECKING:
    from input_fns import file_conversion, output_files

_USAGE = """
estimator-train convert IN OUT: writes data in another format, in one file or many.

  estimator-train convert 'data/*.csv.gz' out/train.tfrecord.gz --label_column=income --shards=8
  estimator-train convert out/train.parquet train.csv

IN is what --train_data takes: paths or globs, comma-separated. OUT's ending tells the format and the compression. The
rows keep their order, and what is missing stays missing. Beside OUT lie its schema and the statistics of its columns,
OUT.schema.pbtxt and OUT.statistics.pbtxt.
Exit codes: 0 done, 1 the work failed, 2 the request was wrong, 130 and 143 interrupted; if not 0, nothing was written.
"""

flags.DEFINE_enum(
    "part",
    "train",
    ("train", "eval"),
    "Which part to take of data that holds both, such as Keras' mnist.npz.",
)
flags.DEFINE_enum(
    "output_format",
    None,
    list(writers.WRITERS),
    "Format to write; default: told by OUT's ending.",
)
flags.DEFINE_enum(
    "compression",
    None,
    writers.COMPRESSIONS,
    "Compression to write; default: told by OUT's ending, zstd in Parquet.",
)
flags.DEFINE_integer(
    "shards", 1, "Files to write, with as many rows in each: OUT-00000-of-00008 and so on."
)
flags.DEFINE_bool("overwrite", False, "Replace what an earlier conversion wrote to OUT.")

GROUPS = {
    "Data": (*data_flags.NAMES, "part"),
    "Output": ("output_format", "compression", "shards", "overwrite", "progress"),
}


def cli() -> NoReturn:
    """Runs the program."""
    program.run(main, _USAGE, GROUPS)


def main(args: Sequence[str]) -> int:
    """Converts what the command line names; returns the exit code."""
    values = flags.FLAGS
    if len(args) != 2 or not all(args):
        program.fail(
            f"Expected two arguments, IN and OUT, found {' '.join(map(repr, args)) or 'none'}. Quote a glob, so that "
            "the shell does not expand it. Run estimator-train convert --help."
        )
    if not values["verbosity"].present:
        absl_logging.set_verbosity(absl_logging.WARNING)
    with _Signals() as signals:
        try:
            result, output = _convert(args[0], args[1], values, signals)
        except errors.InputError as error:
            program.fail(str(error))
        except OSError as error:
            program.fail(
                f"Expected to write {error.filename or args[1]}, found: {error.strerror or error}. Make room or "
                "permissions and start again; nothing was changed.",
                program.EXIT_FAILED,
            )
        except _Interrupted as interrupted:
            print("Interrupted; nothing was written.", file=sys.stderr)
            return interrupted.exit_code
    print("\n".join(_lines(result, output)))
    return 0


def _convert(
    path_in: str, path_out: str, values: flags.FlagValues, signals: _Signals
) -> tuple[file_conversion.Conversion, output_files.OutputSettings]:
    # Here, so that --help and a wrong flag answer at once.
    from estimator_app import row_progress
    from input_fns import file_conversion, output_files
    from input_fns import schema as schema_lib
    from input_fns import sources

    output = output_files.OutputSettings(
        path_out,
        values.output_format or "",
        values.compression or "",
        values.shards,
        values.overwrite,
    )
    eval_data = path_in if values.part == "eval" else ""
    settings = data_flags.input_settings_from_flags(values, train_data=path_in, eval_data=eval_data)
    known = None
    if settings.schema:
        known = schema_lib.read(settings.schema, settings.label_column, settings.weight_column)
    # Either may load TensorFlow.
    with program.quiet_native_start():
        source = sources.open_source(settings, values.part, known, needs_label=False)
        writers.load(output.format)
    watch = functools.partial(row_progress.show, values.progress, sys.stderr)
    return file_conversion.convert(source, settings, known, output, watch, signals.hold), output


class _Interrupted(BaseException):
    """A signal came. On its way up everything is put away."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


class _Signals:
    """Makes Ctrl-C and SIGTERM raise `_Interrupted` while it is entered."""

    def __init__(self) -> None:
        self._holding = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        self._before = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Lets nothing be interrupted: what is entered is the end of the work."""
        self._holding = True
        yield

    def _handle(self, signum: int, frame: Optional[FrameType]) -> None:
        del frame
        if not self._holding:
            raise _Interrupted(signum)


def _lines(result: file_conversion.Conversion, output: output_files.OutputSettings) -> list[str]:
    """What a person wants to read at the end, a line each."""
    rate = result.num_rows / max(result.seconds, 1e-3)
    read = f"{_files(result.num_files)} of {_size(result.bytes_in)}" if result.bytes_in else "rows"
    lines = [
        f"converted   {result.num_rows} rows in {result.seconds:.1f} s, {rate:.0f} rows/s",
        f"read        {read}",
        f"written     {_files(output.shards)} of {_size(result.bytes_out)}: {output.pattern}",
    ]
    if result.bad_rows:
        lines.append(f"bad rows    {result.bad_rows} skipped, kept in {result.bad_rows_path}")
    lines.append(f"schema      {result.schema_path}")
    lines.append(f"statistics  {result.statistics_path}")
    return lines


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _size(count: int) -> str:
    """Bytes as people say it, such as "1.2 MB"."""
    size, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.1f} {units[0]}" if units[0] != "bytes" else f"{count} bytes"
