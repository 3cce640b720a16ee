"""The signatures of a SavedModel, read from its file without loading the model.

for name, signature in signatures.read("/models/census/3").items():
    print(signatures.describe(signature))
"""

import dataclasses
import os
from typing import Any, Iterable, Mapping

from google.protobuf import message
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

from export import errors

SERVE_TAGS = ("serve",)
DEFAULT_NAME = "serving_default"


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        name: the tensor in the graph, such as `Placeholder:0`; empty for sparse and ragged ones,
            which have several.
        dtype: TensorFlow's name of the type, such as `float32` or `string`.
        shape: the declared sizes, None for an open one; None altogether if the rank is open too.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclasses.dataclass(frozen=True)
class Signature:
    """One way to call a model.

    Attributes:
        name: the key in the SavedModel, such as `serving_default`.
        method_name: such as `tensorflow/serving/predict`; TF2 exports always say predict.
        inputs: what callers name -> what the graph has.
        outputs: likewise.
    """

    name: str
    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def read(path: str, tags: Iterable[str] = SERVE_TAGS) -> dict[str, Signature]:
    """The signatures of the SavedModel at `path`, by name in sorted order.

    Raises:
        errors.ServableError: there is no SavedModel, or none with these tags.
    """
    return from_meta_graph(find_meta_graph(open_saved_model(path), tags))


def from_meta_graph(meta_graph: Any) -> dict[str, Signature]:
    """The signatures of a MetaGraphDef, by name in sorted order."""
    return {
        name: Signature(
            name, definition.method_name, _specs(definition.inputs), _specs(definition.outputs)
        )
        for name, definition in sorted(meta_graph.signature_def.items())
    }


def open_saved_model(path: str) -> loader_impl.SavedModelLoader:
    """Parses the SavedModel at `path`; nothing is loaded into a session.

    Raises:
        errors.ServableError: `NOT_FOUND` if there is none, `UNIMPLEMENTED` if there is what came before
            SavedModels, `DATA_LOSS` if it does not parse (TF Serving: session_bundle_util.cc;
            TensorFlow: env.cc).
    """
    if not loader_impl.maybe_saved_model_directory(path):
        if tf.io.gfile.exists(os.path.join(path, "export.meta")):
            raise errors.ServableError(
                errors.Code.UNIMPLEMENTED, "Session Bundle is deprecated and removed."
            )
        raise errors.ServableError(
            errors.Code.NOT_FOUND,
            "Specified file path does not appear to contain a SavedModel bundle "
            f"(should have a file called `saved_model.pb`)\nSpecified file path: {path}",
        )
    try:
        return loader_impl.SavedModelLoader(path)
    except (OSError, message.DecodeError) as error:
        file = os.path.join(path, "saved_model.pb")
        raise errors.ServableError(
            errors.Code.DATA_LOSS, f"Can't parse {file} as binary proto"
        ) from error


def find_meta_graph(loader: loader_impl.SavedModelLoader, tags: Iterable[str]) -> Any:
    """The MetaGraphDef with exactly these tags.

    Raises:
        errors.ServableError: `NOT_FOUND` if there is none (TensorFlow: cc/saved_model/reader.cc).
    """
    wanted = sorted(tags)
    try:
        return loader.get_meta_graph_def_from_tags(wanted)
    except RuntimeError as error:
        raise errors.ServableError(
            errors.Code.NOT_FOUND,
            f"Could not find meta graph def matching supplied tags: {{ {' '.join(wanted)} }}. "
            "To inspect available tag-sets in the SavedModel, please use the SavedModel CLI: "
            "`saved_model_cli`",
        ) from error


def check_tensors(definitions: Mapping[str, Any], graph: tf.Graph) -> None:
    """Refuses signatures that name tensors which the graph does not have, or has with another dtype.

    Args:
        definitions: name -> SignatureDef. Those that SavedModels keep their init and train operations
            in are left out.
        graph: the loaded graph.

    Raises:
        errors.ServableError: `INVALID_ARGUMENT`.
    """
    for key, definition in sorted(definitions.items()):
        if key.startswith("__saved_model"):
            continue
        for role, tensors in (("input", definition.inputs), ("output", definition.outputs)):
            for alias, info in sorted(tensors.items()):
                for name, dtype in _named_tensors(info):
                    found = _found(graph, name, dtype)
                    if found:
                        raise errors.invalid_argument(
                            f"Expected {role} {alias} of signature {key} to be a tensor of the "
                            f"graph, found {found}. Export the version again."
                        )


def _named_tensors(info: Any) -> list[tuple[str, int]]:
    """The tensors of a TensorInfo, each with its declared type; 0 declares none."""
    kind = info.WhichOneof("encoding")
    if kind == "coo_sparse":
        sparse = info.coo_sparse
        places = [sparse.indices_tensor_name, sparse.dense_shape_tensor_name]
        return [(sparse.values_tensor_name, info.dtype), *((name, 0) for name in places)]
    if kind == "composite_tensor":
        parts = info.composite_tensor.components
        return [pair for part in parts for pair in _named_tensors(part)]
    return [(info.name, info.dtype)]


def _found(graph: tf.Graph, name: str, dtype: int) -> str:
    """What is wrong with a tensor; empty if nothing."""
    try:
        tensor = graph.as_graph_element(name, allow_operation=False)
    except (KeyError, ValueError):
        return f"none called {name!r}"
    if dtype and tf.dtypes.as_dtype(dtype).base_dtype != tensor.dtype.base_dtype:
        declared = tf.dtypes.as_dtype(dtype).base_dtype.name
        return f"{tensor.dtype.base_dtype.name} where it declares {declared}"
    return ""


def describe(signature: Signature) -> str:
    """Several lines for people: the name, the method, and each input and output with dtype and shape."""
    rows = [("input", *item) for item in signature.inputs.items()]
    rows += [("output", *item) for item in signature.outputs.items()]
    width = max((len(alias) for _, alias, _ in rows), default=0)
    lines = [f"{signature.name} ({signature.method_name or 'no method'})"]
    for role, alias, spec in rows:
        lines.append(f"  {role:6} {alias:{width}}  {spec.dtype} {format_shape(spec.shape)}")
    return "\n".join(lines)


def format_shape(shape: tuple[int | None, ...] | None) -> str:
    """`[?, 3]` for `(None, 3)`, and `[...]` for an open rank."""
    if shape is None:
        return "[...]"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def _specs(tensors: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {alias: _spec(info) for alias, info in sorted(tensors.items())}


def _spec(info: Any) -> TensorSpec:
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    # The init operation of TF2 exports is a signature whose output has no type.
    dtype = tf.dtypes.as_dtype(info.dtype).name if info.dtype else "invalid"
    return TensorSpec(info.name, dtype, shape)
