"""One column during the pass that infers a schema: what it holds, so far and in the end."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pyarrow as pa

from input_fns import blocks
from input_fns import cells as cells_lib
from input_fns import conversion, errors, list_cells
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
        self._lengths: list[int] | None = None  # least and most, of lists of which not all have one
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
        if self._lengths is None and self._needs_lists(cells, shape):
            self._lengths = self._lengths_so_far()
        if self._lengths is not None and len(shape) < 2:
            return self._read_lists(cells)
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
        if isinstance(values, blocks.Lists):
            self._update_lists(values)
        elif self.is_number is None:  # no cell is filled so far: what it is to hold will show
            self._add_missing(len(missing))
        elif isinstance(values, blocks.Strings):
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
        shape, value_count = self._layout()
        low: int | float | None = self.numbers.low
        high: int | float | None = self.numbers.high
        if not self.numbers.count:  # numbers by their type alone
            _logger.warning("Column %s is empty in every row.", self.name)
            low = high = None
        mean = self.numbers.mean
        default: int | float | None = None
        has_default = self.numbers.missing and value_count is None
        if self.numbers.whole:
            dtype = "int64"
            if has_default:
                default = round(mean)
        else:
            dtype = "float32"
            if has_default:
                default = float(np.float32(mean))
            # Whole numbers in the first blocks were no fractions yet.
            low, high = (None if v is None else float(np.float32(v)) for v in (low, high))
        return schema_lib.Feature(
            self.name, dtype, shape, default, None, low, high, value_count=value_count
        )

    def summary(self) -> statistics.NumericStatistics | statistics.StringStatistics:
        """Statistics of the column, over its good rows."""
        if not self.is_number:
            may_be_dates = self.declared is None or self.declared.kind == "date"
            days = self.dates.finish(self.name) if may_be_dates else None
            return dataclasses.replace(self.text.finish(self.name), days=days)
        return self.numbers.finish(self.name, self.feature().dtype)

    def _text_feature(self) -> schema_lib.Feature:
        if not self.text.counts:
            _logger.warning("Column %s is empty in every row.", self.name)
        value_count = self._layout()[1]
        default = b"" if self.text.missing and value_count is None else None
        if value_count is None and self.dates.date_format is not None:
            return schema_lib.Feature(
                self.name, "string", (), default, kind="date", date_format=self.dates.date_format
            )
        counts = self.text.counts
        if value_count is None and text_kinds.is_natural_language(counts, counts.total()):
            return schema_lib.Feature(self.name, "string", (), default, kind="text")
        vocabulary = self.text.texts() if self.text.complete and self.text.counts else None
        return schema_lib.Feature(
            self.name, "string", (), default, vocabulary, value_count=value_count
        )

    def _needs_lists(self, cells: pa.Array | np.ndarray, shape: tuple[int, ...]) -> bool:
        """Whether these cells, or those before beside them, are lists of which not all have one length."""
        if not isinstance(cells, np.ndarray) and list_cells.is_list(cells.type):
            return True
        has_rows = self.is_number is not None or self.text.missing > 0
        differ = has_rows and shape != self.shape and len(cells) > 0
        return differ and max(len(shape), len(self.shape)) == 1

    def _lengths_so_far(self) -> list[int]:
        """Each row had one value, or lists all had one length, or there was nothing."""
        lengths = (
            [self.shape[0] if self.shape else 1] if self.numbers.count + self.text.count else []
        )
        if self.numbers.missing + self.text.missing:
            lengths.append(0)
        return [min(lengths), max(lengths)] if lengths else []

    def _read_lists(self, cells: pa.Array | np.ndarray) -> conversion.Converted:
        if self.is_number is None:
            self.is_number = _looks_numeric(list_cells.flatten(cells)[1])
        return conversion.list_column(cells, None if self.is_number else "string")

    def _update_lists(self, lists: blocks.Lists) -> None:
        lengths = lists.lengths
        if len(lengths):
            known = [*(self._lengths or []), int(lengths.min()), int(lengths.max())]
            self._lengths = [min(known), max(known)]
        all_there = np.zeros(len(lists.values), bool)
        if isinstance(lists.values, blocks.Strings):
            self.text.update(lists.values, all_there)
        else:
            self.numbers.update(lists.values, all_there)
        self._add_missing(int((lengths == 0).sum()))

    def _add_missing(self, count: int) -> None:
        """Counts rows without a value for what the column holds; for both while that has not shown."""
        if self.is_number is not False:
            self.numbers.missing += count
        if not self.is_number:
            self.text.missing += count

    def _layout(self) -> tuple[tuple[int, ...], tuple[int, int] | None]:
        """The shape of a value, and the least and the most of them where they are lists of any length."""
        if self._lengths is None:
            return self.shape, None
        least, most = self._lengths or [0, 0]
        if self.is_number and least == most > 0:
            return (most,), None
        return (), (least, most)

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
