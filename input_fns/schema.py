"""The one declaration of features and label that every reader of examples derives from.

Parse spec, feature columns, serving receivers and the check of an export's signature all come
from a `Schema`; on disk it is TFX's `schema.pbtxt`. TensorFlow is imported only by `parse_spec`.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
import os
from typing import Any

import numpy as np

from input_fns import column_names, dates, errors

DTYPES = ("string", "int64", "float32")
KINDS = ("", "text", "date")


@dataclasses.dataclass(frozen=True)
class Feature:
    """One column: its name, type and what its values may be.

    Attributes:
        name: the column's name in files, requests and signatures.
        dtype: "string", "int64" or "float32".
        shape: shape of one example's value; () is a scalar.
        default: stands in for a missing value; None means that a value is required.
        vocabulary: all known values of a string feature in their order, or None.
        low: smallest known value of a number, or None.
        high: largest known value of a number, or None.
        categorical: whether int64 values are ids `low..high` and not amounts.
        kind: "text" for natural language, "date" for dates with or without a time; "" for all else.
        date_format: how a date is written. Of text a format of `time.strptime`, or "" for ISO 8601; of int64 a unit
            since 1970, such as "UNIX_SECONDS".
        value_count: (least, most) known number of values an example, where examples are lists of different lengths;
            most is None where it is not known. None for a value of fixed shape. As a vocabulary does, it says what
            is known and not what is allowed; an example without the feature is an empty list.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    default: bytes | int | float | None = None
    vocabulary: tuple[str, ...] | None = None
    low: int | float | None = None
    high: int | float | None = None
    categorical: bool = False
    kind: str = ""
    date_format: str = ""
    value_count: tuple[int, int | None] | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise errors.SchemaError(
                f"Feature {self.name!r}: dtype must be one of {', '.join(DTYPES)}, "
                f"not {self.dtype!r}."
            )
        if self.vocabulary is not None and self.dtype != "string":
            raise errors.SchemaError(
                f"Feature {self.name!r}: a vocabulary belongs to a string, not to {self.dtype}."
            )
        if self.kind:
            self._check_kind()
        if self.value_count is not None:
            self._check_list(*self.value_count)

    @property
    def is_list(self) -> bool:
        """Whether an example has any number of values."""
        return self.value_count is not None

    def _check_kind(self) -> None:
        if self.kind not in KINDS or (self.kind == "text" and self.dtype != "string"):
            raise errors.SchemaError(
                f"Feature {self.name!r}: a {self.dtype} cannot be of kind {self.kind!r}. Kinds are text (of a string) "
                "and date."
            )
        if self.vocabulary is not None or self.shape or self.is_list:
            raise errors.SchemaError(
                f"Feature {self.name!r}: a {self.kind} is one string or number without a vocabulary."
            )
        if self.kind == "date" and self.dtype == "string":
            dates.check_format(self.date_format)
        elif self.kind == "date" and (
            self.dtype != "int64" or self.date_format not in dates.UNITS_A_DAY
        ):
            raise errors.SchemaError(
                f"Feature {self.name!r}: expected a date as text, or as INT with one of "
                f"{', '.join(dates.UNITS_A_DAY)}; found {self.dtype} {self.date_format or 'without a unit'}."
            )

    def _check_list(self, least: int, most: int | None) -> None:
        if least < 0 or (most is not None and most < least):
            raise errors.SchemaError(
                f"Feature {self.name!r}: value_count goes from {least} to {most}; expected 0 <= min <= max."
            )
        if self.shape or self.default is not None:
            raise errors.SchemaError(
                f"Feature {self.name!r} has a varying number of values; expected neither a shape nor a default with it."
            )


@dataclasses.dataclass(frozen=True)
class Schema:
    """All columns of a data set, in file order, the labels and the weight apart.

    Attributes:
        features: what a model is given, in training and in serving.
        labels: what it learns; empty for data without. Not part of a request.
        weight: the weight of an example in the loss; None when all weigh the same. Not part of a
            request.
        multi_label: whether the labels are the 0 and 1 of classes that do not exclude each other: a column for each
            class, or one column of vectors.
    """

    features: tuple[Feature, ...]
    labels: tuple[Feature, ...] = ()
    weight: Feature | None = None
    multi_label: bool = False

    def __post_init__(self) -> None:
        twice = column_names.repeated(column.name for column in self.columns)
        if twice:
            raise errors.SchemaError(f"The schema names {', '.join(twice)} more than once.")
        if self.multi_label:
            self._check_multi_label()

    @property
    def columns(self) -> tuple[Feature, ...]:
        """Features, then labels, then weight: every column that a training file must have."""
        return self.features + self.labels + ((self.weight,) if self.weight is not None else ())

    @property
    def label(self) -> Feature | None:
        """The label, where there is exactly one."""
        return self.labels[0] if len(self.labels) == 1 else None

    @property
    def task(self) -> str:
        """The label's kind, "classification" or "regression"; "multi_label"; "multi_head" of several others.

        Raises:
            SchemaError: there is no label, or one is text or ids without the known values.
        """
        self._require_label()
        if self.multi_label:
            return "multi_label"
        tasks = [label_task(label) for label in self.labels]
        return tasks[0] if len(tasks) == 1 else "multi_head"

    @property
    def num_classes(self) -> int:
        """How many classes the one label has, or how many there are of a multi-label task.

        Raises:
            SchemaError: the label is not one of classes.
        """
        return len(self.label_names)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes as text; a class id is an index into them.

        Raises:
            SchemaError: the label is not one of classes.
        """
        self._require_label()
        if self.multi_label and self.label is not None:
            return tuple(str(i) for i in range(math.prod(self.label.shape)))
        if self.multi_label:
            return tuple(label.name for label in self.labels)
        if self.label is None:
            raise errors.SchemaError(
                f"The labels {', '.join(label.name for label in self.labels)} have classes of their own each."
            )
        return class_names(self.label)

    def feature(self, name: str) -> Feature:
        """The feature of that name.

        Raises:
            SchemaError: there is none; the sentence lists the known ones.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        known = ", ".join(feature.name for feature in self.features)
        raise errors.SchemaError(f"Unknown feature {name!r}. Known features: {known}.")

    def _require_label(self) -> None:
        if not self.labels:
            raise errors.SchemaError("The schema has no label. Pass --label_column.")

    def _check_multi_label(self) -> None:
        vectors = [label.name for label in self.labels if label.shape]
        if vectors and len(self.labels) > 1:
            raise errors.SchemaError(
                f"Expected one column of vectors, or a column for each class, as labels of --task=multi_label; found "
                f"vectors in {', '.join(vectors)} beside other labels. Correct --label_column."
            )
        if sum(math.prod(label.shape) for label in self.labels) < 2:
            names = ", ".join(label.name for label in self.labels) or "no label"
            raise errors.SchemaError(
                f"Expected several columns of 0 and 1, or one of vectors of them, as labels of --task=multi_label; "
                f"found {names}. Name all of them, as in --label_column=a,b,c."
            )


def label_task(label: Feature) -> str:
    """The kind of one label: "classification" or "regression".

    Raises:
        SchemaError: it is text or ids without their known values.
    """
    if label.dtype == "float32":
        return "regression"
    ids = label.categorical and label.high is not None and (label.low or 0) >= 0
    if label.vocabulary is not None or ids:
        return "classification"
    raise errors.SchemaError(
        f"Label {label.name!r} is {label.dtype} without its known values. Give it a "
        "string_domain, or an int_domain with is_categorical: true, or type: FLOAT for a "
        "regression."
    )


def class_names(label: Feature) -> tuple[str, ...]:
    """The classes of one label as text; a class id is an index into them.

    Raises:
        SchemaError: the label is not one of classes.
    """
    if label_task(label) == "regression":
        raise errors.SchemaError(f"Label {label.name!r} is an amount; it has no classes.")
    if label.vocabulary is not None:
        return label.vocabulary
    assert label.high is not None  # else label_task had raised
    return tuple(str(i) for i in range(int(label.high) + 1))


def split_names(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """The columns that a flag names, separated by commas; a known column with a comma in its name is one."""
    if text in known:
        return (text,)
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def parse_spec(schema: Schema, with_label: bool = False) -> dict[str, Any]:
    """What `tf.io.parse_example` needs: name -> `tf.io.FixedLenFeature`, of lists `tf.io.VarLenFeature`.

    Args:
        schema: the columns.
        with_label: whether labels and weight are expected in the examples too.
    """
    import tensorflow as tf  # here, so that reading a schema stays cheap

    spec: dict[str, Any] = {}
    for column in schema.columns if with_label else schema.features:
        if column.is_list:
            spec[column.name] = tf.io.VarLenFeature(column.dtype)
            continue
        default: Any = column.default
        if default is not None and column.shape:
            default = np.full(column.shape, default).tolist()
        spec[column.name] = tf.io.FixedLenFeature(column.shape, column.dtype, default)
    return spec


def describe_difference(a: Schema, b: Schema) -> list[str]:
    """One sentence for each thing in which `b` differs from `a`; empty when they are equal."""
    left = {column.name: column for column in a.columns}
    right = {column.name: column for column in b.columns}
    lines = [f"column {name!r} is missing" for name in left if name not in right]
    lines += [f"column {name!r} is new" for name in right if name not in left]
    for name in left:
        if name not in right:
            continue
        for field in dataclasses.fields(Feature):
            old, new = getattr(left[name], field.name), getattr(right[name], field.name)
            if old != new:
                lines.append(
                    f"column {name!r}: {field.name} was {_shorten(old)}, is {_shorten(new)}"
                )
    for role, old, new in (
        ("label", _names_of(a.labels), _names_of(b.labels)),
        ("weight", _names_of((a.weight,)), _names_of((b.weight,))),
    ):
        if old != new:
            lines.append(f"the {role} was {old}, is {new}")
    if a.multi_label != b.multi_label:
        lines.append(f"multi_label was {a.multi_label}, is {b.multi_label}")
    order = [column.name for column in a.features]
    if not lines and order != [column.name for column in b.features]:
        lines.append("the features stand in another order")
    return lines


def read(path: str | os.PathLike[str], label_column: str = "", weight_column: str = "") -> Schema:
    """The schema in a `schema.pbtxt`, ours, hand-edited or made by TFX.

    Args:
        path: the file.
        label_column: the labels, separated by commas, where the file does not mark them, or others than it marks.
        weight_column: the weight, likewise.

    Raises:
        SchemaError: the file is not there, not a schema, or not one that can be used here.
    """
    from input_fns import schema_proto

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.SchemaError(
            f"Cannot read the schema {os.fspath(path)}: {str(error).rstrip('.')}. Correct the path or the file."
        ) from error
    return schema_proto.from_text(text, os.fspath(path), label_column, weight_column)


def write(schema: Schema, path: str | os.PathLike[str]) -> None:
    """Writes the schema as TFX's `schema.pbtxt`, beside its place and renamed."""
    from input_fns import schema_proto

    temporary = f"{os.fspath(path)}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(schema_proto.to_text(schema))
    os.replace(temporary, path)


def _names_of(columns: Sequence[Feature | None]) -> str:
    return ", ".join(repr(column.name) for column in columns if column) or "none"


def _shorten(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
