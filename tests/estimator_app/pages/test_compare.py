"""The page of two data sets side by side."""

import re

from estimator_app import comparison
from estimator_app.pages import compare
from input_fns import histograms, statistics


def side(name: str, values: list[int]) -> comparison.Side:
    """Whole numbers as a scan counts them, a bucket each: the last one ends beyond the largest."""
    buckets = tuple(
        histograms.Bucket(number, number + 1, values.count(number))
        for number in range(min(values), max(values) + 1)
    )
    mean = sum(values) / len(values)
    column = statistics.NumericStatistics(
        "x", "int64", len(values), 0, mean, 1.0, min(values), max(values), 0, buckets, buckets
    )
    return comparison.Side(name, statistics.DatasetStatistics(len(values), (column,)))


def render(first: list[int], second: list[int]) -> str:
    return compare.render(comparison.compare(side("A", first), side("B", second)))


def test_a_histogram_ends_at_the_last_value() -> None:
    page = render([1, 2, 2, 3], [2, 3, 9, 9])
    assert re.findall('<div class="ends">.*?</div>', page) == [
        '<div class="ends"><span>1</span><span>9</span></div>'
    ]


def test_large_means_are_written_out() -> None:
    assert "mean 189,778 → 189,779" in render([189_778], [189_779])


def test_one_value_is_one_bar() -> None:
    page = render([7, 7], [7])
    assert '<div class="ends"><span>7</span><span>7</span></div>' in page
    assert len(re.findall(r'<rect class="first', page[: page.index('<g class="log">')])) == 1
