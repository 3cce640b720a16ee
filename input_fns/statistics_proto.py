"""`DatasetStatistics` to and from TFX's DatasetFeatureStatisticsList message.

What has a field of TFX's stands in it. Statistics of tokens are a custom statistic, as TensorFlow Data Validation
writes them, and so is what there is no field for: the length of the longest text, the average number of tokens, and of
how many rows; of dates the days since 1970-01-01.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import statistics_pb2

from input_fns import errors, histograms
from input_fns import statistics as statistics_lib

_Histogram = statistics_pb2.Histogram
_Types = statistics_pb2.FeatureNameStatistics
_TYPES = {"string": _Types.STRING, "int64": _Types.INT, "float32": _Types.FLOAT}
_DTYPES = {number: dtype for dtype, number in _TYPES.items()} | {_Types.BYTES: "string"}
_NUM_TOP_VALUES = 20  # all are in the rank histogram
_MAX_LENGTH = "max_length"
_TOKENS = "nl_statistics"
_NUM_TEXTS = "num_sequences"
_AVERAGE_TOKENS = "avg_sequence_length"
_DAYS = ("mean", "stddev", "low", "high", "zeros")
_DAY_HISTOGRAMS = (
    ("days_histogram", _Histogram.STANDARD),
    ("days_quantiles", _Histogram.QUANTILES),
)


def to_text(statistics: statistics_lib.DatasetStatistics) -> str:
    """The statistics as the text of a `statistics.pbtxt`."""
    message = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = message.datasets.add(num_examples=statistics.num_rows)
    for column in statistics.columns:
        feature = dataset.features.add(type=_TYPES[column.dtype])
        feature.path.step.append(column.name)
        if isinstance(column, statistics_lib.NumericStatistics):
            _fill_numbers(feature.num_stats, column)
        else:
            _fill_strings(feature, column)
    return text_format.MessageToString(message, as_utf8=True)


def from_text(text: str, path: str) -> statistics_lib.DatasetStatistics:
    """The statistics of a `statistics.pbtxt`, ours or TFX's.

    Args:
        text: the file's text.
        path: the file's name, for errors.

    Raises:
        InputError: the text is no such message, or holds another number of data sets than one.
    """
    message = statistics_pb2.DatasetFeatureStatisticsList()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise errors.InputError(
            f"Cannot read the statistics {path}: {str(error).rstrip(' .')}. Name another "
            "file; that of a model directory is made anew if it is deleted."
        ) from error
    if len(message.datasets) != 1:
        raise errors.InputError(
            f"{path} holds statistics of {len(message.datasets)} data sets, expected 1."
        )
    dataset = message.datasets[0]
    columns = tuple(_column(feature) for feature in dataset.features)
    return statistics_lib.DatasetStatistics(dataset.num_examples, columns)


def _fill_numbers(
    numbers: statistics_pb2.NumericStatistics, column: statistics_lib.NumericStatistics
) -> None:
    _fill_common(numbers.common_stats, column)
    numbers.mean, numbers.std_dev = column.mean, column.stddev
    numbers.min, numbers.max = column.low, column.high
    numbers.num_zeros = column.zeros
    if column.quantiles:
        numbers.median = histograms.quantile(column.quantiles, 0.5)
    for kind, buckets in (
        (_Histogram.STANDARD, column.histogram),
        (_Histogram.QUANTILES, column.quantiles),
    ):
        if buckets:
            _fill_buckets(numbers.histograms.add(type=kind), buckets)


def _fill_buckets(
    histogram: statistics_pb2.Histogram, buckets: tuple[histograms.Bucket, ...]
) -> None:
    for bucket in buckets:
        histogram.buckets.add(
            low_value=bucket.low, high_value=bucket.high, sample_count=bucket.count
        )


def _fill_strings(
    feature: statistics_pb2.FeatureNameStatistics, column: statistics_lib.StringStatistics
) -> None:
    strings = feature.string_stats
    _fill_common(strings.common_stats, column)
    strings.unique, strings.avg_length = column.distinct, column.avg_length
    for value, frequency in column.top[:_NUM_TOP_VALUES]:
        strings.top_values.add(value=value, frequency=frequency)
    for rank, (value, frequency) in enumerate(column.top):
        strings.rank_histogram.buckets.add(
            low_rank=rank, high_rank=rank, label=value, sample_count=frequency
        )
    if column.max_length:
        feature.custom_stats.add(name=_MAX_LENGTH, num=column.max_length)
    if column.tokens is not None:
        tokens = column.tokens
        message = statistics_pb2.NaturalLanguageStatistics(max_sequence_length=tokens.most)
        for token, frequency in tokens.top:
            message.token_statistics.add(string_token=token, frequency=frequency)
        feature.custom_stats.add(name=_TOKENS).any.Pack(message)
        feature.custom_stats.add(name=_NUM_TEXTS, num=tokens.texts)
        feature.custom_stats.add(name=_AVERAGE_TOKENS, num=tokens.average)
    if column.days is not None:
        days = column.days
        for field in _DAYS:
            feature.custom_stats.add(name=f"days_{field}", num=getattr(days, field))
        for (name, kind), buckets in zip(_DAY_HISTOGRAMS, (days.histogram, days.quantiles)):
            if buckets:
                histogram = feature.custom_stats.add(name=name).histogram
                histogram.type = kind
                _fill_buckets(histogram, buckets)


def _fill_common(
    common: statistics_pb2.CommonStatistics,
    column: statistics_lib.NumericStatistics | statistics_lib.StringStatistics,
) -> None:
    common.num_non_missing, common.num_missing = column.count, column.missing


def _column(
    feature: statistics_pb2.FeatureNameStatistics,
) -> statistics_lib.NumericStatistics | statistics_lib.StringStatistics:
    name = feature.path.step[-1] if feature.path.step else feature.name
    dtype = _DTYPES.get(feature.type, "string")
    if feature.WhichOneof("stats") == "num_stats":
        numbers = feature.num_stats
        return statistics_lib.NumericStatistics(
            name,
            dtype,
            numbers.common_stats.num_non_missing,
            numbers.common_stats.num_missing,
            numbers.mean,
            numbers.std_dev,
            numbers.min,
            numbers.max,
            numbers.num_zeros,
            _buckets(numbers.histograms, _Histogram.STANDARD),
            _buckets(numbers.histograms, _Histogram.QUANTILES),
        )
    strings = feature.string_stats
    custom = {statistic.name: statistic for statistic in feature.custom_stats}
    top = tuple((top.value, int(top.frequency)) for top in strings.top_values)
    ranks = strings.rank_histogram.buckets
    if len(ranks) > len(top) and all(rank.low_rank == rank.high_rank for rank in ranks):
        top = tuple((rank.label, int(rank.sample_count)) for rank in ranks)
    return statistics_lib.StringStatistics(
        name,
        dtype,
        strings.common_stats.num_non_missing,
        strings.common_stats.num_missing,
        strings.unique,
        top,
        strings.avg_length,
        int(custom[_MAX_LENGTH].num) if _MAX_LENGTH in custom else 0,
        _tokens(custom),
        _days(custom, name, strings.common_stats),
    )


def _buckets(given: Iterable[statistics_pb2.Histogram], kind: int) -> tuple[histograms.Bucket, ...]:
    found = [histogram for histogram in given if histogram.type == kind]
    return tuple(
        histograms.Bucket(bucket.low_value, bucket.high_value, bucket.sample_count)
        for bucket in (found[0].buckets if found else ())
    )


def _tokens(
    custom: dict[str, statistics_pb2.CustomStatistic],
) -> statistics_lib.TokenStatistics | None:
    message = statistics_pb2.NaturalLanguageStatistics()
    if _TOKENS not in custom or not custom[_TOKENS].any.Unpack(message):
        return None
    return statistics_lib.TokenStatistics(
        int(custom[_NUM_TEXTS].num) if _NUM_TEXTS in custom else 0,
        custom[_AVERAGE_TOKENS].num if _AVERAGE_TOKENS in custom else 0.0,
        int(message.max_sequence_length),
        tuple((token.string_token, int(token.frequency)) for token in message.token_statistics),
    )


def _days(
    custom: dict[str, statistics_pb2.CustomStatistic],
    name: str,
    common: statistics_pb2.CommonStatistics,
) -> statistics_lib.NumericStatistics | None:
    values = {field: custom[f"days_{field}"].num for field in _DAYS if f"days_{field}" in custom}
    if not values:
        return None
    zeros = int(values.pop("zeros", 0))
    given = [custom[key].histogram for key, _ in _DAY_HISTOGRAMS if key in custom]
    return statistics_lib.NumericStatistics(
        name,
        "int64",
        common.num_non_missing,
        common.num_missing,
        **values,
        zeros=zeros,
        histogram=_buckets(given, _Histogram.STANDARD),
        quantiles=_buckets(given, _Histogram.QUANTILES),
    )
