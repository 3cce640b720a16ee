"""One column during the pass that infers a schema: what it holds, so far and in the end."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pyarrow as pa

from input_fns import blocks
from input_fns import cells as cells_lib
from input_fns import conversion, errors
from input_fns import schema as schema_lib
from input_fns import statistics, text_kinds, trackers

_NUMERIC_SHARE = 0.9

_logger = logging.getLogger(__name__)


class ColumnScan:
    """A feature or weight whose type is to be found, or is given by `declared`."""

    def __init__(self, name: str, declared: schema_lib.Feature | None = None) -> None:
        self.name = name
        self.declared = declared
        self.numbers = trackers.NumberTracker()
        self.text = trackers.TextTracker()
        is_date = declared is not None and declared.kind == "date"
        self.dates = text_kinds.DateTracker(declared.date_format if declared and is_date else None)
        self.shape: tuple[int, ...] = ()
        self.is_number: bool | None = None
        if declared is not None:
            self.is_number = declared.dtype != "string"

    def read(
        self, raw: blocks.RawBlock, converter: conversion.Converter | None
    ) -> conversion.Converted:
        """The column's values in that block and which of its rows are bad.

        Raises:
            SchemaError: they are of another shape than those of the blocks before.
        """
        if self.declared is not None:
            assert converter is not None
            return converter.convert_column(raw, self.declared)
        cells = raw.cells[self.name]
        shape = cells.shape[1:] if isinstance(cells, np.ndarray) else ()
        if self.is_number is not None and shape != self.shape and len(raw.rows):
            raise errors.SchemaError(
                f"{raw.path}: {self.name!r} has shape {shape} from row {raw.rows[0]} on, and {self.shape} before. "
                "Expected one shape in all rows."
            )
        if isinstance(cells, np.ndarray):
            self.is_number, self.shape = True, shape
            none = np.zeros(len(cells), bool)
            bad = conversion.not_finite(cells)
            return conversion.Converted(cells, none, bad, conversion.FINITE)
        if self.is_number is None:
            self.is_number = _looks_numeric(cells)
        if self.is_number:
            return self._read_numbers(cells)
        return self._read_text(cells)

    def update(
        self, raw: blocks.RawBlock, converted: conversion.Converted, good: np.ndarray | None
    ) -> None:
        """Takes the rows into account.

        Args:
            raw: the block that `converted` was read from.
            converted: what `read` gave.
            good: [n] bool, the rows that no column found bad; None means all.
        """
        del raw  # LabelScan needs it
        values = converted.values if good is None else converted.values[good]
        missing = converted.missing if good is None else converted.missing[good]
        if isinstance(values, blocks.Strings):
            self.text.update(values, missing)
            self.dates.update(values, missing)
        else:
            self.numbers.update(values, missing)

    def feature(self) -> schema_lib.Feature:
        """The column as the whole pass has shown it."""
        if self.declared is not None:
            return self.declared
        if not self.is_number:
            return self._text_feature()
        low, high, mean = self.numbers.low, self.numbers.high, self.numbers.mean
        default: int | float | None = None
        if self.numbers.whole:
            if self.numbers.missing:
                default = round(mean)
            return schema_lib.Feature(self.name, "int64", self.shape, default, None, low, high)
        if self.numbers.missing:
            default = float(np.float32(mean))
        low, high = float(np.float32(low)), float(np.float32(high))
        return schema_lib.Feature(self.name, "float32", self.shape, default, None, low, high)

    def summary(self) -> statistics.NumericStatistics | statistics.StringStatistics:
        """Statistics of the column, over its good rows."""
        if not self.is_number:
            days = self.dates.finish(self.name) if self.feature().kind == "date" else None
            return dataclasses.replace(self.text.finish(self.name), days=days)
        return self.numbers.finish(self.name, self.feature().dtype)

    def _text_feature(self) -> schema_lib.Feature:
        if not self.text.counts:
            _logger.warning("Column %s is empty in every row.", self.name)
        default = b"" if self.text.missing else None
        if self.dates.date_format is not None:
            return schema_lib.Feature(
                self.name, "string", (), default, kind="date", date_format=self.dates.date_format
            )
        if text_kinds.is_natural_language(self.text.counts, self.text.counts.total()):
            return schema_lib.Feature(self.name, "string", (), default, kind="text")
        vocabulary = self.text.texts() if self.text.complete and self.text.counts else None
        return schema_lib.Feature(self.name, "string", (), default, vocabulary)

    def _read_numbers(self, cells: pa.Array) -> conversion.Converted:
        numbers = cells_lib.parse_numbers(cells)
        expected = "a number, as in the column's first rows"
        return conversion.Converted(numbers.values, numbers.missing, numbers.bad, expected)

    def _read_text(self, cells: pa.Array) -> conversion.Converted:
        text = cells_lib.parse_text(cells)
        values = conversion.encode(text.values)
        return conversion.Converted(values, text.missing, text.bad, "text in UTF-8")


def _looks_numeric(cells: pa.Array) -> bool | None:
    """Whether most of the filled cells are numbers; None when all are empty."""
    if not cells_lib.is_untyped(cells) and not pa.types.is_null(cells.type):
        return cells_lib.is_number(cells.type)
    numbers = cells_lib.parse_numbers(cells)
    filled = ~numbers.missing
    if not filled.any():
        return None
    return bool((~numbers.bad[filled]).mean() >= _NUMERIC_SHARE)
