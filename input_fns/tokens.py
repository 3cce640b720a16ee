"""Statistics of the tokens of text, over a sample, in memory that does not grow with the rows."""

from __future__ import annotations

import collections
import string

import numpy as np

from input_fns import statistics

MAX_TOKENS = 10_000
_MAX_TEXTS = 500  # of a block
_TOP = 100
_LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
_PUNCTUATION = string.punctuation.encode()


def split(text: bytes) -> list[bytes]:
    """The tokens: what white space separates, ASCII in lower case and without punctuation.

    That is what Keras' TextVectorization does to text if it is not told otherwise.
    """
    return text.translate(_LOWER, _PUNCTUATION).split()


class TokenTracker:
    """How many tokens texts have, and the most frequent ones.

    Of each block `_MAX_TEXTS` different texts at most are looked at, evenly spread. When there are more than twice
    `MAX_TOKENS` different tokens, the rarer half is forgotten: what is frequent throughout stays, counted in full.
    """

    def __init__(self) -> None:
        self._texts = self._tokens = self._max_tokens = 0
        self._counts: collections.Counter[bytes] = collections.Counter()

    def update(self, texts: np.ndarray, frequencies: np.ndarray) -> None:
        """Looks at a block's texts.

        Args:
            texts: [m] object array of bytes, different ones.
            frequencies: [m] int, how often each occurs, >= 1.
        """
        if len(texts) > _MAX_TEXTS:
            chosen = np.linspace(0, len(texts) - 1, _MAX_TEXTS).astype(int)
            texts, frequencies = texts[chosen], frequencies[chosen]
        for text, frequency in zip(texts.tolist(), frequencies.tolist()):
            tokens = split(text)
            self._texts += frequency
            self._tokens += frequency * len(tokens)
            self._max_tokens = max(self._max_tokens, len(tokens))
            for token in tokens:
                self._counts[token] += frequency
        if len(self._counts) > 2 * MAX_TOKENS:
            self._counts = collections.Counter(dict(self._counts.most_common(MAX_TOKENS)))

    def finish(self) -> statistics.TokenStatistics | None:
        """What was found; None if no text has more than one token."""
        if self._max_tokens < 2:
            return None
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:_TOP]
        return statistics.TokenStatistics(
            self._texts,
            self._tokens / self._texts,
            self._max_tokens,
            tuple((token.decode("utf-8", "replace"), count) for token, count in ordered),
        )
