"""Data held against a schema, and against earlier statistics: everything that is wrong, from one pass."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import math

from input_fns import anomalies, column_checks, drift
from input_fns import schema as schema_lib
from input_fns import schema_constraints, sources, statistics

_MISSING_MORE = 0.05  # a share of missing values that is so far off, beyond chance, is told of
_STANDARD_ERRORS = 4.0


@dataclasses.dataclass(frozen=True)
class Validation:
    """What was found.

    Attributes:
        num_rows: rows that were read.
        anomalies: what is wrong: of the data set, then of the columns in the schema's order, then new columns.
        drifts: columns for which the schema sets thresholds, and what was measured.
    """

    num_rows: int
    anomalies: tuple[anomalies.Anomaly, ...]
    drifts: tuple[tuple[drift.ColumnDrift, schema_constraints.Thresholds], ...] = ()


def validate(
    source: sources.Source,
    schema: schema_lib.Schema,
    constraints: schema_constraints.SchemaConstraints,
    earlier: statistics.DatasetStatistics | None = None,
    environment: str = "",
) -> Validation:
    """Reads every row once.

    Args:
        source: the rows, opened without label and weight, which the schema names.
        schema: what each column may hold.
        constraints: the same schema's, of whole columns.
        earlier: statistics of data that is known to be good.
        environment: a name of the schema's, such as "SERVING"; columns that are not expected there may be missing.
            Empty expects all.

    Raises:
        FileError: a file is damaged.
    """
    checks = [
        column_checks.ColumnCheck(
            feature, constraints.columns[feature.name], _role(schema, feature)
        )
        for feature in schema.columns
        if _is_expected(constraints.columns[feature.name], constraints.environments, environment)
    ]
    new: dict[str, str] = {}
    num_rows = num_misshapen = 0
    first_misshapen = ""
    for shard in source.shards:
        for raw in source.read(shard):
            num_rows += len(raw.rows)
            num_misshapen += len(raw.misshapen)
            if raw.misshapen and not first_misshapen:
                bad = raw.misshapen[0]
                first_misshapen = (
                    f"{bad.path}, row {bad.row}, expected {bad.expected}, found {bad.value[:80]!r}"
                )
            for name in raw.cells:
                if name not in constraints.columns:
                    new.setdefault(name, raw.path)
            for check in checks:
                check.update(raw)
    found = list(_of_data_set(num_rows, num_misshapen, first_misshapen, constraints))
    drifts = []
    if num_rows:
        for check in checks:
            of_column = list(check.found())
            if earlier is not None and check.rows:
                of_column += _missing_against(check, earlier, of_column)
                drifts += _drift_of(check, earlier, constraints)
            found += of_column
        for column, limits in drifts:
            found += _too_far(column, limits)
    found += [
        anomalies.Anomaly(
            name, "SCHEMA_NEW_COLUMN", "New column", f"{path} has a column that the schema lacks."
        )
        for name, path in new.items()
    ]
    return Validation(num_rows + num_misshapen, tuple(found), tuple(drifts))


def of_no_rows(reason: str) -> Validation:
    """What is wrong with data that has no row at all.

    Args:
        reason: a sentence.
    """
    return Validation(0, (anomalies.Anomaly("", anomalies.NO_DATA, "No data", reason),))


def _is_expected(
    column: schema_constraints.ColumnConstraints, environments: tuple[str, ...], wanted: str
) -> bool:
    """Whether the column stands in data of that environment, by TFX's rules."""
    return not wanted or wanted not in environments or wanted in column.environments


def _role(schema: schema_lib.Schema, feature: schema_lib.Feature) -> str:
    if feature in schema.labels:
        return "label"
    return "weight" if feature is schema.weight else ""


def _of_data_set(
    num_rows: int,
    num_misshapen: int,
    first_misshapen: str,
    constraints: schema_constraints.SchemaConstraints,
) -> Iterator[anomalies.Anomaly]:
    total = num_rows + num_misshapen
    least, most = max(constraints.min_rows, 1), constraints.max_rows
    if total < least:
        yield anomalies.Anomaly(
            "",
            anomalies.NO_DATA,
            "Too few rows",
            f"There are {total:,} rows, {least:,} or more are expected.",
        )
    if most and total > most:
        yield anomalies.Anomaly(
            "",
            "DATASET_HIGH_NUM_EXAMPLES",
            "Too many rows",
            f"There are {total:,} rows, {most:,} at most are expected.",
        )
    if num_misshapen:
        yield anomalies.Anomaly(
            "",
            "CUSTOM_VALIDATION",
            "Misshapen rows",
            f"{num_misshapen:,} of {total:,} rows cannot be split into columns; the first: {first_misshapen}.",
        )


def _missing_against(
    check: column_checks.ColumnCheck,
    earlier: statistics.DatasetStatistics,
    known: list[anomalies.Anomaly],
) -> list[anomalies.Anomaly]:
    """Whether other shares of the rows have no value than before, by more than chance and `_MISSING_MORE`."""
    name = check.feature.name
    if name not in (column.name for column in earlier.columns):
        return []
    if any(anomaly.type.startswith("FEATURE_TYPE_") for anomaly in known):
        return []  # said already
    before, now = earlier.missing_share(name), check.missing / check.rows
    chance = _STANDARD_ERRORS * math.sqrt(before * (1 - before) / check.rows)
    if abs(now - before) <= max(_MISSING_MORE, chance):
        return []
    said = f"{now:.1%} of the rows have no value; in the statistics it was {before:.1%}."
    if now > before:
        kind, short = "FEATURE_TYPE_LOW_FRACTION_PRESENT", "More missing values"
    else:
        kind, short = "CUSTOM_VALIDATION", "Fewer missing values"
    return [anomalies.Anomaly(name, kind, short, said)]


def _drift_of(
    check: column_checks.ColumnCheck,
    earlier: statistics.DatasetStatistics,
    constraints: schema_constraints.SchemaConstraints,
) -> list[tuple[drift.ColumnDrift, schema_constraints.Thresholds]]:
    """What the column's drift_comparator asks for; nothing if it asks for nothing."""
    name = check.feature.name
    thresholds = constraints.columns[name].drift
    known = [column for column in earlier.columns if column.name == name]
    if thresholds == schema_constraints.Thresholds() or not known:
        return []
    now = statistics.DatasetStatistics(check.rows, (check.summary(known[0]),))
    (found,) = drift.compare(earlier, now).columns
    return [(found, thresholds)]


def _too_far(
    column: drift.ColumnDrift, limits: schema_constraints.Thresholds
) -> Iterator[anomalies.Anomaly]:
    for kind, what, value, limit in (
        ("COMPARATOR_L_INFTY_HIGH", "L-infinity", column.infinity_norm, limits.infinity_norm),
        (
            "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH",
            "Jensen-Shannon",
            column.jensen_shannon,
            limits.jensen_shannon,
        ),
    ):
        if value is not None and limit is not None and value > limit:
            yield anomalies.Anomaly(
                column.name,
                kind,
                f"High {what} distance",
                f"The {what} distance to the statistics is {value:.4f}, the threshold {limit:g}: {column.note}.",
            )
