"""What one pass over the data found in each column; on disk TFX's `statistics.pbtxt`."""

from __future__ import annotations

import dataclasses
import functools
import os

from input_fns import errors, histograms


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
        zeros: values that are 0.
        histogram: the values in buckets of the same width; empty in files of earlier versions.
        quantiles: buckets that hold the same number of values each, likewise; 100, of a table of many columns 20.
    """

    name: str
    dtype: str
    count: int
    missing: int
    mean: float
    stddev: float
    low: float
    high: float
    zeros: int = 0
    histogram: tuple[histograms.Bucket, ...] = ()
    quantiles: tuple[histograms.Bucket, ...] = ()


@dataclasses.dataclass(frozen=True)
class TokenStatistics:
    """Of the tokens of a text column, see `tokens.split`, over a sample of its rows.

    Attributes:
        texts: rows in the sample.
        average: tokens a row.
        most: tokens of the row that has most.
        top: the most frequent tokens and how often each occurs in the sample, most frequent first.
    """

    texts: int
    average: float
    most: int
    top: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class StringStatistics:
    """Of a column of text or of class ids, over the rows that have a value.

    Attributes:
        name: the column.
        dtype: "string" or "int64".
        count: rows with a value.
        missing: rows without.
        distinct: different values; at least so many where they were too many to be counted.
        top: the most frequent values and how often each occurs, most frequent first; 1,000 at most, of a label all.
        avg_length: bytes of a value's UTF-8, on average.
        max_length: bytes of the longest value.
        tokens: of text of several words, else None.
        days: of dates the days since 1970-01-01, without the time of day; else None.
    """

    name: str
    dtype: str
    count: int
    missing: int
    distinct: int
    top: tuple[tuple[str, int], ...]
    avg_length: float = 0.0
    max_length: int = 0
    tokens: TokenStatistics | None = None
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
        if name in self._by_name:
            return self._by_name[name]
        known = ", ".join(column.name for column in self.columns)
        raise errors.InputError(f"No statistics of column {name!r}. Known columns: {known}.")

    @functools.cached_property
    def _by_name(self) -> dict[str, NumericStatistics | StringStatistics]:
        return {column.name: column for column in self.columns}

    def missing_share(self, name: str) -> float:
        """Of all rows the share without a value in that column."""
        return self.column(name).missing / self.num_rows if self.num_rows else 0.0


def write(statistics: DatasetStatistics, path: str | os.PathLike[str]) -> None:
    """Writes the statistics as text of TFX's DatasetFeatureStatisticsList, renamed into place."""
    from input_fns import statistics_proto

    temporary = f"{os.fspath(path)}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(statistics_proto.to_text(statistics))
    os.replace(temporary, path)


def read(path: str | os.PathLike[str]) -> DatasetStatistics:
    """The statistics in a `statistics.pbtxt`, ours or TFX's.

    Raises:
        InputError: the file is not there or not such a file.
    """
    from input_fns import statistics_proto

    try:
        with open(path, encoding="utf-8") as file:
            return statistics_proto.from_text(file.read(), os.fspath(path))
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InputError(
            f"Cannot read the statistics {os.fspath(path)}: {error}. Expected a statistics.pbtxt, as every pass over "
            "data writes it."
        ) from error
