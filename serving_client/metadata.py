"""What a server says about a model: its signatures and the state of its versions."""

import dataclasses
from typing import Any, Mapping, Optional

from serving_client import wire

DEFAULT_SIGNATURE = "serving_default"
CLASSIFY = "tensorflow/serving/classify"
PREDICT = "tensorflow/serving/predict"
REGRESS = "tensorflow/serving/regress"


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        name: The name in requests and answers.
        data_type: TensorFlow's number of the dtype, as in `wire.DATA_TYPES`.
        shape: Sizes, None for one that varies; None as a whole if the rank varies.
    """

    name: str
    data_type: int
    shape: Optional[tuple[Optional[int], ...]]

    @property
    def dtype(self) -> str:
        """The dtype in numpy's words: `float32`, `int64`, ...; `string` for strings."""
        name = wire.data_type_name(wire.base_data_type(self.data_type))
        words = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}
        return words.get(name, name.removeprefix("DT_").lower())

    @property
    def shown_sizes(self) -> list[str]:
        """The sizes as text, `?` for one that varies; none if the rank varies."""
        return ["?" if size is None else str(size) for size in self.shape or ()]

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name}: {self.dtype} of any rank"
        return f"{self.name}: {self.dtype} [{', '.join(self.shown_sizes)}]"


@dataclasses.dataclass(frozen=True)
class Signature:
    """One way to ask a model.

    Attributes:
        name: The name in requests.
        method_name: `tensorflow/serving/predict`, `.../classify` or `.../regress`; exports made
            with TensorFlow 2 say predict for all.
        inputs: What to send, by name.
        outputs: What comes back, by name.
        optional_inputs: Names of the inputs that a request may leave out.
    """

    name: str
    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    optional_inputs: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class ModelMetadata:
    """The signatures of one version of a model, by name in alphabetical order."""

    model: str
    version: int
    signatures: Mapping[str, Signature]


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """The state of one version of a model on a server.

    Attributes:
        version: The version's number.
        state: `START`, `LOADING`, `AVAILABLE`, `UNLOADING` or `END`; `State 60` for one that is not
            known here.
        error_code: gRPC's number of what went wrong; 0 is nothing.
        error_message: The server's text for it.
    """

    version: int
    state: str
    error_code: int = 0
    error_message: str = ""


def from_metadata_response(response: Any) -> ModelMetadata:
    """Returns what a GetModelMetadataResponse says.

    Raises:
        ValueError: It holds something else than signatures.
    """
    signatures = wire.unpack_signatures(response)
    return ModelMetadata(
        model=response.model_spec.name,
        version=response.model_spec.version.value,
        signatures={name: _signature(name, signatures[name]) for name in sorted(signatures)},
    )


def from_status_response(response: Any) -> list[VersionStatus]:
    """Returns the versions of a GetModelStatusResponse in its order, newest first."""
    states = wire.ModelVersionStatus.State.DESCRIPTOR.values_by_number
    return [
        VersionStatus(
            version=entry.version,
            state=states[entry.state].name if entry.state in states else f"State {entry.state}",
            error_code=entry.status.error_code,
            error_message=entry.status.error_message,
        )
        for entry in response.model_version_status
    ]


def _signature(name: str, proto: Any) -> Signature:
    """Returns a SignatureDef as our dataclass."""
    return Signature(
        name=name,
        method_name=proto.method_name,
        inputs={key: _tensor_spec(key, proto.inputs[key]) for key in sorted(proto.inputs)},
        outputs={key: _tensor_spec(key, proto.outputs[key]) for key in sorted(proto.outputs)},
        optional_inputs=frozenset(proto.defaults),
    )


def _tensor_spec(name: str, info: Any) -> TensorSpec:
    """Returns a TensorInfo as our dataclass."""
    if info.tensor_shape.unknown_rank:
        return TensorSpec(name, info.dtype, None)
    sizes = tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)
    return TensorSpec(name, info.dtype, sizes)
