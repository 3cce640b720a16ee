"""`estimator-train convert IN OUT`: data of one format to data of another. A door; see `input_fns.file_conversion`."""

from __future__ import annotations

from collections.abc import Sequence
import functools
import sys
from typing import TYPE_CHECKING, NoReturn

from absl import flags

from estimator_app import data_commands, number_text, program, signals
from input_fns import writers

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
    "Data": data_commands.FLAGS,
    "Output": ("output_format", "compression", "shards", "overwrite", "progress"),
}


def cli() -> NoReturn:
    """Runs the program."""
    program.run(main, _USAGE, GROUPS)


def main(args: Sequence[str]) -> int:
    """Converts what the command line names; returns the exit code."""
    values = flags.FLAGS
    data_commands.require_arguments(args, ("IN", "OUT"), "estimator-train convert")
    with data_commands.ending(values, args[1]) as caught:
        result, output = _convert(args[0], args[1], values, caught)
    program.show("\n".join(_lines(result, output)))
    return 0


def _convert(
    path_in: str, path_out: str, values: flags.FlagValues, caught: signals.Signals
) -> tuple[file_conversion.Conversion, output_files.OutputSettings]:
    # Here, so that --help and a wrong flag answer at once.
    from estimator_app import row_progress
    from input_fns import file_conversion, output_files

    output = output_files.OutputSettings(
        path_out,
        values.output_format or "",
        values.compression or "",
        values.shards,
        values.overwrite,
    )
    settings = data_commands.settings_of(values, path_in)
    known, source = data_commands.open_source(settings, values.part)
    with program.quiet_native_start():  # a writer of TFRecord loads TensorFlow
        writers.load(output.format)
    watch = functools.partial(row_progress.show, values.progress, sys.stderr)
    return file_conversion.convert(source, settings, known, output, watch, caught.hold), output


def _lines(result: file_conversion.Conversion, output: output_files.OutputSettings) -> list[str]:
    """What a person wants to read at the end, a line each."""
    rate = result.num_rows / max(result.seconds, 1e-3)
    size = number_text.size(result.bytes_out)
    lines = [f"converted   {result.num_rows} rows in {result.seconds:.1f} s, {rate:.0f} rows/s"]
    if result.bytes_in:  # of a folder or a database nobody knows them
        read = number_text.size(result.bytes_in)
        lines.append(f"read        {number_text.files(result.num_files)} of {read}")
    lines.append(f"written     {number_text.files(output.shards)} of {size}: {output.pattern}")
    if result.bad_rows:
        lines.append(f"bad rows    {result.bad_rows} skipped, kept in {result.bad_rows_path}")
    lines.append(f"schema      {result.schema_path}")
    lines.append(f"statistics  {result.statistics_path}")
    return lines
