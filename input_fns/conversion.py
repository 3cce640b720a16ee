"""Raw blocks to typed ones by a schema, and which rows do not fit it."""

from __future__ import annotations

from collections.abc import Mapping
import csv
import dataclasses
import io
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from input_fns import blocks
from input_fns import cells as cells_lib
from input_fns import dates, errors, list_cells
from input_fns import schema as schema_lib

FINITE = "finite numbers"


@dataclasses.dataclass(frozen=True)
class Converted:
    """One column of a block.

    Attributes:
        values: the typed column; a default, or zero, where there is no good value.
        missing: [n] bool, whether the cell is empty.
        bad: [n] bool, whether the row is to be refused because of this cell.
        expected: what the column holds, for the error.
    """

    values: blocks.Column
    missing: np.ndarray
    bad: np.ndarray
    expected: str


class Converter:
    """Turns raw blocks into blocks of a schema's columns."""

    def __init__(self, schema: schema_lib.Schema, with_label: bool) -> None:
        """Makes a converter.

        Args:
            schema: what the columns hold.
            with_label: whether labels and weight are converted too.
        """
        self._features = schema.columns if with_label else schema.features
        self._weight = schema.weight
        self._labels = {label.name for label in schema.labels}
        self._classes: dict[str, tuple[np.ndarray, pa.Array]] = {}  # label -> its classes
        for label in schema.labels if with_label else ():
            if label.vocabulary is not None:
                values = blocks.as_objects([name.encode() for name in label.vocabulary])
                self._classes[label.name] = values, pa.array(label.vocabulary, pa.string())

    def convert(self, raw: blocks.RawBlock) -> tuple[blocks.Block, tuple[blocks.BadRow, ...]]:
        """The rows that fit, and those that do not, in file order.

        Raises:
            SchemaError: a typed source gives a column another shape than the schema does.
        """
        columns = {f.name: self.convert_column(raw, f) for f in self._features}
        bad = find_bad_rows(raw, columns)
        block = blocks.Block(len(raw.rows), {name: c.values for name, c in columns.items()})
        if len(bad) > len(raw.misshapen):
            block = block[~np.logical_or.reduce([column.bad for column in columns.values()])]
        return block, bad

    def convert_column(self, raw: blocks.RawBlock, feature: schema_lib.Feature) -> Converted:
        """The column of that feature, label or weight."""
        cells = raw.cells[feature.name]
        if isinstance(cells, np.ndarray) and cells.ndim == 1:
            cells = pa.array(cells)  # single values may be classes or text to the schema
        if feature.is_list:
            return list_column(_require_lists(raw, feature), feature.dtype)
        if isinstance(cells, np.ndarray):
            converted = _check_typed(raw.path, cells, feature)
        elif feature.shape:
            converted = _shaped_column(raw.path, cells, feature)
        elif list_cells.is_list(cells.type):
            raise errors.SchemaError(
                f"{raw.path}: column {feature.name!r} holds lists ({cells.type}), the schema says one value. Give it a "
                "shape or a value_count in the schema."
            )
        elif feature.name in self._classes:
            distinct, places = _distinct(cells)
            return _spread(_class_column(distinct, *self._classes[feature.name]), places)
        elif feature.dtype == "string":
            distinct, places = _distinct(cells)
            return _spread(_string_column(distinct, feature), places)
        else:
            converted = _number_column(cells, feature)
        if feature.name in self._labels and feature.categorical and feature.high is not None:
            values = converted.values
            assert isinstance(values, np.ndarray)  # ids are numbers
            outside = _any_of_row((values < 0) | (values > feature.high))
            expected = f"a class id from 0 to {feature.high}"
            return dataclasses.replace(converted, bad=converted.bad | outside, expected=expected)
        if feature is self._weight:
            negative = converted.values < 0  # type: ignore[operator]
            expected = "a weight, a number >= 0"
            return dataclasses.replace(converted, bad=converted.bad | negative, expected=expected)
        return converted


def find_bad_rows(
    raw: blocks.RawBlock, columns: Mapping[str, Converted]
) -> tuple[blocks.BadRow, ...]:
    """One entry for each row that does not fit, in file order, named by its first bad column."""
    found = {bad.row: bad for bad in raw.misshapen}
    for name, column in columns.items():
        if not column.bad.any():
            continue
        for index in np.flatnonzero(column.bad).tolist():
            row = int(raw.rows[index])
            if row not in found:
                value = cell_text(raw.cells[name], index)
                found[row] = blocks.BadRow(
                    raw.path, row, name, value, column.expected, _row_text(raw, index)
                )
    return tuple(found[row] for row in sorted(found))


def list_column(cells: pa.Array | np.ndarray, dtype: str | None) -> Converted:
    """Lists of any length; a list in which a value is missing, or not what the others are, is bad.

    Args:
        cells: [n] lists or single values, see `list_cells.flatten`.
        dtype: "string", "int64" or "float32"; None for numbers of which it is not yet known whether all are whole.
    """
    lengths, flat = list_cells.flatten(cells)
    values: np.ndarray | blocks.Strings
    if dtype == "string":
        text = cells_lib.parse_text(flat)
        values, bad, expected = encode(text.values), text.bad, "text in UTF-8"
        empty = text.missing
    else:
        numbers = cells_lib.parse_numbers(flat)
        empty = numbers.missing
        if dtype is None:
            values, bad, expected = numbers.values, numbers.bad, "numbers"
        else:
            values, bad, expected = _to_dtype(numbers, dtype)
            expected = {"a number": "numbers", "a whole number": "whole numbers"}[expected]
        if values.dtype == np.int64 and (smallest := values == np.iinfo(np.int64).min).any():
            bad, expected = (
                bad | smallest,
                f"{expected} above -2^63",
            )  # which fills lists up in a plain tensor
    return Converted(
        blocks.from_lengths(lengths, values),
        lengths == 0,
        list_cells.rows_with(bad | empty, lengths),
        f"a list of {expected}, none of them missing or empty",
    )


def encode(text: pa.StringArray) -> blocks.Strings:
    """The text as byte strings, each different one held once."""
    encoded = text.dictionary_encode()
    values = encoded.dictionary.cast(pa.binary()).to_pylist()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return blocks.Strings(codes, blocks.as_objects(values))


def _distinct(cells: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """The values of a dictionary array, and each row's place among them; other cells as they are, and None."""
    if not pa.types.is_dictionary(cells.type):
        return cells, None
    values, places = cells.dictionary, cells.indices.cast(pa.int32())
    if cells.null_count:
        places = pc.fill_null(places, len(values))
        values = pa.concat_arrays([values, pa.nulls(1, values.type)])
    return values, places.to_numpy(zero_copy_only=False)


def _spread(distinct: Converted, places: np.ndarray | None) -> Converted:
    """The column of which each row's value stands in `distinct` at its place."""
    if places is None:
        return distinct
    values = distinct.values
    if isinstance(values, blocks.Strings) and _is_counted(values.codes):
        values = blocks.Strings(places, values.values, values.fixed)
    else:
        values = values[places]
    return Converted(
        values,
        _spread_flags(distinct.missing, places),
        _spread_flags(distinct.bad, places),
        distinct.expected,
    )


def _is_counted(codes: np.ndarray) -> bool:
    """Whether the codes are 0, 1, 2, ..., as those of a dictionary's own values are."""
    return np.array_equal(codes, np.arange(len(codes)))


def _spread_flags(flags: np.ndarray, places: np.ndarray) -> np.ndarray:
    return flags[places] if flags.any() else np.zeros(len(places), bool)


def _string_column(cells: pa.Array, feature: schema_lib.Feature) -> Converted:
    text = cells_lib.parse_text(cells)
    values, bad, expected = text.values, text.bad, "text in UTF-8"
    if feature.kind == "date":
        encoded = values.dictionary_encode()  # each different value once: days repeat
        wrong = dates.find_bad(encoded.dictionary, feature.date_format)
        bad = bad | (wrong[encoded.indices.to_numpy(zero_copy_only=False)] & ~text.missing)
        expected = f"a date as {feature.date_format or 'ISO 8601 has it'}"
    if text.missing.any():
        if feature.default is None:
            what = expected if feature.kind else "a value"
            bad, expected = bad | text.missing, f"{what}, not an empty cell"
        elif feature.default != b"":
            assert isinstance(feature.default, bytes)
            values = pc.if_else(pa.array(text.missing), feature.default.decode(), values)
    return Converted(encode(values), text.missing, bad, expected)


def _class_column(cells: pa.Array, values: np.ndarray, vocabulary: pa.Array) -> Converted:
    text = cells_lib.parse_text(cells, trim=True)
    codes = pc.index_in(text.values, value_set=vocabulary)
    unknown = codes.is_null().to_numpy(zero_copy_only=False)
    ids = pc.fill_null(codes, 0).to_numpy(zero_copy_only=False)
    names = vocabulary.to_pylist()
    shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
    return Converted(
        blocks.Strings(ids, values, fixed=True), text.missing, unknown | text.bad, f"one of {shown}"
    )


def _number_column(cells: pa.Array, feature: schema_lib.Feature) -> Converted:
    numbers = cells_lib.parse_numbers(cells)
    values, bad, expected = _to_dtype(numbers, feature.dtype)
    if numbers.missing.any():
        if feature.default is None:
            bad, expected = bad | numbers.missing, f"{expected}, not an empty cell"
        else:
            values = np.where(numbers.missing, values.dtype.type(feature.default), values)
    return Converted(values, numbers.missing, bad, expected)


def _to_dtype(numbers: cells_lib.Numbers, dtype: str) -> tuple[np.ndarray, np.ndarray, str]:
    """[n] int64 or float32, [n] bool which of them are bad, and what was expected."""
    values, bad = numbers.values, numbers.bad
    if dtype == "float32":
        return values.astype(np.float32), bad, "a number"
    if values.dtype != np.int64:
        # A whole number may be written 3.0: pandas does so in a column with empty cells.
        bad = bad | (values != np.floor(values)) | (np.abs(values) >= 2.0**63)
        values = np.where(bad, 0, values).astype(np.int64)
    return values, bad, "a whole number"


def _require_lists(raw: blocks.RawBlock, feature: schema_lib.Feature) -> pa.Array | np.ndarray:
    cells = raw.cells[feature.name]
    if isinstance(cells, np.ndarray) and cells.ndim > 2:
        raise errors.SchemaError(
            f"{raw.path}: {feature.name!r} has shape {cells.shape[1:]}, the schema says lists (value_count). Give it "
            "that shape in the schema."
        )
    return cells


def _shaped_column(path: str, cells: pa.Array, feature: schema_lib.Feature) -> Converted:
    """A column of fixed shape, of lists that are not all of one length."""
    if feature.dtype == "string":
        raise _no_shape_for_text(path, feature)
    size = math.prod(feature.shape)
    lengths, flat = list_cells.flatten(cells)
    if not list_cells.is_list(cells.type) and size > 1 and len(flat):
        raise errors.SchemaError(
            f"{path}: a cell holds one value, the schema gives {feature.name!r} the shape "
            f"{feature.shape}. Remove the shape, or give a column to each value."
        )
    numbers = cells_lib.parse_numbers(flat)
    found, bad_values, _ = _to_dtype(numbers, feature.dtype)
    fits = lengths == size
    bad = ~fits | list_cells.rows_with(bad_values | numbers.missing, lengths)
    values = np.zeros((len(lengths), size), found.dtype)
    values[fits] = found[np.repeat(fits, lengths)].reshape(-1, size)
    missing = lengths == 0
    if feature.default is not None:
        values[missing] = feature.default
        bad &= ~missing
    kind = "whole numbers" if feature.dtype == "int64" else "numbers"
    shaped = values.reshape(-1, *feature.shape)
    return Converted(shaped, missing, bad, f"a list of {size} {kind}")


def _no_shape_for_text(path: str, feature: schema_lib.Feature) -> errors.SchemaError:
    return errors.SchemaError(
        f"{path}: the schema gives {feature.name!r}, which is text, the shape {feature.shape}. Give it a value_count "
        "instead, as lists of text have it."
    )


def _check_typed(path: str, cells: np.ndarray, feature: schema_lib.Feature) -> Converted:
    if cells.shape[1:] == (math.prod(feature.shape),):
        cells = cells.reshape(-1, *feature.shape)  # a list, whose shape the schema alone knows
    if cells.shape[1:] != feature.shape:
        raise errors.SchemaError(
            f"{path}: {feature.name!r} has shape {cells.shape[1:]}, the schema says "
            f"{feature.shape}. Correct the schema's shape."
        )
    if feature.dtype == "string":
        raise _no_shape_for_text(path, feature)
    none = np.zeros(len(cells), bool)
    bad, expected = not_finite(cells), FINITE
    if feature.dtype == "int64" and cells.dtype.kind == "f":
        unfit = (cells != np.floor(cells)) | (np.abs(cells) >= 2.0**63)
        bad, expected = bad | _any_of_row(unfit), "whole numbers"
        cells = np.where(np.isfinite(cells) & ~unfit, cells, 0)
    return Converted(cells.astype(feature.dtype, copy=False), none, bad, expected)


def not_finite(cells: np.ndarray) -> np.ndarray:
    """[n] bool, the rows of `[n, ...]` numbers in which one is NaN or infinite."""
    if cells.dtype.kind != "f":
        return np.zeros(len(cells), bool)
    return _any_of_row(~np.isfinite(cells))


def _any_of_row(flags: np.ndarray) -> np.ndarray:
    return np.any(flags, axis=tuple(range(1, flags.ndim)))


def cell_text(cells: pa.Array | np.ndarray, index: int) -> str:
    """A cell as a person reads it."""
    if isinstance(cells, np.ndarray):
        return str(cells[index])
    value = cells_lib.as_bytes(cells.slice(index, 1))[0].as_py()
    if value is None:
        return ""
    if isinstance(value, list):
        return json.dumps(value, default=_bytes_text, ensure_ascii=False)
    return _bytes_text(value)


def _bytes_text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _row_text(raw: blocks.RawBlock, index: int) -> str:
    line = io.StringIO()
    texts = [cell_text(c, index) for c in raw.cells.values() if not isinstance(c, np.ndarray)]
    csv.writer(line, lineterminator="").writerow(texts)
    return line.getvalue()
