"""Which features a model's graph reads from `tf.Example`s: what its parser of Examples says itself."""

import dataclasses
from typing import Any, Iterable

from google.protobuf import message
import tensorflow as tf

_PARSERS = ("ParseExample", "ParseExampleV2")


@dataclasses.dataclass(frozen=True)
class ExampleFeature:
    """One feature that the parser looks for.

    Attributes:
        dtype: `int64`, `float32` or `string`.
        shape: the declared sizes of one Example's values; None if any number of them is taken.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


def read(graph_def: Any) -> dict[str, ExampleFeature]:
    """The features of all parsers in a GraphDef and its functions, by name in sorted order.

    Names that are computed are left out.
    """
    features: dict[str, ExampleFeature] = {}
    for nodes in (graph_def.node, *(function.node_def for function in graph_def.library.function)):
        for node in nodes:
            if node.op in _PARSERS:
                features.update(_of_parser(node, nodes))
    return dict(sorted(features.items()))


def _of_parser(node: Any, nodes: Iterable[Any]) -> dict[str, ExampleFeature]:
    constants = {other.name: other for other in nodes if other.op == "Const"}
    dense = [_dtype(kind) for kind in node.attr["Tdense"].list.type]
    shapes = [_shape(shape) for shape in node.attr["dense_shapes"].list.shape]
    sparse = [_dtype(kind) for kind in node.attr["sparse_types"].list.type]
    ragged = [_dtype(kind) for kind in node.attr["ragged_value_types"].list.type]
    places: list[Iterable[str]]
    if node.op == "ParseExample":  # a tensor a name, the sparse ones first
        ends = (2 + len(sparse), 2 + len(sparse) + len(dense))
        places = [node.input[2 : ends[0]], node.input[ends[0] : ends[1]], []]
    else:  # a vector of names a kind
        places = [[name] for name in node.input[2:5]]
    sparse_names, dense_names, ragged_names = (_names(place, constants) for place in places)
    open_kinds = zip([*sparse_names, *ragged_names], [*sparse, *ragged])
    return {
        **{name: ExampleFeature(dtype, None) for name, dtype in open_kinds},
        **{
            name: ExampleFeature(dtype, shape)
            for name, dtype, shape in zip(dense_names, dense, shapes)
        },
    }


def _names(inputs: Iterable[str], constants: dict[str, Any]) -> list[str]:
    names: list[str] = []
    for tensor in inputs:
        node = constants.get(tensor.partition(":")[0])
        if node is not None:
            values = tf.make_ndarray(node.attr["value"].tensor).ravel().tolist()
            names.extend(value.decode("utf-8", "replace") for value in values)
    return names


def _dtype(kind: int) -> str:
    return tf.dtypes.as_dtype(kind).name


def _shape(shape: message.Message) -> tuple[int | None, ...] | None:
    dims = tf.TensorShape(shape)
    return None if dims.rank is None else tuple(dims.as_list())
