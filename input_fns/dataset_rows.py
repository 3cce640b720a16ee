"""Rows of a `tf.data.Dataset` that the user made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import math
from typing import Any

import numpy as np
import tensorflow as tf

from input_fns import arrow_tables, blocks, errors, in_memory, object_rows

_BLOCK_BYTES = 8 << 20


class DatasetRows:
    """A dataset of dicts of dense tensors, or of pairs of a dict or a tensor and a label, of rows or of batches; see
    `object_rows.Rows`.

    Its elements are batches if all tensors of the first one have a dimension, and the first is the same in all of them.
    A dataset of rows is told by any scalar in it, such as the label; one of rows that are all vectors of one length
    would be taken for batches, and has to be batched.
    """

    def __init__(self, path: str, dataset: tf.data.Dataset) -> None:
        """Looks at the dataset's element_spec, and takes the first element.

        Raises:
            FileError: there is none, they never end, or they are no such dicts.
        """
        self._path, self._dataset = path, dataset
        spec = dataset.element_spec
        is_pair = isinstance(spec, tuple) and len(spec) == 2
        features = spec[0] if is_pair else spec
        if not isinstance(features, Mapping) and not (
            is_pair and isinstance(features, tf.TensorSpec)
        ):
            raise errors.FileError(
                f"{path} is a tf.data.Dataset of {spec}. Expected elements that are a dict of tensors, or a pair of "
                "such a dict, or a tensor, and a label."
            )
        if is_pair and isinstance(features, Mapping):
            object_rows.check_label(path, spec[0])
        self.label = object_rows.LABEL if is_pair else ""
        specs = self._by_name(spec)
        for name, tensor in specs.items():
            if not isinstance(tensor, tf.TensorSpec):
                raise errors.FileError(
                    f"{path}: column {name!r} is {tensor}. Expected a dense tensor; see tf.sparse.to_dense and "
                    "tf.RaggedTensor.to_tensor."
                )
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise errors.FileError(
                f"{path} is a tf.data.Dataset without end. Leave out its repeat(): rows are repeated here."
            )
        self.columns = tuple(specs)
        first = next(dataset.as_numpy_iterator(), None)
        if first is None:
            raise object_rows.no_row(path)
        self._shapes = [np.shape(value) for value in self._by_name(first).values()]
        self._is_batched = all(self._shapes) and len({shape[0] for shape in self._shapes}) == 1
        known = [_is_known(tensor.shape, self._is_batched) for tensor in specs.values()]
        self._may_vary = not all(known)

    def read(self) -> Iterator[blocks.RawBlock]:
        """The rows in order."""
        if self._may_vary:  # lists of words, say, of which tf.data makes no batch
            rows = self._dataset.unbatch() if self._is_batched else self._dataset
            yield from object_rows.DictRows(self._path, rows.as_numpy_iterator()).read()
            return
        of_row = [shape[1:] for shape in self._shapes] if self._is_batched else self._shapes
        row_bytes = 8 * sum(map(math.prod, of_row))
        size = max(1, min(arrow_tables.BLOCK_ROWS, _BLOCK_BYTES // max(row_bytes, 1)))
        batches = self._dataset.rebatch(size) if self._is_batched else self._dataset.batch(size)
        start = 1
        for element in batches.as_numpy_iterator():
            arrays = self._by_name(element)
            in_memory.check_arrays(self._path, arrays)
            yield from in_memory.to_blocks(self._path, arrays, self.columns, start)
            start += len(arrays[self.columns[0]])

    def _by_name(self, element: Any) -> dict[str, Any]:
        features = element[0] if self.label else element
        if not isinstance(features, Mapping):
            features = {object_rows.FEATURES: features}
        named = {str(name): value for name, value in features.items()}
        return {**named, self.label: element[1]} if self.label else named


def _is_known(shape: tf.TensorShape, is_batched: bool) -> bool:
    """Whether all rows of a column have one shape, by what the dataset says of its elements."""
    if shape.rank is None:
        return False
    return bool(shape[1:].is_fully_defined() if is_batched else shape.is_fully_defined())
