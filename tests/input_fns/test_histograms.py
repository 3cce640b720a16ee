import numpy as np

from input_fns import histograms


def _ones(count: int) -> np.ndarray:
    return np.ones(count)


def test_whole_numbers_have_buckets_of_a_whole_width() -> None:
    few = histograms.equal_widths(np.array([1.0, 1, 2, 4]), _ones(4), 1, 4, whole=True)
    assert [(b.low, b.high, b.count) for b in few] == [(1, 2, 2), (2, 3, 1), (3, 4, 0), (4, 5, 1)]
    many = histograms.equal_widths(np.arange(17.0, 91), _ones(74), 17, 90, whole=True)
    assert {b.high - b.low for b in many} == {3} and sum(b.count for b in many) == 74
    assert len(many) <= histograms.NUM_BINS and many[-1].high > 90


def test_fractions_fill_as_many_buckets_as_there_are() -> None:
    values = np.sort(np.random.default_rng(0).random(1000))
    buckets = histograms.equal_widths(values, _ones(1000), values[0], values[-1], whole=False)
    assert len(buckets) == histograms.NUM_BINS and sum(b.count for b in buckets) == 1000
    expected, _ = np.histogram(values, histograms.NUM_BINS)
    assert [b.count for b in buckets] == expected.tolist()


def test_a_single_value_is_a_bucket_of_no_width() -> None:
    (bucket,) = histograms.equal_widths(np.array([0.5] * 3), _ones(3), 0.5, 0.5, whole=False)
    assert bucket == histograms.Bucket(0.5, 0.5, 3)


def test_quantiles_are_those_of_the_weighted_values() -> None:
    values, weights = np.array([0.0, 1, 2]), np.array([90.0, 5, 5])
    quantiles = histograms.equal_counts(values, weights, 0, 9)
    assert len(quantiles) == 100 and {b.count for b in quantiles} == {1}
    found = [histograms.quantile(quantiles, share) for share in (0, 0.5, 0.9, 0.95, 0.99, 1)]
    assert found == [0, 0, 0, 1, 2, 9]
