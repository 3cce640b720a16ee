"""Progress of a pass over rows: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import shutil
import time
from typing import Optional, TextIO

import tqdm

_BAR_EVERY_SECS = 0.2
_LINE_EVERY_SECS = 10.0


@contextlib.contextmanager
def show(
    kind: str,
    stream: TextIO,
    title: str,
    total: Optional[int] = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """Shows a pass while it is entered; gives the function that is called with each block's rows.

    Args:
      kind: "auto", "bar", "lines" or "none"; "auto" is a bar if `stream` is a terminal.
      stream: where progress is written.
      title: what is done, such as "reading".
      total: how many rows there are, if that is known.
      clock: seconds.
    """
    if kind == "auto":
        kind = "bar" if stream.isatty() else "lines"
    if kind == "none":
        yield lambda rows: None
    elif kind == "bar":
        # A terminal may not know its size (0 x 0 in some containers), and tqdm then shows nothing.
        size = shutil.get_terminal_size()
        with tqdm.tqdm(
            total=total,
            unit=" rows",
            file=stream,
            desc=title,
            mininterval=_BAR_EVERY_SECS,
            ncols=size.columns,
            nrows=size.lines,
        ) as bar:
            yield lambda rows: _update(bar, rows)
    else:
        lines = _Lines(stream, title, total, clock)
        yield lines.add
        lines.show()


def _update(bar: tqdm.tqdm, rows: int) -> None:
    bar.update(rows)


class _Lines:
    """A line every few seconds, and one at the end."""

    def __init__(
        self, stream: TextIO, title: str, total: Optional[int], clock: Callable[[], float]
    ) -> None:
        self._stream, self._title, self._total, self._clock = stream, title, total, clock
        self._rows = 0
        self._first_time = clock()
        self._due = self._first_time + _LINE_EVERY_SECS

    def add(self, rows: int) -> None:
        """Counts the rows."""
        self._rows += rows
        if self._clock() >= self._due:
            self._due = self._clock() + _LINE_EVERY_SECS
            self.show()

    def show(self) -> None:
        """Writes a line such as "writing: 120000/480000 rows, 40000 rows/s, 9 s left"."""
        passed = self._clock() - self._first_time
        rate = self._rows / passed if passed > 0 else 0.0
        of = f"/{self._total}" if self._total is not None else ""
        left = (self._total or 0) - self._rows
        end = f", {left / rate:.0f} s left" if rate and left > 0 else ""
        print(
            f"{self._title}: {self._rows}{of} rows, {rate:.0f} rows/s{end}",
            file=self._stream,
            flush=True,
        )
