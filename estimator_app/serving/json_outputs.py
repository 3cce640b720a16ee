"""Answers of the REST API's `:predict`: arrays to JSON (TF Serving: json_tensor.cc)."""

import base64
from collections.abc import Mapping

import numpy as np

from estimator_app.serving import json_tensors, json_text
from export import errors

_INTEGERS = ("int32", "int16", "int8", "uint8", "int64", "uint32", "uint64")
_WRITTEN = ("float32", "float64", "bool", "object", *_INTEGERS)


def write_outputs(outputs: Mapping[str, np.ndarray], rows: bool) -> str:
    """The answer to a predict body, in the form that it was asked in.

    Args:
        outputs: output name -> array; in rows, `[batch, ...]` of one batch size.
        rows: whether to answer in rows (`predictions`) or columns (`outputs`).

    Raises:
        errors.ServableError: an output has no JSON form.
    """
    writer = json_text.Writer()
    writer.start("{")
    if rows:
        writer.string("predictions")
        _write_rows(writer, outputs, _batch_size(outputs))
    else:
        writer.string("outputs")
        _write_named(writer, outputs)
    writer.end()
    return writer.text()


def _batch_size(outputs: Mapping[str, np.ndarray]) -> int:
    batch_size = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise errors.invalid_argument(f"Tensor name: {name} has no shape information ")
        if batch_size not in (None, len(array)):
            raise errors.invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} "
                f"expecting: {batch_size}"
            )
        batch_size = len(array)
    return batch_size or 0


def _write_rows(
    writer: json_text.Writer, outputs: Mapping[str, np.ndarray], batch_size: int
) -> None:
    writer.start("[")
    for i in range(batch_size):
        if len(outputs) > 1:
            writer.start("{")
        writer.single_line_arrays = True
        for name, array in outputs.items():
            if len(outputs) > 1:
                writer.string(name)
            _write_array(writer, name, array[i : i + 1].reshape(array.shape[1:]))
        writer.single_line_arrays = False
        if len(outputs) > 1:
            writer.end()
    writer.end()


def _write_named(writer: json_text.Writer, outputs: Mapping[str, np.ndarray]) -> None:
    if len(outputs) > 1:
        writer.start("{")
    for name, array in outputs.items():
        if len(outputs) > 1:
            writer.string(name)
        _write_array(writer, name, array)
    if len(outputs) > 1:
        writer.end()


def _write_array(writer: json_text.Writer, name: str, array: np.ndarray) -> None:
    dtype = array.dtype.name
    if dtype not in _WRITTEN:
        raise errors.invalid_argument(
            f"Failed to write JSON value for tensor type: {json_tensors.dtype_name(dtype)}"
        )
    if array.ndim:
        writer.start("[")
        for i in range(len(array)):
            _write_array(writer, name, array[i : i + 1].reshape(array.shape[1:]))
        writer.end()
    elif dtype.startswith("float"):
        writer.raw(json_text.decimal(array[()]))  # type: ignore[arg-type]  # one number
    elif dtype != "object":
        writer.raw(str(array.item()).lower())
    elif name.endswith("_bytes"):
        writer.start("{")
        writer.string("b64")
        writer.string(base64.b64encode(array.item()).decode("ascii"))
        writer.end()
    else:
        writer.string(array.item().decode("utf-8", "surrogateescape"))
