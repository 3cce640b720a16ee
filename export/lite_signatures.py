"""The signatures of a TFLite file: those that it carries, or one made from its tensors' names.

A SavedModel's `SignatureDef`s lie in the file as one buffer, `signature_defs_metadata`: a FlexBuffer map
of name to serialized message (TensorFlow: lite/tools/signature/signature_def_util.cc; TF Serving:
tflite_session.cc).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flatbuffers import encode, flexbuffers, number_types, table
from google.protobuf import message
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from export import checks, errors, signatures

_METADATA_NAME = b"signature_defs_metadata"
# Places of fields in schema.fbs: of Model, Metadata and Buffer.
_MODEL_BUFFERS, _MODEL_METADATA = 4, 6
_METADATA_NAME_FIELD, _METADATA_BUFFER = 0, 1
_BUFFER_DATA = 0


def read(content: bytes, inputs: Sequence[Mapping], outputs: Sequence[Mapping]) -> dict[str, Any]:
    """Name -> SignatureDef, whose tensors are those of the interpreter.

    Args:
        content: of the file; an interpreter has taken it.
        inputs: the interpreter's `get_input_details()`.
        outputs: its `get_output_details()`.

    Raises:
        errors.ServableError: a signature does not parse or names a tensor that is not there, or
            two tensors share a name.
    """
    given, gives = _infos("Input", inputs), _infos("Output", outputs)
    try:
        carried = {
            name: meta_graph_pb2.SignatureDef.FromString(data)
            for name, data in _carried(content).items()
        }
    except message.DecodeError as error:
        raise errors.invalid_argument(
            f"Invalid SignatureDefs found in TfLite model: {error}"
        ) from error
    for definition in carried.values():
        _repair("input", definition.inputs, given)
        _repair("output", definition.outputs, gives)
    return carried or {signatures.DEFAULT_NAME: _made(given, gives)}


def _carried(content: bytes) -> dict[str, bytes]:
    """The serialized messages of the buffer; none if the file has no such buffer."""
    start = encode.Get(number_types.UOffsetTFlags.packer_type, content, 0)
    model = table.Table(content, start)
    for metadata in _tables(model, _MODEL_METADATA):
        name = metadata.Offset(_place(_METADATA_NAME_FIELD))
        if name and metadata.String(name + metadata.Pos) == _METADATA_NAME:
            number = 0
            if place := metadata.Offset(_place(_METADATA_BUFFER)):
                number = metadata.Get(number_types.Uint32Flags, place + metadata.Pos)
            buffer = _tables(model, _MODEL_BUFFERS)[number]
            vector = buffer.Offset(_place(_BUFFER_DATA))
            first = buffer.Vector(vector)
            data = content[first : first + buffer.VectorLen(vector)]
            return _bytes_map(flexbuffers.GetRoot(data))
    return {}


def _bytes_map(root: Any) -> dict[str, bytes]:
    """A FlexBuffer map of name to a string, which holds bytes."""
    pairs = root.AsMap
    return {
        key.AsKey: bytes(value.AsStringBytes if value.IsString else value.AsBlob)
        for key, value in zip(pairs.Keys, pairs.Values)
    }


def _place(field: int) -> int:
    """Where a table's directory has the place of a field, the first two entries being its sizes."""
    return 4 + 2 * field


def _tables(owner: table.Table, field: int) -> list[table.Table]:
    """The tables of a vector field; none if it is not there."""
    place = owner.Offset(_place(field))
    if not place:
        return []
    first = owner.Vector(place)
    return [
        table.Table(owner.Bytes, owner.Indirect(first + 4 * number))
        for number in range(owner.VectorLen(place))
    ]


def _infos(role: str, details: Sequence[Mapping]) -> dict[str, Any]:
    """Tensor name -> TensorInfo. An open size stays open, where the stock server says 1."""
    infos: dict[str, Any] = {}
    for detail in details:
        if detail["name"] in infos:
            raise errors.ServableError(
                errors.Code.ALREADY_EXISTS,
                f"{role} tensor name: {detail['name']} has multiple indices",
            )
        info = meta_graph_pb2.TensorInfo(name=detail["name"])
        info.dtype = tf.dtypes.as_dtype(detail["dtype"]).as_datatype_enum
        sizes = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
        for size in sizes:
            info.tensor_shape.dim.add(size=int(size))
        infos[detail["name"]] = info
    return infos


def _made(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    definition = meta_graph_pb2.SignatureDef(method_name=checks.PREDICT_METHOD)
    # The stock server takes off every number, and so loses all but one output of an operation that has several.
    for name, info in inputs.items():
        definition.inputs[name.removesuffix(":0")].CopyFrom(info)
    for name, info in outputs.items():
        definition.outputs[name.removesuffix(":0")].CopyFrom(info)
    return definition


def _repair(role: str, tensors: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Gives tensors the names that they have in the file, where converters used to leave `:0` out."""
    for alias, info in tensors.items():
        name = info.name if info.name in found else info.name.partition(":")[0]
        if name not in found:
            raise errors.ServableError(
                errors.Code.INTERNAL,
                f"Signature {role} {alias} references an unknown tensor: Unknown tensor "
                f"'{info.name}'.",
            )
        info.name = name
