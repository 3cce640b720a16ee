"""Rows that do not fit, kept in a CSV file where they can be read and corrected."""

from __future__ import annotations

import csv
import os
from types import TracebackType
from typing import TextIO

from input_fns import blocks

COLUMNS = ("file", "row", "column", "value", "reason", "raw_row")


class Writer:
    """Writes bad rows as they are found; the file takes its place when all are written.

    One writer may serve several scans, of training and of evaluation data. A file of an earlier
    run is replaced, or removed when there are no bad rows any more.

        with bad_rows.Writer("bad_rows.csv") as writer:
            inference.scan(source, settings, bad_rows=writer)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._temporary = f"{self._path}.tmp"
        self._file: TextIO | None = None
        self.count = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is None:
            if kind is None and os.path.exists(self._path):
                os.remove(self._path)
            return
        self._file.close()
        if kind is None:
            os.replace(self._temporary, self._path)
        else:
            os.remove(self._temporary)

    def add(self, bad: blocks.BadRow) -> None:
        """Writes one row."""
        if self._file is None:
            self._file = open(self._temporary, "w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(COLUMNS)
        reason = f"expected {bad.expected}"
        csv.writer(self._file).writerow((bad.path, bad.row, bad.column, bad.value, reason, bad.raw))
        self.count += 1
