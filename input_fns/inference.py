"""One pass over the data: its schema, its statistics, and the rows that do not fit."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np

from input_fns import bad_rows as bad_rows_lib
from input_fns import blocks, column_scans, conversion, errors, histograms, label_scans
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources
from input_fns import statistics as statistics_lib

_EXAMPLES = 10
_MANY_COLUMNS = 100  # from here on a column's statistics are shorter

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ScanResult:
    """What the pass found.

    Attributes:
        schema: inferred, or the given one with its labels completed.
        statistics: of every column, over the good rows.
        num_rows: good rows.
        bad_rows: rows left out.
        first_bad_rows: the first of them, at most ten.
    """

    schema: schema_lib.Schema
    statistics: statistics_lib.DatasetStatistics
    num_rows: int
    bad_rows: int = 0
    first_bad_rows: tuple[blocks.BadRow, ...] = ()


def scan(
    source: sources.Source,
    settings: settings_lib.InputSettings,
    schema: schema_lib.Schema | None = None,
    bad_rows: bad_rows_lib.Writer | None = None,
) -> ScanResult:
    """Reads every row once.

    A column is numeric when at least 90 % of the filled cells in the first block of rows are
    numbers; whether it is int64 or float32, its range, its vocabulary and its default come from the
    whole pass. With a schema the same pass holds the rows against it.

    Args:
        source: the rows.
        settings: says what becomes of bad rows.
        schema: a given one, or that of the training data when evaluation data is scanned.
        bad_rows: where bad rows are kept, if they are skipped.

    Raises:
        BadRowError: a row does not fit, and `settings.bad_rows` is "error".
        InputError: the columns are not the schema's, or no usable row is left.
    """
    columns = _make_columns(source, schema)
    converter = None if schema is None else conversion.Converter(schema, with_label=True)
    count, bad_count = 0, 0
    examples: list[blocks.BadRow] = []
    for shard in source.shards:
        for raw in source.read(shard):
            converted = {name: column.read(raw, converter) for name, column in columns.items()}
            bad = conversion.find_bad_rows(raw, converted)
            good = None
            if len(bad) > len(raw.misshapen):
                good = ~np.logical_or.reduce([column.bad for column in converted.values()])
            for row in bad:
                if settings.bad_rows == "error":
                    raise to_error(row)
                if bad_rows is not None:
                    bad_rows.add(row)
            examples += bad[: _EXAMPLES - len(examples)]
            bad_count += len(bad)
            count += len(raw.rows) if good is None else int(good.sum())
            for name, column in columns.items():
                column.update(raw, converted[name], good)
    if not count:
        if not examples:
            raise errors.EmptyFileError(f"{', '.join(source.files)} holds no row. Give it rows.")
        raise errors.InputError(
            f"None of the {bad_count} rows of {', '.join(source.files)} fits. The first: row "
            f"{examples[0].row}, expected {examples[0].expected}, found {examples[0].value!r}."
        )
    if bad_count:
        _logger.info("%d bad rows were left out, %d rows are used.", bad_count, count)
    summaries = [column.summary() for column in columns.values()]
    if len(summaries) > _MANY_COLUMNS:  # else a table of 784 pixels has 11 MB of statistics
        summaries = [
            (
                dataclasses.replace(summary, quantiles=histograms.coarser(summary.quantiles))
                if isinstance(summary, statistics_lib.NumericStatistics)
                else summary
            )
            for summary in summaries
        ]
    return ScanResult(
        _to_schema(columns, source),
        statistics_lib.DatasetStatistics(count, tuple(summaries)),
        count,
        bad_count,
        tuple(examples),
    )


def to_error(bad: blocks.BadRow) -> errors.BadRowError:
    """The row as the error that refuses it."""
    return errors.BadRowError(bad.path, bad.row, bad.column, bad.value, bad.expected)


def _make_columns(
    source: sources.Source, schema: schema_lib.Schema | None
) -> dict[str, column_scans.ColumnScan]:
    """One scan a column, in the schema's order: features, labels, weight."""
    labels, weight = source.label_columns, source.weight_column
    if schema is None:
        source.check_columns(source.column_names, source.column_names)
        features = {name: None for name in source.column_names if name not in (*labels, weight)}
        declared: dict[str, schema_lib.Feature | None] = dict(features)
    else:
        declared = {f.name: f for f in schema.columns if f.name not in (*labels, weight)}
        needed = [*declared, *filter(None, (*labels, weight))]
        source.check_columns(needed, needed)
    columns = {name: column_scans.ColumnScan(name, feature) for name, feature in declared.items()}
    for label in labels:
        known_label = _known_label(label, schema, source)
        columns[label] = label_scans.LabelScan(label, source.task, known_label)
    if weight:
        known = schema.weight if schema and schema.weight and schema.weight.name == weight else None
        columns[weight] = label_scans.WeightScan(weight, known)
    return columns


def _known_label(
    name: str, schema: schema_lib.Schema | None, source: sources.Source
) -> schema_lib.Feature | None:
    """The schema's label of that name, if its kind is told."""
    declared = {label.name: label for label in schema.labels} if schema else {}
    if schema is None or name not in declared:
        return None
    try:
        task = "multi_label" if schema.multi_label else schema_lib.label_task(declared[name])
    except errors.SchemaError:
        return None  # the pass finds the classes
    if source.task == "multi_label" and not schema.multi_label:
        return None  # the pass finds whether it is 0 and 1
    if source.task not in ("auto", task):
        raise errors.SchemaError(
            f"--task={source.task}, but the schema's label {name!r} is one of {task} "
            f"({declared[name].dtype}). Change one of them."
        )
    return declared[name]


def _to_schema(
    columns: dict[str, column_scans.ColumnScan], source: sources.Source
) -> schema_lib.Schema:
    features = {name: column.feature() for name, column in columns.items()}
    labels = tuple(features.pop(name) for name in source.label_columns)
    weight = features.pop(source.weight_column, None)
    multi_label = source.task == "multi_label" and bool(labels)
    return schema_lib.Schema(tuple(features.values()), labels, weight, multi_label)
