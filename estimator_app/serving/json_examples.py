"""JSON bodies of the REST API's `:classify` and `:regress` (TF Serving: json_tensor.cc)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from estimator_app.serving import json_text
from export import errors
from serving_client import wire

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def read_examples(body: Mapping[str, Any]) -> list[bytes]:
    """The serialized Examples of a body, `[n]` bytes, each with the context in front of it.

    Raises:
        errors.ServableError: with the texts of TF Serving.
    """
    context = b""
    if "context" in body:
        context = _example(body["context"]).SerializeToString()
    if "examples" not in body:
        raise json_text.format_error(
            body, "When method is classify, key 'examples' is expected and was not found"
        )
    examples = body["examples"]
    if not isinstance(examples, list):
        raise json_text.format_error(body, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise json_text.format_error(body, "'examples' value is an empty array")
    return [context + _example(value).SerializeToString() for value in examples]


def write_classes(rows: list[list[tuple[str, float]]]) -> str:
    """`results` with a list of [label, score] an example."""
    writer = json_text.Writer()
    writer.start("{")
    writer.string("results")
    writer.start("[")
    for row in rows:
        writer.single_line_arrays = True
        writer.start("[")
        for label, score in row:
            writer.start("[")
            writer.string(label)
            writer.raw(json_text.decimal(np.float32(score)))
            writer.end()
        writer.end()
        writer.single_line_arrays = False
    writer.end()
    writer.end()
    return writer.text()


def write_values(values: np.ndarray) -> str:
    """`results` with one number an example.

    Args:
        values: `[n]` float32.
    """
    writer = json_text.Writer()
    writer.start("{")
    writer.string("results")
    writer.single_line_arrays = True
    writer.start("[")
    for value in values:
        writer.raw(json_text.decimal(value))
    writer.end()
    writer.end()
    return writer.text()


def _example(value: Any) -> Any:
    if not isinstance(value, dict):
        raise errors.invalid_argument(
            f"Example must be JSON object but got JSON {json_text.type_name(value)}"
        )
    example = wire.Example()
    for name, content in value.items():
        feature = wire.Feature()
        for item in content if isinstance(content, list) else [content]:
            _add(item, name, feature)
        # A key of a message is text; what is not is kept as far as it is.
        key = name.encode("utf-8", "replace").decode("utf-8")
        example.features.feature[key].CopyFrom(feature)
    return example


def _add(value: Any, name: str, feature: Any) -> None:
    """Appends a value to the list of its kind; a feature has one kind."""
    item: Any
    # A number with more digits than a 64-bit integer has is a float to RapidJSON.
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        kind, item = "int64_list", int(value)
    elif json_text.is_double(value):
        kind, item = "float_list", float(value)
    elif isinstance(value, str):
        kind, item = "bytes_list", json_text.encode(value)
    elif json_text.is_base64(value):
        kind, item = "bytes_list", None
    else:
        raise errors.invalid_argument(
            f"Feature: {name} has element with unexpected JSON type: {json_text.type_name(value)}"
        )
    present = feature.WhichOneof("kind")
    if present not in (None, kind):
        raise errors.invalid_argument(
            f"Unexpected element type in feature: {name} expecting type: {_KINDS[present]}"
        )
    if kind == "int64_list" and item >= 2**63:
        raise errors.invalid_argument(
            f"Feature: {name} has uint64_t element. Only int64_t is supported."
        )
    if item is None:
        item = json_text.decode_base64(value)
    getattr(feature, kind).value.append(item)
