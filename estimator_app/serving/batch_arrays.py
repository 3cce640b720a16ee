"""The arrays of several requests as those of one batch, and the other way round.

Everything here works on arrays alone. Sentences are TF Serving's (batching_session.cc, batching_util.cc).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from export import errors

Arrays = Mapping[str, np.ndarray]


def rows_of(feeds: Arrays) -> int:
    """How many rows a request has: the first size of all its tensors.

    Raises:
        errors.ServableError: `INVALID_ARGUMENT`; there is none, or not one.
    """
    if not feeds:
        raise errors.invalid_argument("Batching Run() must have at least one input tensor")
    rows = -1
    for value in feeds.values():
        if not value.ndim:
            raise errors.invalid_argument(
                "Batching Run() input tensors must have at least one dimension"
            )
        if rows not in (-1, len(value)):
            raise errors.invalid_argument(
                "Batching Run() input tensors must have equal 0th-dimension size"
            )
        rows = len(value)
    return rows


def merge(requests: Sequence[Arrays], extra_rows: int, pad: bool) -> dict[str, np.ndarray]:
    """One array a tensor: those of the requests below each other, then copies of the last one's first row.

    Args:
        requests: tensor name -> `[rows, ...]`, all with the same names and dtypes; one at least.
        extra_rows: how many copies.
        pad: whether tensors of different shapes are made equal (see `_padded`).

    Raises:
        errors.ServableError: shapes differ otherwise than in the number of rows.
    """
    columns = {name: [request[name] for request in requests] for name in requests[0]}
    for name, arrays in columns.items():
        if any(array.shape[1:] != arrays[0].shape[1:] for array in arrays):
            if not pad or any(array.ndim != arrays[0].ndim for array in arrays):
                raise _different_shapes(name)
            columns[name] = _padded(arrays)
    return {name: _concatenated(arrays, extra_rows) for name, arrays in columns.items()}


def split(outputs: Arrays, sizes: Sequence[int], rows: int) -> list[dict[str, np.ndarray]]:
    """The outputs of a batch as those of its requests; what belongs to copied rows is left out.

    Args:
        outputs: tensor name -> `[rows, ...]`.
        sizes: rows of each request.
        rows: of the whole batch, copies included.

    Raises:
        errors.ServableError: `FAILED_PRECONDITION`; an output has no rows, or another number.
    """
    for value in outputs.values():
        if not value.ndim:
            raise errors.ServableError(
                errors.Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions"
            )
        if len(value) != rows:
            raise errors.ServableError(
                errors.Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
                "sizes of the input tensors",
            )
    if len(sizes) == 1 and sizes[0] == rows:
        return [dict(outputs)]
    parts = []
    start = 0
    for size in sizes:
        parts.append({name: value[start : start + size] for name, value in outputs.items()})
        start += size
    return parts


def rows_between(arrays: Arrays, start: int, end: int) -> dict[str, np.ndarray]:
    """Some rows of each array."""
    return {name: value[start:end] for name, value in arrays.items()}


def join(parts: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """The outputs of one request that was split over several batches."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _concatenated(arrays: list[np.ndarray], extra_rows: int) -> np.ndarray:
    if extra_rows:
        # The row is a valid one, so the model can take it.
        arrays = [*arrays, np.repeat(arrays[-1][:1], extra_rows, axis=0)]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _padded(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each array grown to the largest size on every axis but the first; its first value fills it."""
    shape = np.max([array.shape[1:] for array in arrays], axis=0)
    padded = []
    for array in arrays:
        grown = np.empty([len(array), *shape], array.dtype)
        if grown.size and not array.size:
            raise errors.invalid_argument("Got empty tensor in batch of non-empty tensors.")
        if array.size:
            grown[...] = array.flat[0]
            grown[tuple(slice(size) for size in array.shape)] = array
        padded.append(grown)
    return padded


def _different_shapes(name: str) -> errors.ServableError:
    return errors.ServableError(
        errors.Code.FAILED_PRECONDITION,
        f"Tensors with name '{name}' from different tasks have different shapes and padding is "
        "turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with the "
        "same name have equal dimensions starting with the first dim.",
    )
