"""Bodies of the REST API's `:predict`: JSON to arrays (TF Serving: json_tensor.cc)."""

from collections.abc import Mapping
import math
from typing import Any

import numpy as np

from estimator_app.serving import json_text
from export import errors, signatures

_INSTANCES = "instances"
_INPUTS = "inputs"

# Our names of dtypes -> TensorFlow's in messages, where they differ.
_DTYPE_NAMES = {"float32": "float", "float64": "double", "float16": "half"}
# dtype -> the integers that it takes; the small types take 32 bits and keep the low ones.
_INTEGERS = {
    **dict.fromkeys(("int32", "int16", "int8", "uint8"), (-(2**31), 2**31 - 1)),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_FLOATS = ("float32", "float64")
# As many as every NumPy has.
_MAX_DIMENSIONS = 32


def signature_name(body: Mapping[str, Any]) -> str:
    """What the body says under `signature_name`; empty if nothing.

    Raises:
        errors.ServableError: it is no string.
    """
    name = body.get("signature_name", "")
    if not isinstance(name, str):
        raise json_text.format_error(
            body, "not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def read_inputs(
    body: Mapping[str, Any], specs: Mapping[str, signatures.TensorSpec]
) -> tuple[dict[str, np.ndarray], bool]:
    """The inputs of a predict body.

    Args:
        body: the parsed object, with `instances` (rows) or `inputs` (columns).
        specs: the signature's inputs; only names and dtypes count.

    Returns:
        input name -> array of the declared dtype (strings: objects), and whether it was rows.

    Raises:
        errors.ServableError: with the texts of TF Serving.
    """
    if _INSTANCES in body and _INPUTS in body:
        raise json_text.format_error(
            body,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        )
    if _INSTANCES in body:
        rows = body[_INSTANCES]
        if not isinstance(rows, list):
            raise json_text.format_error(body, "Expecting 'instances' to be an list/array")
        if not rows:
            raise json_text.format_error(body, "No values in 'instances' array")
        return _read_rows(rows, specs), True
    if _INPUTS in body:
        return _read_columns(body[_INPUTS], specs), False
    raise errors.invalid_argument("Missing 'inputs' or 'instances' key")


def _read_rows(
    rows: list[Any], specs: Mapping[str, signatures.TensorSpec]
) -> dict[str, np.ndarray]:
    if not isinstance(rows[0], dict) and len(specs) > 1:
        raise errors.invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    named = _is_named(rows[0])
    columns: dict[str, _Column] = {}
    for i, row in enumerate(rows):
        if named != _is_named(row):
            expected, found = ("object", "list") if named else ("value/list", "object")
            raise errors.invalid_argument(
                f"Expecting {expected} but got {found} at item {i} of input list"
            )
        for name, value in row.items() if named else ((next(iter(specs)), row),):
            try:
                if name not in specs:
                    raise errors.invalid_argument(f"JSON object: does not have named input: {name}")
                columns.setdefault(name, _Column(specs[name].dtype)).add_row(value)
            except errors.ServableError as error:
                key = f"key: {name} " if named else ""
                raise errors.invalid_argument(
                    f"Failed to process element: {i} {key}of 'instances' list. Error: {error}"
                ) from error
        if named and set(row) != set(specs):
            raise errors.invalid_argument(
                f"Failed to process element: {i} of 'instances' list. "
                f"JSON object: {json_text.debug(row)} keys must be equal to: "
                f"{','.join(sorted(specs))}"
            )
    return {name: column.array((len(rows),)) for name, column in columns.items()}


def _read_columns(value: Any, specs: Mapping[str, signatures.TensorSpec]) -> dict[str, np.ndarray]:
    if not _is_named(value):
        if len(specs) > 1:
            raise errors.invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        value = {next(iter(specs)): value}
    arrays = {}
    for name, spec in specs.items():
        if name not in value:
            raise errors.invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        column = _Column(spec.dtype)
        column.add_row(value[name])
        arrays[name] = column.array(())
    return arrays


def _is_named(value: Any) -> bool:
    """Whether it is an object of input names, and not one string as base64."""
    return isinstance(value, dict) and not json_text.is_base64(value)


class _Column:
    """The values of one input as they are read; all rows must have one shape."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._values: list[Any] = []
        self._shape: tuple[int, ...] | None = None

    def add_row(self, value: Any) -> None:
        shape = _shape_of(value)
        if len(shape) >= _MAX_DIMENSIONS:
            raise errors.invalid_argument(
                f"Expected a list of fewer than {_MAX_DIMENSIONS} levels, found {len(shape)}. "
                "Send the values in the shape that the signature declares."
            )
        before = len(self._values)
        self._fill(value, 0, shape)
        count = len(self._values) - before
        if self._shape is None:
            self._shape = shape
        elif math.prod(self._shape) != count:
            raise errors.invalid_argument(
                f"Expecting tensor size: {math.prod(self._shape)} but got: {count}"
            )
        elif self._shape != shape:
            raise errors.invalid_argument(
                f"Expecting shape {_shape_text(self._shape)} but got: {_shape_text(shape)}"
            )

    def array(self, outer: tuple[int, ...]) -> np.ndarray:
        """`[*outer, *shape of a row]`."""
        assert self._shape is not None
        shape = (*outer, *self._shape)
        if self._dtype == "string":
            strings = np.empty(len(self._values), object)
            strings[:] = self._values
            return strings.reshape(shape)
        if self._dtype in ("int8", "int16", "uint8"):
            return np.array(self._values, np.int64).astype(self._dtype).reshape(shape)
        with np.errstate(over="ignore"):  # a number beyond the type is its infinity
            return np.array(self._values, self._dtype).reshape(shape)

    def _fill(self, value: Any, level: int, shape: tuple[int, ...]) -> None:
        if not isinstance(value, list):
            if level != len(shape):
                raise errors.invalid_argument(
                    f"JSON Value: {json_text.debug(value)} found at incorrect level: {level + 1} "
                    f"in the JSON DOM. Expected at level: {len(shape)}"
                )
            self._values.append(_scalar(value, self._dtype))
            return
        if level >= len(shape):
            raise errors.invalid_argument(
                f"Encountered list at unexpected level: {level} expected < {len(shape)}"
            )
        if len(value) != shape[level]:
            raise errors.invalid_argument(
                f"Encountered list at unexpected size: {len(value)} at level: {level} "
                f"expected size: {shape[level]}"
            )
        for item in value:
            self._fill(item, level + 1, shape)


def _scalar(value: Any, dtype: str) -> Any:
    """One value as NumPy takes it for `dtype`."""
    if dtype == "string" and isinstance(value, dict):
        return json_text.decode_base64(value)
    fits = False
    if dtype in _FLOATS:
        fits = json_text.is_double(value)
    elif dtype in _INTEGERS:
        low, high = _INTEGERS[dtype]
        fits = type(value) is int and low <= value <= high
    elif dtype == "bool":
        fits = isinstance(value, bool)
    elif dtype == "string":
        fits = isinstance(value, str)
    elif not isinstance(value, dict):
        raise errors.ServableError(
            errors.Code.UNIMPLEMENTED,
            f"Conversion of JSON Value: {json_text.debug(value)} to type: {dtype_name(dtype)}",
        )
    if not fits:
        raise json_text.format_error(
            value,
            f"Type: {json_text.type_name(value)} is not of expected type: {dtype_name(dtype)}",
        )
    return json_text.encode(value) if dtype == "string" else value


def _shape_of(value: Any) -> tuple[int, ...]:
    """The sizes along the first elements."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _shape_text(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(str(size) for size in shape) + "]"


def dtype_name(dtype: str) -> str:
    """TensorFlow's name of a dtype in messages: `float` for float32."""
    return _DTYPE_NAMES.get(dtype, dtype)
