"""The label's and the weight's columns during the pass that infers a schema."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pyarrow as pa

from input_fns import blocks
from input_fns import cells as cells_lib
from input_fns import column_scans, conversion, errors
from input_fns import schema as schema_lib
from input_fns import statistics

_MAX_CLASS_IDS = 1000  # ids 0..n-1 are classes up to here
_MAX_CLASS_NUMBERS = 20  # other whole numbers, such as 1..5 or -1 and 1, up to here

_logger = logging.getLogger(__name__)


class LabelScan(column_scans.ColumnScan):
    """A label: besides its type, whether it is a class or an amount."""

    def __init__(self, name: str, task: str, declared: schema_lib.Feature | None = None) -> None:
        super().__init__(name, declared)
        self._task = task
        self._feature: schema_lib.Feature | None = declared

    def read(
        self, raw: blocks.RawBlock, converter: conversion.Converter | None
    ) -> conversion.Converted:
        """The label's values in that block; a row without one is bad."""
        converted = super().read(raw, converter)
        if self.declared is not None or not converted.missing.any():
            return converted
        bad, expected = converted.bad | converted.missing, "a label, not an empty cell"
        return dataclasses.replace(converted, bad=bad, expected=expected)

    def update(
        self, raw: blocks.RawBlock, converted: conversion.Converted, good: np.ndarray | None
    ) -> None:
        """Takes the rows into account, as numbers and as text: classes may be either."""
        super().update(raw, converted, good)
        if isinstance(converted.values, blocks.Strings) or not self._may_be_classes():
            return
        cells = raw.cells[self.name]
        if isinstance(cells, np.ndarray):
            cells = pa.array(cells.astype(str).tolist(), pa.string()).cast(pa.binary())
        text = conversion.encode(cells_lib.parse_text(cells, trim=True).values)
        missing = converted.missing if good is None else converted.missing[good]
        self.text.update(text if good is None else text[good], missing)

    def feature(self) -> schema_lib.Feature:
        """The label as the whole pass has shown it.

        Raises:
            InputError: it cannot be what `task` wants, or has a single class.
        """
        if self._feature is None:
            self._feature = self._decide()
        return self._feature

    def summary(self) -> statistics.NumericStatistics | statistics.StringStatistics:
        """Of a class how often each occurs, of an amount its moments."""
        feature = self.feature()
        if feature.dtype == "string" or (feature.categorical and not feature.shape):
            return self.text.finish(self.name, feature.dtype, top=len(self.text.counts))
        return self.numbers.finish(self.name, feature.dtype)

    def _read_text(self, cells: pa.Array) -> conversion.Converted:
        text = cells_lib.parse_text(cells, trim=True)
        values = conversion.encode(text.values)
        return conversion.Converted(values, text.missing, text.bad, "text in UTF-8")

    def _may_be_classes(self) -> bool:
        if self.shape or (self.declared is not None and self.declared.shape):
            return False
        if self.declared is not None:
            return self.declared.categorical
        return self.text.complete and self._task != "regression"

    def _decide(self) -> schema_lib.Feature:
        if self._task == "multi_label":
            return self._decide_multi_label()
        if self._task == "regression" and not self.is_number:
            raise errors.InputError(
                f"--task=regression needs a label of numbers; column {self.name!r} holds text such "
                f"as {self.text.texts()[0]!r}. Choose another --label_column, or "
                "--task=classification."
            )
        if self._task == "regression" or (self.is_number and not self._is_classes()):
            _logger.info("The label %s is learned as an amount (regression).", self.name)
            low, high = (float(np.float32(v)) for v in (self.numbers.low, self.numbers.high))
            return schema_lib.Feature(self.name, "float32", low=low, high=high)
        if not self.text.complete:
            raise errors.InputError(
                f"The label {self.name!r} has more than {len(self.text.counts)} different values, "
                "too many for classes. Is it the right --label_column? Amounts are learned with "
                "--task=regression."
            )
        classes = self.text.texts()
        if len(classes) < 2:
            raise errors.InputError(
                f"The label {self.name!r} is {classes[0]!r} in every row; classes to tell apart "
                "are expected. Is it the right --label_column, and are the files complete?"
            )
        _logger.info("The label %s is learned as %d classes.", self.name, len(classes))
        if self._are_ids():
            high = len(classes) - 1
            return schema_lib.Feature(self.name, "int64", low=0, high=high, categorical=True)
        if self.is_number:
            # As the data has them, such as 0x1F; true and false are no numbers as text and stand in this order anyway.
            texts = pa.array(classes, pa.string()).cast(pa.binary())
            values = cells_lib.parse_numbers(texts).values.tolist()
            classes = tuple(name for _, name in sorted(zip(values, classes)))
        return schema_lib.Feature(self.name, "string", vocabulary=classes)

    def _decide_multi_label(self) -> schema_lib.Feature:
        if not self.is_number or not {self.numbers.low, self.numbers.high} <= {0, 1}:
            found = f"from {self.numbers.low:g} to {self.numbers.high:g}"
            raise errors.InputError(
                f"Expected the label {self.name!r} to hold 0 and 1 for --task=multi_label, found "
                f"{found if self.is_number else f'text such as {self.text.texts()[0]!r}'}. Correct --label_column or "
                f"the data; columns of other classes or amounts are learned side by side without --task."
            )
        return schema_lib.Feature(self.name, "int64", self.shape, low=0, high=1, categorical=True)

    def _is_classes(self) -> bool:
        if self._task == "classification":
            return True
        few = self.text.complete and len(self.text.counts) <= _MAX_CLASS_NUMBERS
        return self.numbers.whole and (few or self._are_ids())

    def _are_ids(self) -> bool:
        count = len(self.text.counts)
        if not self.text.complete or count > _MAX_CLASS_IDS:
            return False
        return set(self.text.texts()) == {str(i) for i in range(count)}


class WeightScan(column_scans.ColumnScan):
    """A column of example weights: numbers >= 0 in every row."""

    def read(
        self, raw: blocks.RawBlock, converter: conversion.Converter | None
    ) -> conversion.Converted:
        """The weights in that block; a row without one is bad."""
        if self.declared is not None:
            return super().read(raw, converter)
        cells = raw.cells[self.name]
        numbers = cells_lib.parse_numbers(cells)
        self.is_number = True
        bad = numbers.bad | numbers.missing | (numbers.values < 0)
        expected = "a weight, a number >= 0"
        return conversion.Converted(numbers.values, numbers.missing, bad, expected)

    def feature(self) -> schema_lib.Feature:
        """The weight, always float32: that is what the loss takes."""
        if self.declared is not None:
            return self.declared
        low, high = (float(np.float32(v)) for v in (self.numbers.low, self.numbers.high))
        return schema_lib.Feature(self.name, "float32", low=low, high=high)
