import numpy as np
import pytest

from input_fns import blocks, tokens


def _update(tracker: tokens.TokenTracker, texts: list[bytes], times: int = 1) -> None:
    tracker.update(blocks.as_objects(texts), np.full(len(texts), times))


def test_tokens_are_words_in_lower_case_without_punctuation() -> None:
    assert tokens.split("Don't  STOP, me\tÉlan!".encode()) == [
        b"dont",
        b"stop",
        b"me",
        "Élan".encode(),
    ]


def test_tokens_are_counted_as_often_as_their_text_occurs() -> None:
    tracker = tokens.TokenTracker()
    _update(tracker, [b"a b a", b""], times=2)
    _update(tracker, [b"b c"])
    found = tracker.finish()
    assert found is not None
    assert (found.texts, found.most, found.average) == (5, 3, 8 / 5)
    assert found.top == (("a", 4), ("b", 3), ("c", 1))


def test_single_words_have_no_token_statistics() -> None:
    tracker = tokens.TokenTracker()
    _update(tracker, [b"Never-married", b"Divorced"])
    assert tracker.finish() is None


def test_memory_is_bounded_and_frequent_tokens_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_TOKENS", 50)
    tracker = tokens.TokenTracker()
    for block in range(20):
        _update(tracker, [f"the word{block}x{i}".encode() for i in range(100)])
        assert len(tracker._counts) <= 101
    found = tracker.finish()
    assert found is not None and found.top[0] == ("the", 2000)
