from collections.abc import Callable
import pathlib

from google.protobuf import text_format
import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from input_fns import errors, histograms, inference
from input_fns import settings as settings_lib
from input_fns import sources, statistics

STATISTICS = statistics.DatasetStatistics(
    5,
    (
        statistics.NumericStatistics("age", "int64", 4, 1, 30.5, 2.25, 17.0, 90.0),
        statistics.NumericStatistics(
            "hours",
            "float32",
            5,
            0,
            40.0,
            0.0,
            40.0,
            40.0,
            zeros=1,
            histogram=(histograms.Bucket(0.0, 20.0, 1), histograms.Bucket(20.0, 40.0, 4)),
            quantiles=(histograms.Bucket(0.0, 30.0, 2.5), histograms.Bucket(30.0, 40.0, 2.5)),
        ),
        statistics.StringStatistics("job", "string", 5, 0, 2, (("Élève", 3), ("?", 2))),
        statistics.StringStatistics(
            "review",
            "string",
            5,
            0,
            30,
            tuple((f"so {i} good", 1) for i in range(30)),
            avg_length=9.5,
            max_length=10,
            tokens=statistics.TokenStatistics(5, 3.0, 3, (("so", 5), ("good", 5), ("1", 1))),
        ),
        statistics.StringStatistics("digit", "int64", 5, 0, 2, (("1", 3), ("0", 2))),
    ),
)


def test_statistics_survive_their_file(tmp_path: pathlib.Path) -> None:
    statistics.write(STATISTICS, tmp_path / "statistics.pbtxt")
    assert statistics.read(tmp_path / "statistics.pbtxt") == STATISTICS
    assert [path.name for path in tmp_path.iterdir()] == ["statistics.pbtxt"]


def test_the_file_is_tfx_own_message(tmp_path: pathlib.Path) -> None:
    statistics.write(STATISTICS, tmp_path / "statistics.pbtxt")
    message = statistics_pb2.DatasetFeatureStatisticsList()
    text_format.Parse((tmp_path / "statistics.pbtxt").read_text(encoding="utf-8"), message)
    age = message.datasets[0].features[0]
    assert message.datasets[0].num_examples == 5
    assert (age.num_stats.std_dev, age.num_stats.common_stats.num_missing) == (2.25, 1)
    hours, _, review = message.datasets[0].features[1:4]
    assert (hours.num_stats.num_zeros, hours.num_stats.median) == (1, 30.0)
    kinds = [
        statistics_pb2.Histogram.HistogramType.Name(h.type) for h in hours.num_stats.histograms
    ]
    assert kinds == ["STANDARD", "QUANTILES"]
    assert len(review.string_stats.top_values) == 20
    assert review.string_stats.rank_histogram.buckets[29].label == "so 29 good"
    assert [custom.name for custom in review.custom_stats] == [
        "max_length",
        "nl_statistics",
        "num_sequences",
        "avg_sequence_length",
    ]


def test_a_file_of_an_earlier_version_reads(tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.pbtxt").write_text(
        "datasets { num_examples: 5 features { type: INT num_stats { common_stats { num_non_missing: 4 num_missing: 1 }"
        ' mean: 30.5 std_dev: 2.25 min: 17 max: 90 } path { step: "age" } } features { type: STRING string_stats {'
        ' common_stats { num_non_missing: 5} unique: 1 top_values { value: "?" frequency: 5 } } path { step: "job" } }}'
    )
    age, job = statistics.read(tmp_path / "s.pbtxt").columns
    assert age == statistics.NumericStatistics("age", "int64", 4, 1, 30.5, 2.25, 17.0, 90.0)
    assert job == statistics.StringStatistics("job", "string", 5, 0, 1, (("?", 5),))


def test_an_unknown_column_lists_the_known() -> None:
    assert STATISTICS.column("job").missing == 0
    with pytest.raises(
        errors.InputError, match="'jobs'. Known columns: age, hours, job, review, digit"
    ):
        STATISTICS.column("jobs")


def test_a_file_that_is_none_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.pbtxt").write_text("nonsense {")
    with pytest.raises(errors.InputError, match="Cannot read the statistics .*s.pbtxt"):
        statistics.read(tmp_path / "s.pbtxt")
    (tmp_path / "s.pbtxt").write_text("")
    with pytest.raises(errors.InputError, match="statistics of 0 data sets, expected 1"):
        statistics.read(tmp_path / "s.pbtxt")


def test_columns_of_a_wide_table_have_fewer_quantiles(write_csv: Callable[..., str]) -> None:
    rng = np.random.default_rng(0)
    found = {}
    for width in (3, 120):
        values = rng.integers(0, 2000, (1000, width))
        lines = [",".join(f"c{i}" for i in range(width)) + ",y"]
        lines += [",".join(map(str, row)) + f",{i % 2}" for i, row in enumerate(values)]
        settings = settings_lib.InputSettings(train_data=write_csv(lines), label_column="y")
        scanned = inference.scan(sources.open_source(settings, "train"), settings)
        column = scanned.statistics.column("c0")
        assert isinstance(column, statistics.NumericStatistics)
        middle = histograms.quantile(column.quantiles, 0.25)
        assert middle == np.quantile(values[:, 0], 0.25, method="inverted_cdf")
        assert sum(bucket.count for bucket in column.quantiles) == 1000
        found[width] = len(column.quantiles)
    assert found == {3: 100, 120: 20}
