"""Data of one format to data of another: one pass that finds the schema, one that writes the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import os
import time

import pyarrow as pa

from input_fns import bad_rows as bad_rows_lib
from input_fns import errors, inference, output_files
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources
from input_fns import statistics as statistics_lib
from input_fns import watched_sources, writers, writers_rows

# Called with a title and how many rows there are, if that is known; gives what is called with each block's rows.
Watch = Callable[[str, int | None], contextlib.AbstractContextManager[Callable[[int], None]]]


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What came of it.

    Attributes:
        schema: of the rows; inferred, or the given one with its label completed.
        num_rows: rows written.
        bad_rows: rows left out.
        num_files: how many files were read.
        bytes_in: their size; 0 if they are no files.
        bytes_out: size of the files of rows.
        schema_path: where the schema lies.
        statistics_path: where the statistics of the columns lie.
        bad_rows_path: where the rows left out are kept; empty if there are none.
        seconds: how long it took.
    """

    schema: schema_lib.Schema
    num_rows: int
    bad_rows: int
    num_files: int
    bytes_in: int
    bytes_out: int
    schema_path: str
    statistics_path: str
    bad_rows_path: str
    seconds: float


def convert(
    source: sources.Source,
    settings: settings_lib.InputSettings,
    known: schema_lib.Schema | None,
    output: output_files.OutputSettings,
    watch: Watch,
    uninterrupted: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> Conversion:
    """Writes the rows that fit, in order, typed as training sees them; what is missing stays missing.

    Memory is bounded by blocks of rows. Nothing is at its place before everything is complete.

    Args:
        source: the rows.
        settings: says what becomes of bad rows.
        known: the schema to hold them against; None infers it.
        output: what to write.
        watch: is told of the progress of each pass.
        uninterrupted: entered while the files are renamed into their places; no exception may come from a signal then.

    Raises:
        InputError: the rows cannot be read or the format cannot hold them, or files are in the way.
        OSError: the files cannot be written.
    """
    started = time.monotonic()
    _check_apart(source, output)
    with output_files.Staging(output) as staging:
        bad_rows_path = output.side_path("bad_rows.csv")
        with bad_rows_lib.Writer(staging.place(bad_rows_path)) as bad_rows:
            with watch("reading", None) as add:
                found = inference.scan(
                    watched_sources.count_rows(source, add), settings, known, bad_rows
                )
        types = writers_rows.arrow_schema(found.schema, source.column_names)
        _check_holds(output.format, found.schema, found.statistics, types)
        if found.num_rows < output.shards:
            raise errors.SettingsError(
                f"Expected at least a row for each of --shards={output.shards}, found {found.num_rows} rows. Lower "
                "--shards."
            )
        with watch("writing", found.num_rows) as add:
            batches = _watch(writers_rows.read(source, found.schema, settings), add)
            _write_shards(batches, found, types, output, staging)
        schema_path = output.side_path("schema.pbtxt")
        statistics_path = output.side_path("statistics.pbtxt")
        schema_lib.write(found.schema, staging.place(schema_path))
        statistics_lib.write(found.statistics, staging.place(statistics_path))
        with uninterrupted():
            published = staging.publish()
    return Conversion(
        found.schema,
        found.num_rows,
        found.bad_rows,
        len(source.files),
        _size(source.files),
        _size(output.paths),
        schema_path,
        statistics_path,
        bad_rows_path if bad_rows_path in published else "",
        time.monotonic() - started,
    )


def _watch(
    batches: Iterator[pa.RecordBatch], add: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        add(batch.num_rows)


def _write_shards(
    batches: Iterator[pa.RecordBatch],
    found: inference.ScanResult,
    types: pa.Schema,
    output: output_files.OutputSettings,
    staging: output_files.Staging,
) -> None:
    """Consecutive rows to each file, as many to each as to the others, or one more."""
    label = found.schema.label.name if found.schema.label else ""  # formats without names have one
    size, more = divmod(found.num_rows, output.shards)
    rest = (
        types.empty_table().to_batches()
    )  # of a block that is larger than what a file had room for
    for number, path in enumerate(output.paths):
        place = staging.place(path)
        with contextlib.closing(
            writers.load(output.format)(place, types, output.compression, label)
        ) as writer:
            left = size + (number < more)
            while left:
                rows = rest.pop() if rest else next(batches, None)
                if rows is None:
                    raise _changed(found)
                if rows.num_rows > left:
                    rest.append(rows.slice(left))
                    rows = rows.slice(0, left)
                writer.write(rows)
                left -= rows.num_rows
            writer.finish()
    if rest or next(batches, None) is not None:
        raise _changed(found)


def _check_holds(
    format_name: str,
    schema: schema_lib.Schema,
    statistics: statistics_lib.DatasetStatistics,
    types: pa.Schema,
) -> None:
    """Raises SchemaError if the format cannot hold the columns; the sentence names the first that it cannot hold.

    Args:
        format_name: a key of `writers.WRITERS`.
        schema: what the columns hold.
        statistics: how many values each misses.
        types: what `writers_rows.read` makes of them.
    """
    entry = writers.WRITERS[format_name]
    if entry.needs_label and schema.label is None:
        count = f"{len(schema.labels)} are named" if schema.labels else "there is none"
        raise errors.SchemaError(
            f"{entry.what} holds one label in each row, and {count}. Pass --label_column with one column."
        )
    if entry.needs_label and schema.weight is not None:
        raise errors.SchemaError(
            f"{entry.what} holds no weights. Leave out --weight_column, or choose another format."
        )
    for feature in schema.columns:
        missing = statistics.column(feature.name).missing
        fault = ""
        if feature.is_list:
            fault = "" if entry.lists else "it holds lists of different lengths"
        elif pa.types.is_string(types.field(feature.name).type) and not entry.text:
            fault = "it is text"
        elif entry.max_rank is not None and len(feature.shape) > entry.max_rank:
            fault = f"its values have the shape {feature.shape}"
        elif missing and feature.dtype not in entry.missing:
            kind = {"int64": "whole numbers", "float32": "numbers"}[feature.dtype]
            fault = f"{missing} of its {statistics.num_rows} {kind} are missing"
        if fault:
            raise errors.SchemaError(
                f"{entry.what} cannot hold column {feature.name!r}: {fault}. Choose another format, such as Parquet or "
                "TFRecord."
            )


def _size(paths: Sequence[str]) -> int:
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path))


def _changed(found: inference.ScanResult) -> errors.InputError:
    return errors.FileError(
        f"The data has changed while it was read: there were {found.num_rows} rows at first. Start again when nobody "
        "writes to it."
    )


def _check_apart(source: sources.Source, output: output_files.OutputSettings) -> None:
    """Raises SettingsError if a file would be read and replaced."""
    read = {os.path.realpath(path): path for path in source.files}
    for path in (*output.paths, *output.find_present()):
        if os.path.realpath(path) in read:
            raise errors.SettingsError(
                f"{path} would be read and written. Give another name, or a pattern that does not match it."
            )
