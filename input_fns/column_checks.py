"""One column held against a schema, block by block: what does not fit is counted, with examples."""

from __future__ import annotations

import collections
from collections.abc import Iterator
import dataclasses

import numpy as np
import pyarrow as pa

from input_fns import anomalies, blocks, conversion, errors
from input_fns import schema as schema_lib
from input_fns import schema_constraints, statistics, trackers

_MAX_KINDS = 1000  # different values out of the vocabulary that are told apart
_SHOWN = 5
_FILLS: dict[str, bytes | int | float] = {"string": b"", "int64": 0, "float32": 0.0}


class ColumnCheck:
    """A column of the schema; `found` tells in the end what is wrong with it.

    Attributes:
        feature: what the schema says of it.
        rows: rows of the files that have the column.
        missing: those of them without a value.
        absent_in: files that do not have it.
    """

    def __init__(
        self,
        feature: schema_lib.Feature,
        constraints: schema_constraints.ColumnConstraints,
        role: str = "",
    ) -> None:
        """Makes a check.

        Args:
            feature: what the schema says of the column.
            constraints: what it demands of the column as a whole.
            role: "label", "weight" or empty.
        """
        self.feature, self._constraints, self._role = feature, constraints, role
        # What is missing is counted and no fault of a row's.
        fill = None if feature.is_list else _FILLS[feature.dtype]
        lenient = dataclasses.replace(feature, default=fill)
        self._lenient = lenient
        self._converter = conversion.Converter(schema_lib.Schema((lenient,)), with_label=False)
        self._known = frozenset(text.encode() for text in feature.vocabulary or ())
        self.rows = self.missing = 0
        self.absent_in: list[str] = []
        self._values = 0
        self._wrong, self._first_wrong, self._wrong_type = 0, "", ""
        self._shape_error = ""
        self._unknown, self._unknown_values = 0, collections.Counter[bytes]()
        self._below, self._above = 0, 0
        self._lowest: float = 0
        self._highest: float = 0
        self.numbers, self.text = trackers.NumberTracker(), trackers.TextTracker()

    def update(self, raw: blocks.RawBlock) -> None:
        """Takes a block's rows into account."""
        if self._shape_error:
            return
        if self.feature.name not in raw.cells:
            if raw.path not in self.absent_in:
                self.absent_in.append(raw.path)
            return
        self.rows += len(raw.rows)
        try:
            found = self._converter.convert_column(raw, self._lenient)
        except errors.SchemaError as error:
            self._shape_error = str(error)
            return
        bad = found.bad & ~found.missing
        self.missing += int(found.missing.sum())
        if bad.any():
            self._add_wrong(raw, bad, found.expected)
        values = found.values[~(found.bad | found.missing)]
        if isinstance(values, blocks.Lists):
            values = values.values
        if isinstance(values, blocks.Strings):
            self._add_text(values)
        else:
            self._add_numbers(values)

    def summary(
        self, like: statistics.NumericStatistics | statistics.StringStatistics
    ) -> statistics.NumericStatistics | statistics.StringStatistics:
        """Statistics of the values that fit, of the kind that others of the column are."""
        if isinstance(like, statistics.NumericStatistics) or self.feature.dtype == "string":
            tracker = self.text if self.feature.dtype == "string" else self.numbers
            tracker.missing = self.missing
            return tracker.finish(self.feature.name, self.feature.dtype)
        self.text.missing = self.missing
        return self.text.finish(self.feature.name, self.feature.dtype)

    def found(self) -> Iterator[anomalies.Anomaly]:
        """Everything that is wrong with the column."""
        if self.absent_in:
            where = self.absent_in[0]
            where += f" and {len(self.absent_in) - 1} more" if len(self.absent_in) > 1 else ""
            yield self._anomaly(
                "SCHEMA_MISSING_COLUMN", "Column dropped", f"The column is not in {where}."
            )
        if self._shape_error:
            yield self._anomaly("INVALID_FEATURE_SHAPE", "Another shape", self._shape_error)
        if self._wrong:
            yield self._anomaly(
                self._wrong_type,
                "Values of another type",
                f"{self._wrong:,} of {self.rows:,} rows do not fit; the first: {self._first_wrong}",
            )
        yield from self._out_of_domain()
        if self.rows:
            yield from self._missing_values()

    def _add_wrong(self, raw: blocks.RawBlock, bad: np.ndarray, expected: str) -> None:
        if not self._wrong:
            index = int(np.flatnonzero(bad)[0])
            text = conversion.cell_text(raw.cells[self.feature.name], index)
            self._first_wrong = (
                f"{raw.path}, row {raw.rows[index]}, expected {expected}, found {text[:80]!r}."
            )
            self._wrong_type = _type_of_wrong(raw.cells[self.feature.name], self.feature)
        self._wrong += int(bad.sum())

    def _add_text(self, values: blocks.Strings) -> None:
        self._values += len(values)
        self.text.update(values, np.zeros(len(values), bool))
        if not self._known or not len(values):
            return
        frequencies = np.bincount(values.codes, minlength=len(values.values))
        for index in np.flatnonzero(frequencies).tolist():
            value = values.values[index]
            # A class is read without the white space around it.
            if (value.strip() if self._role == "label" else value) in self._known:
                continue
            self._unknown += int(frequencies[index])
            if value in self._unknown_values or len(self._unknown_values) < _MAX_KINDS:
                self._unknown_values[value] += int(frequencies[index])

    def _add_numbers(self, values: np.ndarray) -> None:
        self._values += values.size
        if not values.size:
            return
        self.numbers.update(values, np.zeros(len(values), bool))
        if self.feature.categorical:
            kinds, codes = np.unique(values, return_inverse=True)
            texts = blocks.as_objects([str(kind).encode() for kind in kinds.tolist()])
            self.text.update(blocks.Strings(codes.ravel(), texts), np.zeros(values.size, bool))
        low = 0 if self._role == "weight" else self.feature.low
        if low is not None:
            self._below += int((values < low).sum())
        if self.feature.high is not None and self._role != "weight":
            self._above += int((values > self.feature.high).sum())

    def _out_of_domain(self) -> Iterator[anomalies.Anomaly]:
        """Values that the vocabulary does not have, or numbers out of the range."""
        least = self._constraints.min_domain_mass * self._values
        if self._values - self._unknown < least:
            top = self._unknown_values.most_common(_SHOWN)
            shown = ", ".join(f"{value.decode()!r} ({count:,})" for value, count in top)
            left = len(self._unknown_values) - len(top)
            more = f", and {left:,} other ones" if left else ""
            yield self._anomaly(
                "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
                "Unexpected string values",
                f"{self._unknown:,} of {self._values:,} values ({self._unknown / self._values:.1%}) are not in the "
                f"vocabulary: {shown}{more}.",
            )
        kind = "INT" if self.feature.dtype == "int64" else "FLOAT"
        low = 0 if self._role == "weight" else self.feature.low
        for count, name, side, limit, extreme in (
            (self._below, "SMALL", "below", low, self.numbers.low),
            (self._above, "BIG", "above", self.feature.high, self.numbers.high),
        ):
            if self._values - count < least:
                yield self._anomaly(
                    f"{kind}_TYPE_{name}_{kind}",
                    "Out-of-range values",
                    f"{count:,} of {self._values:,} values ({count / self._values:.1%}) are {side} {_shown(limit)}, as "
                    f"far as {_shown(extreme)}.",
                )

    def _missing_values(self) -> Iterator[anomalies.Anomaly]:
        present = self.rows - self.missing
        required = not self.feature.is_list and (self.feature.default is None or bool(self._role))
        least = 1.0 if required else self._constraints.min_fraction
        said = (
            f"{self.missing:,} of {self.rows:,} rows ({self.missing / self.rows:.1%}) have no value"
        )
        if not present and (required or self._constraints.min_count or least):
            yield self._anomaly(
                "FEATURE_TYPE_NOT_PRESENT", "Column is empty", "No row has a value."
            )
        elif present < least * self.rows:
            wanted = "each needs one" if least == 1 else f"{1 - least:.1%} may have none"
            yield self._anomaly(
                "FEATURE_TYPE_LOW_FRACTION_PRESENT", "Missing values", f"{said}; {wanted}."
            )
        elif present < self._constraints.min_count:
            yield self._anomaly(
                "FEATURE_TYPE_LOW_NUMBER_PRESENT",
                "Missing values",
                f"{present:,} rows have a value; {self._constraints.min_count:,} or more are expected.",
            )

    def _anomaly(self, kind: str, short: str, description: str) -> anomalies.Anomaly:
        return anomalies.Anomaly(self.feature.name, kind, short, description)


def _shown(number: float | None) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _type_of_wrong(cells: pa.Array | np.ndarray, feature: schema_lib.Feature) -> str:
    """What TFX calls values of another type than the schema's."""
    if feature.kind == "date":
        return "UNEXPECTED_DATA_TYPE"
    if feature.dtype == "string":
        return "ENUM_TYPE_INVALID_UTF8"
    is_text = not isinstance(cells, np.ndarray) and not _is_of_numbers(cells.type)
    if feature.dtype == "int64":
        return "INT_TYPE_NOT_INT_STRING" if is_text else "INT_TYPE_INT_EXPECTED"
    return "FLOAT_TYPE_STRING_NOT_FLOAT" if is_text else "FLOAT_TYPE_NOT_FLOAT"


def _is_of_numbers(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )
