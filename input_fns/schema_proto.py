"""`Schema` to and from TFX's Schema message; which constructs of TFX are taken and which refused."""

from __future__ import annotations

import dataclasses
import logging

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from input_fns import errors
from input_fns import schema as schema_lib

_TYPES = {"string": schema_pb2.BYTES, "int64": schema_pb2.INT, "float32": schema_pb2.FLOAT}
_DTYPES = {number: dtype for dtype, number in _TYPES.items()}
_EMPTY: dict[str, bytes | int | float] = {"string": b"", "int64": 0, "float32": 0.0}
_NOT_SERVED = "SERVING"
_MULTI_LABEL = (
    "multi_label"  # beside the tag "label": 0 and 1 of a class that does not exclude the others
)
# Those that are heeded; an image_domain, for example, says nothing that is needed here.
_DOMAINS = (
    "domain",
    "string_domain",
    "bool_domain",
    "int_domain",
    "float_domain",
    "time_domain",
)
# What TFX itself leaves out of training data, by its documentation of LifecycleStage.
_UNUSED_STAGES = (
    schema_pb2.PLANNED,
    schema_pb2.ALPHA,
    schema_pb2.DEPRECATED,
    schema_pb2.DEBUG_ONLY,
    schema_pb2.DISABLED,
)

_logger = logging.getLogger(__name__)


def to_text(schema: schema_lib.Schema) -> str:
    """The schema as the text of a `schema.pbtxt`."""
    message = schema_pb2.Schema(default_environment=["TRAINING", _NOT_SERVED])
    group = message.tensor_representation_group[""]
    for column in schema.columns:
        feature = message.feature.add()
        _fill_feature(feature, column)
        for role, marked in (("label", schema.labels), ("weight", (schema.weight,))):
            if any(column is one for one in marked):
                feature.annotation.tag.append(role)
                feature.not_in_environment.append(_NOT_SERVED)
        if schema.multi_label and "label" in feature.annotation.tag:
            feature.annotation.tag.append(_MULTI_LABEL)
        if column.is_list:
            group.tensor_representation[column.name].varlen_sparse_tensor.column_name = column.name
        elif column.default is not None:
            _fill_default(group.tensor_representation[column.name].dense_tensor, column)
    if not group.tensor_representation:
        del message.tensor_representation_group[""]
    return text_format.MessageToString(message, as_utf8=True)


def from_text(
    text: str, path: str, label_column: str = "", weight_column: str = ""
) -> schema_lib.Schema:
    """The schema that a `schema.pbtxt` declares.

    Args:
        text: the file's text.
        path: the file's name, for errors.
        label_column: the labels, separated by commas, where the text does not mark them, or others than it marks.
        weight_column: the weight, likewise.

    Raises:
        SchemaError: the text is no schema, or declares what cannot be read here.
    """
    message = schema_pb2.Schema()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        reason = str(error).rstrip(".")
        raise errors.SchemaError(
            f"{path} is not a TFX schema in text form (schema.pbtxt): {reason}. Infer one by leaving "
            "--schema out; it is written to the model directory."
        ) from error
    try:
        return _from_message(message, label_column, weight_column)
    except errors.SchemaError as error:
        raise errors.SchemaError(f"{path}: {error}") from error


def _from_message(
    message: schema_pb2.Schema, label_column: str, weight_column: str
) -> schema_lib.Schema:
    domains = {domain.name: domain for domain in message.string_domain}
    tensors = [
        item
        for group in message.tensor_representation_group.values()
        for item in group.tensor_representation.items()
    ]
    dense = {
        tensor.dense_tensor.column_name or name: tensor.dense_tensor
        for name, tensor in tensors
        if tensor.WhichOneof("kind") == "dense_tensor"
    }
    lists = {
        tensor.varlen_sparse_tensor.column_name or name
        for name, tensor in tensors
        if tensor.WhichOneof("kind") == "varlen_sparse_tensor"
    }
    columns: list[schema_lib.Feature] = []
    tags: dict[str, list[str]] = {"label": [], "weight": [], _MULTI_LABEL: []}
    for feature in message.feature:
        if feature.lifecycle_stage in _UNUSED_STAGES:
            _logger.info("The schema's feature %s is not in use; it is left out.", feature.name)
            continue
        is_list = feature.name in lists
        columns.append(_column(feature, domains, dense.get(feature.name), is_list))
        for tag in set(feature.annotation.tag).intersection(tags):
            tags[tag].append(feature.name)
    if not columns:
        raise errors.SchemaError("the schema declares no feature.")
    names = [column.name for column in columns]
    labels = schema_lib.split_names(label_column, names) or tuple(tags["label"])
    weight = weight_column or next(iter(tags["weight"]), "")
    for role, name in (*(("label", name) for name in labels), ("weight", weight)):
        if name and name not in names:
            raise errors.SchemaError(
                f"the {role} {name!r} is not among the schema's features: {', '.join(names)}."
            )
    # A row without a label or a weight teaches nothing, so no default stands in for one.
    roles = {
        column.name: dataclasses.replace(column, default=None)
        for column in columns
        if column.name in (*labels, weight)
    }
    return schema_lib.Schema(
        tuple(column for column in columns if column.name not in roles),
        tuple(roles[name] for name in labels),
        roles.get(weight),
        multi_label=bool(labels) and set(labels) <= set(tags[_MULTI_LABEL]),
    )


def _fill_feature(feature: schema_pb2.Feature, column: schema_lib.Feature) -> None:
    feature.name = column.name
    feature.type = _TYPES[column.dtype]
    if column.value_count is not None:
        feature.value_count.min, most = column.value_count
        if most is not None:
            feature.value_count.max = most
    else:
        feature.shape.SetInParent()
        for size in column.shape:
            feature.shape.dim.add(size=size)
    if column.default is None and not column.is_list:
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
    if column.kind == "text":
        feature.natural_language_domain.SetInParent()
    elif column.kind == "date":
        _fill_date(feature.time_domain, column)
    elif column.vocabulary is not None:
        feature.string_domain.name = column.name
        feature.string_domain.value.extend(column.vocabulary)
    elif column.dtype == "float32" and (column.low is not None or column.high is not None):
        feature.float_domain.SetInParent()
        if column.low is not None:
            feature.float_domain.min = column.low
        if column.high is not None:
            feature.float_domain.max = column.high
    elif column.dtype == "int64" and (
        column.categorical or column.low is not None or column.high is not None
    ):
        feature.int_domain.SetInParent()
        if column.low is not None:
            feature.int_domain.min = int(column.low)
        if column.high is not None:
            feature.int_domain.max = int(column.high)
        if column.categorical:
            feature.int_domain.is_categorical = True


def _fill_date(domain: schema_pb2.TimeDomain, column: schema_lib.Feature) -> None:
    domain.SetInParent()  # without a format: ISO 8601
    if column.dtype == "int64":
        domain.integer_format = schema_pb2.TimeDomain.IntegerTimeFormat.Value(column.date_format)
    elif column.date_format:
        domain.string_format = column.date_format


def _fill_default(
    tensor: schema_pb2.TensorRepresentation.DenseTensor, column: schema_lib.Feature
) -> None:
    tensor.column_name = column.name
    for size in column.shape:
        tensor.shape.dim.add(size=size)
    tensor.shape.SetInParent()
    if column.dtype == "string":
        assert isinstance(column.default, bytes)
        tensor.default_value.bytes_value = column.default
    elif column.dtype == "int64":
        assert column.default is not None
        tensor.default_value.int_value = int(column.default)
    else:
        assert column.default is not None
        tensor.default_value.float_value = float(column.default)


def _column(
    feature: schema_pb2.Feature,
    domains: dict[str, schema_pb2.StringDomain],
    dense: schema_pb2.TensorRepresentation.DenseTensor | None,
    is_list: bool,
) -> schema_lib.Feature:
    if feature.type not in _DTYPES:
        given = schema_pb2.FeatureType.Name(feature.type)
        raise errors.SchemaError(
            f"feature {feature.name!r} has type {given}; BYTES, INT and FLOAT can be read."
        )
    dtype = _DTYPES[feature.type]
    vocabulary, low, high, categorical = None, None, None, False
    nature, date_format = "", ""
    kind = feature.WhichOneof("domain_info")
    if kind in ("domain", "string_domain") and dtype == "string":
        if kind == "domain" and feature.domain not in domains:
            raise errors.SchemaError(
                f"feature {feature.name!r} refers to the string_domain {feature.domain!r}, which "
                "the schema does not declare."
            )
        domain = domains[feature.domain] if kind == "domain" else feature.string_domain
        vocabulary = tuple(domain.value)
        if not vocabulary:
            raise errors.SchemaError(
                f"feature {feature.name!r} has a string_domain without values; expected all values "
                "that it may have. Give it values, or remove the string_domain."
            )
    elif kind == "bool_domain" and dtype == "string":
        vocabulary = (
            feature.bool_domain.false_value or "false",
            feature.bool_domain.true_value or "true",
        )
    elif kind == "bool_domain" and dtype == "int64":
        low, high, categorical = 0, 1, True
    elif kind == "int_domain" and dtype == "int64":
        domain = feature.int_domain
        low = domain.min if domain.HasField("min") else None
        high = domain.max if domain.HasField("max") else None
        categorical = domain.is_categorical
    elif kind == "float_domain" and dtype == "float32":
        domain = feature.float_domain
        low = domain.min if domain.HasField("min") else None
        high = domain.max if domain.HasField("max") else None
    elif kind == "natural_language_domain" and dtype == "string":
        nature = "text"
    elif kind == "time_domain" and dtype in ("string", "int64"):
        nature, date_format = "date", _date_format(feature.time_domain)
    elif kind in _DOMAINS:
        raise errors.SchemaError(
            f"feature {feature.name!r} has type {schema_pb2.FeatureType.Name(feature.type)}, which "
            f"a {kind} does not fit."
        )
    value_count = _value_count(feature, is_list)
    return schema_lib.Feature(
        feature.name,
        dtype,
        () if value_count else _shape(feature),
        None if value_count else _default(feature, dtype, dense),
        vocabulary,
        low,
        high,
        categorical,
        kind="" if value_count else nature,
        date_format="" if value_count else date_format,
        value_count=value_count,
    )


def _date_format(domain: schema_pb2.TimeDomain) -> str:
    if domain.WhichOneof("format") == "integer_format":
        return schema_pb2.TimeDomain.IntegerTimeFormat.Name(domain.integer_format)
    return domain.string_format


def _value_count(feature: schema_pb2.Feature, is_list: bool) -> tuple[int, int | None] | None:
    """The least and the most values of an example; None for a feature of fixed shape.

    Args:
        feature: the declaration.
        is_list: whether the schema says that it is represented as a list, whatever numbers are declared.
    """
    kind = feature.WhichOneof("shape_type")
    if kind == "value_counts":
        raise errors.SchemaError(
            f"feature {feature.name!r} is nested (value_counts); lists of values, and values of a fixed shape, can be "
            "read."
        )
    if kind != "value_count":
        return (0, None) if is_list else None
    least = feature.value_count.min
    most = feature.value_count.max if feature.value_count.HasField("max") else None
    if is_list or (least != most and (least, most) != (0, 1)):
        return least, most
    # Text of a fixed number of values has no other form; numbers have a shape.
    return (least, most) if feature.type == schema_pb2.BYTES and least > 1 else None


def _shape(feature: schema_pb2.Feature) -> tuple[int, ...]:
    if feature.WhichOneof("shape_type") == "value_count":
        return (feature.value_count.min,) if feature.value_count.min > 1 else ()
    sizes = tuple(dim.size for dim in feature.shape.dim)
    if any(size < 1 for size in sizes):
        raise errors.SchemaError(
            f"feature {feature.name!r} has shape {sizes}; every dimension must be >= 1."
        )
    return sizes


def _default(
    feature: schema_pb2.Feature,
    dtype: str,
    dense: schema_pb2.TensorRepresentation.DenseTensor | None,
) -> bytes | int | float | None:
    if dense is not None and dense.HasField("default_value"):
        kind = dense.default_value.WhichOneof("kind")
        fits = {"string": ("bytes_value",), "int64": ("int_value", "uint_value")}
        if kind not in fits.get(dtype, ("float_value", "int_value", "uint_value")):
            raise errors.SchemaError(
                f"feature {feature.name!r} is {dtype}; its default_value is given as a {kind}."
            )
        value: bytes | int | float = getattr(dense.default_value, kind)
        return float(value) if dtype == "float32" else value
    # TFX writes min_count for every feature that it saw; only a min_fraction of 1 is a promise.
    if feature.presence.min_fraction >= 1.0 or not feature.HasField("presence"):
        return None
    return _EMPTY[dtype]
