"""What one pass over the data found in each column; on disk TFX's `statistics.pbtxt`."""

from __future__ import annotations

import dataclasses
import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import statistics_pb2

from input_fns import errors


@dataclasses.dataclass(frozen=True)
class NumericStatistics:
    """Of a column of numbers, over the rows that have one.

    Attributes:
        name: the column.
        dtype: "int64" or "float32".
        count: rows with a value.
        missing: rows without.
        mean: of the values; 0 when there are none.
        stddev: population standard deviation of the values.
        low: smallest value.
        high: largest value.
    """

    name: str
    dtype: str
    count: int
    missing: int
    mean: float
    stddev: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class StringStatistics:
    """Of a column of text or of class ids, over the rows that have a value.

    Attributes:
        name: the column.
        dtype: "string" or "int64".
        count: rows with a value.
        missing: rows without.
        distinct: different values; at least so many where they were too many to be counted.
        top: the most frequent values and how often each occurs, most frequent first.
        days: of dates the days since 1970-01-01, without the time of day; else None.
    """

    name: str
    dtype: str
    count: int
    missing: int
    distinct: int
    top: tuple[tuple[str, int], ...]
    days: NumericStatistics | None = None


@dataclasses.dataclass(frozen=True)
class DatasetStatistics:
    """Of all columns, label and weight included.

    Attributes:
        num_rows: rows that the statistics are over; bad rows are not among them.
        columns: one entry a column, in the schema's order.
    """

    num_rows: int
    columns: tuple[NumericStatistics | StringStatistics, ...]

    def column(self, name: str) -> NumericStatistics | StringStatistics:
        """The entry of that column.

        Raises:
            InputError: there is none; the sentence lists the known ones.
        """
        for column in self.columns:
            if column.name == name:
                return column
        known = ", ".join(column.name for column in self.columns)
        raise errors.InputError(f"No statistics of column {name!r}. Known columns: {known}.")


def write(statistics: DatasetStatistics, path: str | os.PathLike[str]) -> None:
    """Writes the statistics as text of TFX's DatasetFeatureStatisticsList, renamed into place."""
    message = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = message.datasets.add(num_examples=statistics.num_rows)
    for column in statistics.columns:
        _fill(dataset.features.add(), column)
    temporary = f"{os.fspath(path)}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text_format.MessageToString(message, as_utf8=True))
    os.replace(temporary, path)


def read(path: str | os.PathLike[str]) -> DatasetStatistics:
    """The statistics in a `statistics.pbtxt`, ours or TFX's.

    Raises:
        InputError: the file is not there or not such a file.
    """
    message = statistics_pb2.DatasetFeatureStatisticsList()
    try:
        with open(path, encoding="utf-8") as file:
            text_format.Parse(file.read(), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise errors.InputError(
            f"Cannot read the statistics {os.fspath(path)}: {error}. Delete the file; the next "
            "pass over the data writes it anew."
        ) from error
    if len(message.datasets) != 1:
        raise errors.InputError(
            f"{os.fspath(path)} holds statistics of {len(message.datasets)} data sets, expected 1."
        )
    dataset = message.datasets[0]
    return DatasetStatistics(dataset.num_examples, tuple(_column(f) for f in dataset.features))


# TFX has no moments of dates; these go where it keeps statistics of one's own.
_DAYS = ("mean", "stddev", "low", "high")

_Types = statistics_pb2.FeatureNameStatistics
_TYPES = {"string": _Types.STRING, "int64": _Types.INT, "float32": _Types.FLOAT}
_DTYPES = {number: dtype for dtype, number in _TYPES.items()} | {_Types.BYTES: "string"}


def _fill(
    feature: statistics_pb2.FeatureNameStatistics, column: NumericStatistics | StringStatistics
) -> None:
    feature.path.step.append(column.name)
    feature.type = _TYPES[column.dtype]
    if isinstance(column, NumericStatistics):
        numbers = feature.num_stats
        common = numbers.common_stats
        numbers.mean, numbers.std_dev = column.mean, column.stddev
        numbers.min, numbers.max = column.low, column.high
    else:
        strings = feature.string_stats
        common = strings.common_stats
        strings.unique = column.distinct
        for value, frequency in column.top:
            strings.top_values.add(value=value, frequency=frequency)
        if column.days is not None:
            for field in _DAYS:
                feature.custom_stats.add(name=f"days_{field}", num=getattr(column.days, field))
    common.num_non_missing, common.num_missing = column.count, column.missing


def _column(
    feature: statistics_pb2.FeatureNameStatistics,
) -> NumericStatistics | StringStatistics:
    name = feature.path.step[-1] if feature.path.step else feature.name
    dtype = _DTYPES.get(feature.type, "string")
    if feature.WhichOneof("stats") == "num_stats":
        numbers = feature.num_stats
        return NumericStatistics(
            name,
            dtype,
            numbers.common_stats.num_non_missing,
            numbers.common_stats.num_missing,
            numbers.mean,
            numbers.std_dev,
            numbers.min,
            numbers.max,
        )
    strings = feature.string_stats
    return StringStatistics(
        name,
        dtype,
        strings.common_stats.num_non_missing,
        strings.common_stats.num_missing,
        strings.unique,
        tuple((top.value, int(top.frequency)) for top in strings.top_values),
        _days(feature, name),
    )


def _days(feature: statistics_pb2.FeatureNameStatistics, name: str) -> NumericStatistics | None:
    custom = {statistic.name: statistic.num for statistic in feature.custom_stats}
    if not all(f"days_{field}" in custom for field in _DAYS):
        return None
    common = feature.string_stats.common_stats
    moments = {field: custom[f"days_{field}"] for field in _DAYS}
    return NumericStatistics(name, "int64", common.num_non_missing, common.num_missing, **moments)
