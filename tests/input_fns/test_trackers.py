import collections

import numpy as np
import pyarrow as pa
import pytest

from input_fns import conversion, trackers


def test_moments_do_not_depend_on_the_blocks() -> None:
    values = np.random.default_rng(0).normal(1e6, 3.0, 1000).astype(np.float32).astype(np.float64)
    missing = np.random.default_rng(1).random(1000) < 0.1
    tracker = trackers.NumberTracker()
    for start, stop in ((0, 1), (1, 400), (400, 400), (400, 1000)):
        tracker.update(values[start:stop], missing[start:stop])
    found, kept = tracker.finish("x", "float32"), values[~missing]
    assert (found.count, found.missing) == (len(kept), missing.sum())
    np.testing.assert_allclose((found.mean, found.stddev), (kept.mean(), kept.std()), rtol=1e-9)
    assert (found.low, found.high) == (kept.min(), kept.max())


def test_fractions_are_taken_as_float32() -> None:
    tracker = trackers.NumberTracker()
    tracker.update(np.array([0.1, 0.0]), np.zeros(2, bool))
    found = tracker.finish("x", "float32")
    assert found.high == float(np.float32(0.1)) == 2 * found.mean
    assert found.zeros == 1 and found.quantiles[-1].high == found.high


def test_images_are_counted_by_pixel() -> None:
    tracker = trackers.NumberTracker()
    tracker.update(np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), np.array([False, False]))
    assert (tracker.count, tracker.mean) == (4, 0.5)


def test_no_values_have_moments_of_zero() -> None:
    tracker = trackers.NumberTracker()
    tracker.update(np.zeros(3), np.ones(3, bool))
    found = tracker.finish("x", "float32")
    assert (found.count, found.missing, found.mean, found.stddev, found.low) == (0, 3, 0, 0, 0)


def test_text_is_counted_as_counter_counts() -> None:
    texts = list("abracadabra")
    tracker = trackers.TextTracker()
    for part in (texts[:4], texts[4:]):
        tracker.update(conversion.encode(pa.array(part)), np.array([t == "c" for t in part]))
    expected = collections.Counter(t for t in texts if t != "c")
    assert dict(tracker.finish("x").top) == dict(expected)
    assert tracker.finish("x").top[0] == ("a", 5)
    assert tracker.texts() == ("a", "b", "d", "r")
    assert (tracker.finish("x").avg_length, tracker.finish("x").max_length) == (1.0, 1)
    assert (tracker.count, tracker.missing) == (10, 1)


def test_too_many_values_are_no_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "MAX_DISTINCT", 3)
    tracker = trackers.TextTracker()
    tracker.update(conversion.encode(pa.array(list("abcdea"))), np.zeros(6, bool))
    assert not tracker.complete
    assert tracker.finish("x").distinct == 4
    assert dict(tracker.finish("x").top)["a"] == 2


def test_long_values_are_held_up_to_some_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "_MAX_DISTINCT_BYTES", 1000)
    tracker = trackers.TextTracker()
    values = [letter * 600 for letter in "abcda"]
    tracker.update(conversion.encode(pa.array(values)), np.zeros(5, bool))
    assert not tracker.complete
    assert dict(tracker.finish("x").top) == {"a" * 600: 2, "b" * 600: 1}
    assert (tracker.finish("x").distinct, tracker.finish("x").max_length) == (3, 600)
