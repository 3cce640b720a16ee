"""What a column of text is during the pass that infers a schema: dates, natural language, or neither."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from input_fns import blocks, dates, statistics, trackers

# Natural language: at least this share of the values is different, and they have so many words in the mean.
_DIFFERENT = 0.5
_WORDS = 3.0


class DateTracker:
    """Whether all text of a column are dates, and how they are spread over the calendar."""

    def __init__(self, date_format: str | None = None) -> None:
        """Makes a tracker.

        Args:
            date_format: how the dates are written, where a schema tells it; then none of them is another text.
        """
        self._declared = date_format is not None
        self._format = date_format
        self._refuted = False
        self._days = trackers.NumberTracker()

    @property
    def date_format(self) -> str | None:
        """The format, None if a value was no date or there was none."""
        return None if self._refuted else self._format

    def update(self, values: blocks.Strings, missing: np.ndarray) -> None:
        """Adds some rows; once a value was no date this costs nothing.

        Args:
            values: [n] strings.
            missing: [n] bool, the rows without a value.
        """
        if self._refuted:
            return
        used = np.unique(values.codes[~missing])
        if not len(used):
            self._days.missing += len(missing)
            return
        texts = pa.array([values.values[index].decode() for index in used], pa.string())
        if not self._declared:
            found = dates.infer_format(texts)
            self._refuted = found is None
            if found is None:
                return
            # Dates with a time and dates without one together are ISO 8601.
            self._format = found if self._format in (None, found) else ""
        assert self._format is not None
        # What one block has as dates alone is ISO 8601 as well.
        days = np.zeros(len(values.values), np.int64)
        days[used] = dates.to_days(texts, self._format if self._declared else "")
        self._days.update(days[values.codes], missing)

    def finish(self, name: str) -> statistics.NumericStatistics | None:
        """The days since 1970-01-01, None if these are no dates."""
        return None if self.date_format is None else self._days.finish(name, "int64")


def is_natural_language(values: Iterable[bytes], count: int) -> bool:
    """Whether text is read by its words and not as a whole.

    Args:
        values: the different values.
        count: rows that have one of them.
    """
    texts = pa.array([value.decode() for value in values], pa.string())
    if not len(texts) or len(texts) < _DIFFERENT * count:
        return False
    return pc.mean(pc.count_substring_regex(texts, r"\S+")).as_py() >= _WORDS
