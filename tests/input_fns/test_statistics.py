import pathlib

from google.protobuf import text_format
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from input_fns import errors, statistics

STATISTICS = statistics.DatasetStatistics(
    5,
    (
        statistics.NumericStatistics("age", "int64", 4, 1, 30.5, 2.25, 17.0, 90.0),
        statistics.NumericStatistics("hours", "float32", 5, 0, 40.0, 0.0, 40.0, 40.0),
        statistics.StringStatistics("job", "string", 5, 0, 2, (("Élève", 3), ("?", 2))),
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


def test_an_unknown_column_lists_the_known() -> None:
    assert STATISTICS.column("job").missing == 0
    with pytest.raises(errors.InputError, match="'jobs'. Known columns: age, hours, job, digit"):
        STATISTICS.column("jobs")


def test_a_file_that_is_none_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "s.pbtxt").write_text("nonsense {")
    with pytest.raises(errors.InputError, match="Cannot read the statistics .*s.pbtxt"):
        statistics.read(tmp_path / "s.pbtxt")
    (tmp_path / "s.pbtxt").write_text("")
    with pytest.raises(errors.InputError, match="statistics of 0 data sets, expected 1"):
        statistics.read(tmp_path / "s.pbtxt")
