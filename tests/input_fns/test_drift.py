import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from input_fns import conversion, drift, statistics, trackers


def numbers(values: np.ndarray, missing: int = 0, name: str = "x") -> statistics.NumericStatistics:
    tracker = trackers.NumberTracker()
    tracker.update(values, np.zeros(len(values), bool))
    tracker.missing = missing
    return tracker.finish(name, "int64" if values.dtype.kind == "i" else "float32")


def text(values: list[str], name: str = "x") -> statistics.StringStatistics:
    tracker = trackers.TextTracker()
    tracker.update(conversion.encode(pa.array(values)), np.zeros(len(values), bool))
    return tracker.finish(name)


def compare(a, b, rows: int = 1000) -> drift.ColumnDrift:
    first, second = (statistics.DatasetStatistics(rows, (column,)) for column in (a, b))
    (found,) = drift.compare(first, second).columns
    return found


def test_the_divergence_is_that_of_its_definition() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
    m = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = [np.nansum(side * np.log2(side / m)) for side in (p, q)]
    assert drift.jensen_shannon(p, q) == pytest.approx(sum(kl) / 2)
    assert drift.jensen_shannon(p, p) == 0
    assert drift.jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
    assert drift.infinity_norm(p, q) == 0.5


def test_the_same_distribution_hardly_drifts_and_another_does() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (2, 20_000))
    assert compare(numbers(a), numbers(a)).drift == 0
    assert compare(numbers(a), numbers(b)).drift < 0.005
    assert 0.1 < compare(numbers(a), numbers(b + 1)).drift < 0.25
    assert compare(numbers(a), numbers(b + 100)).drift == pytest.approx(1, abs=0.02)


def test_a_far_value_does_not_hide_where_the_others_are() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.exponential(1.0, (2, 5000))
    assert compare(numbers(a), numbers(np.append(b, 1e6))).drift < 0.01
    assert compare(numbers(a), numbers(np.append(3 * b, 1e6))).drift > 0.1


def test_numbers_that_many_rows_have_are_bins_of_their_own() -> None:
    rng = np.random.default_rng(0)
    zeros = np.zeros(9000, np.int64)
    gains = rng.integers(1, 10_000, 1000)
    a = numbers(np.concatenate([zeros, gains]))
    b = numbers(np.concatenate([zeros[:5000] + 1, zeros[5000:], gains]))
    assert compare(a, a).drift == 0
    assert compare(a, b).drift > 0.2  # ones for zeros


def test_text_is_compared_by_its_values() -> None:
    found = compare(text(["a"] * 6 + ["b"] * 4), text(["a"] * 3 + ["b"] * 4 + ["c"] * 3))
    assert found.infinity_norm == pytest.approx(0.3) and found.drift == found.infinity_norm
    expected = drift.jensen_shannon(np.array([0.6, 0.4, 0]), np.array([0.3, 0.4, 0.3]))
    assert found.jensen_shannon == pytest.approx(expected)
    assert found.note == "'a' 60.0% → 30.0%"


def test_missing_values_are_drift() -> None:
    values = np.arange(1000.0)
    found = compare(numbers(values), numbers(values, missing=400))
    assert found.missing == (0, 0.4) and found.drift == 0.4


def test_numbers_and_text_are_as_far_apart_as_can_be() -> None:
    found = compare(numbers(np.arange(3)), text(["a"]))
    assert (found.drift, found.note) == (1.0, "numbers and text")


def test_columns_of_one_side_are_named_and_the_worst_is_first() -> None:
    calm, wild = text(["a", "b"], "calm"), text(["a", "b"], "wild")
    other = text(["b", "b"], "wild")
    first = statistics.DatasetStatistics(2, (calm, wild, text(["a"], "old")))
    second = statistics.DatasetStatistics(2, (text(["a"], "new"), other, calm))
    found = drift.compare(first, second)
    assert [column.name for column in found.columns] == ["wild", "calm"]
    assert (found.only_first, found.only_second) == (("old",), ("new",))


def test_statistics_without_histograms_have_nothing_to_compare() -> None:
    old = statistics.NumericStatistics("x", "int64", 4, 1, 30.5, 2.25, 17.0, 90.0)
    assert compare(old, numbers(np.arange(3))).jensen_shannon is None


def test_text_of_which_no_value_comes_twice_is_compared_by_its_words() -> None:
    a = text([f"the cat no {i}" for i in range(2000)])
    b = text([f"the dog no {i + 2000}" for i in range(2000)])
    assert compare(a, a, 2000).drift == 0
    found = compare(a, b, 2000)
    assert found.drift == pytest.approx(0.25) and found.note == "'cat' 25.0% → 0.0%"


def test_dates_are_compared_by_their_days() -> None:
    def dates(first: int) -> statistics.StringStatistics:
        days = numbers(np.arange(first, first + 100))
        return dataclasses.replace(text(["2024-01-01"]), days=days)

    assert compare(dates(0), dates(0)).drift == 0
    found = compare(dates(0), dates(50))
    assert found.infinity_norm is None and 0.4 < found.drift < 0.6
    assert found.note == "+50 days on average"
