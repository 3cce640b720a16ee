"""How far a long question is, on standard error."""

import sys
from typing import Any, Optional

import tqdm


class RowDisplay:
    """A bar of rows, and notes that do not disturb it.

    The bar is silent for the first second, and if standard error is no terminal. Its end is guessed
    from how much of the input has been read.
    """

    def __init__(self) -> None:
        self._bar = tqdm.tqdm(unit=" rows", disable=None, delay=1, leave=False)

    def __enter__(self) -> "RowDisplay":
        return self

    def __exit__(self, *unused: Any) -> None:
        self._bar.close()

    def begin(self, count: int) -> None:
        """Says how many rows an earlier run has done."""
        self._bar.initial = count
        self._bar.n = count

    def update(self, count: int, fraction: Optional[float]) -> None:
        """Says how many more rows are done, and how much of the input has been read, 0 to 1, if known."""
        if fraction:
            done = self._bar.n + count
            self._bar.total = max(done, round(done / fraction))
        self._bar.update(count)

    def note(self, text: str) -> None:
        """Prints a line, above the bar if there is one."""
        tqdm.tqdm.write(f"note: {text}", file=sys.stderr)
