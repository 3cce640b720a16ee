import numpy as np

from input_fns import value_samples


def _shares_below(sample: value_samples.ValueSample, points: np.ndarray) -> np.ndarray:
    values, weights = sample.weighted()
    below = np.concatenate([[0.0], np.cumsum(weights)])
    return below[np.searchsorted(values, points)] / weights.sum()


def test_few_values_are_all_kept() -> None:
    sample = value_samples.ValueSample()
    for part in (np.array([3.0, 1.0]), np.empty(0), np.array([2.0, 1.0])):
        sample.add(part)
    values, weights = sample.weighted()
    assert values.tolist() == [1, 1, 2, 3] and weights.tolist() == [1, 1, 1, 1]


def test_many_values_are_represented_within_the_bound() -> None:
    rng = np.random.default_rng(3)
    stream = np.sort(rng.exponential(5.0, 300_000))  # sorted: no part is like the whole
    sample = value_samples.ValueSample()
    for part in np.split(stream, [1, 7, 50_000, 50_001, 200_003]):
        sample.add(part)
    values, weights = sample.weighted()
    assert weights.sum() == len(stream)
    assert value_samples.CAPACITY / 2 <= len(values) <= value_samples.CAPACITY + 16
    points = np.quantile(stream, np.linspace(0.01, 0.99, 50))
    exact = np.searchsorted(stream, points) / len(stream)
    np.testing.assert_allclose(_shares_below(sample, points), exact, atol=0.016)


def test_the_same_stream_gives_the_same_sample() -> None:
    stream = np.random.default_rng(0).normal(size=100_000)
    samples = [value_samples.ValueSample() for _ in range(2)]
    for sample in samples:
        sample.add(stream)
    np.testing.assert_array_equal(samples[0].weighted()[0], samples[1].weighted()[0])
