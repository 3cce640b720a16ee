"""What crosses the wire: TensorFlow Serving's messages, its calls, and tensors as numpy arrays.

The message classes carry the official full names and speak the official bytes, but are built in a
descriptor pool of their own, so that neither TensorFlow nor its generated modules are needed, and
a later import of these finds the default pool as it expects it:

    request = wire.PredictRequest()
    request.model_spec.name = "census"
    request.inputs["age"].CopyFrom(wire.to_tensor_proto(np.float32([39.0])))
    method = wire.METHODS["Predict"]
    call = channel.unary_unary(
        method.path, method.request.SerializeToString, method.response.FromString
    )
    probabilities = wire.to_array(call(request).outputs["probabilities"])

A message of the official Python packages is accepted wherever one of these is; see `adopt`.
"""

import dataclasses
from typing import Any, Mapping

from google.protobuf import message, message_factory

from serving_client import messages, tensors

# ------------------------------------------------------------------------------------- messages

# Of all our messages and services; a reflection service needs it.
POOL = messages.POOL

BytesList = messages.message_class("tensorflow.BytesList")
Example = messages.message_class("tensorflow.Example")
Feature = messages.message_class("tensorflow.Feature")
Features = messages.message_class("tensorflow.Features")
FloatList = messages.message_class("tensorflow.FloatList")
Int64List = messages.message_class("tensorflow.Int64List")
SignatureDef = messages.message_class("tensorflow.SignatureDef")
TensorInfo = messages.message_class("tensorflow.TensorInfo")
TensorProto = tensors.TensorProto
TensorShapeProto = messages.message_class("tensorflow.TensorShapeProto")

Class = messages.message_class("tensorflow.serving.Class")
ClassificationRequest = messages.message_class("tensorflow.serving.ClassificationRequest")
ClassificationResponse = messages.message_class("tensorflow.serving.ClassificationResponse")
ClassificationResult = messages.message_class("tensorflow.serving.ClassificationResult")
Classifications = messages.message_class("tensorflow.serving.Classifications")
ExampleList = messages.message_class("tensorflow.serving.ExampleList")
ExampleListWithContext = messages.message_class("tensorflow.serving.ExampleListWithContext")
FileSystemStoragePathSourceConfig = messages.message_class(
    "tensorflow.serving.FileSystemStoragePathSourceConfig"
)
GetModelMetadataRequest = messages.message_class("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = messages.message_class("tensorflow.serving.GetModelMetadataResponse")
GetModelStatusRequest = messages.message_class("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse = messages.message_class("tensorflow.serving.GetModelStatusResponse")
InferenceResult = messages.message_class("tensorflow.serving.InferenceResult")
InferenceTask = messages.message_class("tensorflow.serving.InferenceTask")
Input = messages.message_class("tensorflow.serving.Input")
ModelConfig = messages.message_class("tensorflow.serving.ModelConfig")
ModelConfigList = messages.message_class("tensorflow.serving.ModelConfigList")
ModelServerConfig = messages.message_class("tensorflow.serving.ModelServerConfig")
ModelSpec = messages.message_class("tensorflow.serving.ModelSpec")
ModelVersionStatus = messages.message_class("tensorflow.serving.ModelVersionStatus")
MultiInferenceRequest = messages.message_class("tensorflow.serving.MultiInferenceRequest")
MultiInferenceResponse = messages.message_class("tensorflow.serving.MultiInferenceResponse")
PredictionLog = messages.message_class("tensorflow.serving.PredictionLog")
PredictRequest = messages.message_class("tensorflow.serving.PredictRequest")
PredictResponse = messages.message_class("tensorflow.serving.PredictResponse")
Regression = messages.message_class("tensorflow.serving.Regression")
RegressionRequest = messages.message_class("tensorflow.serving.RegressionRequest")
RegressionResponse = messages.message_class("tensorflow.serving.RegressionResponse")
RegressionResult = messages.message_class("tensorflow.serving.RegressionResult")
ReloadConfigRequest = messages.message_class("tensorflow.serving.ReloadConfigRequest")
ReloadConfigResponse = messages.message_class("tensorflow.serving.ReloadConfigResponse")
SignatureDefMap = messages.message_class("tensorflow.serving.SignatureDefMap")
StatusProto = messages.message_class("tensorflow.serving.StatusProto")

# -------------------------------------------------------------------------------------- tensors

DATA_TYPES = tensors.DATA_TYPES
TensorError = tensors.TensorError
base_data_type = tensors.base_data_type
data_type_name = tensors.data_type_name
data_type_of = tensors.data_type_of
memory_field = tensors.memory_field
numpy_dtype = tensors.numpy_dtype
to_array = tensors.to_array
to_tensor_proto = tensors.to_tensor_proto

# ------------------------------------------------------------------------------------- adoption


def adopt(message: Any, cls: Any) -> Any:
    """Returns message as a cls: itself, or copied from another class of the same full name.

    Args:
        message: One of our messages, or TensorFlow Serving's own of the same name.
        cls: One of the classes of this module.

    Raises:
        TypeError: message is something else.
    """
    if isinstance(message, cls):
        return message
    wanted = cls.DESCRIPTOR.full_name
    found = getattr(getattr(message, "DESCRIPTOR", None), "full_name", None)
    if found != wanted:
        raise TypeError(f"Expected a message {wanted}; got {found or type(message).__name__}.")
    return cls.FromString(message.SerializeToString())


# ---------------------------------------------------------------------------------------- calls


@dataclasses.dataclass(frozen=True)
class Method:
    """One unary call: its service's full name, its own name, and its two message classes."""

    service: str
    name: str
    request: Any
    response: Any

    @property
    def path(self) -> str:
        """The path of the call, as `grpc.Channel.unary_unary` takes it."""
        return f"/{self.service}/{self.name}"


def _methods(service: str) -> dict[str, Method]:
    """Returns the calls of a service by their names."""
    return {
        method.name: Method(
            service,
            method.name,
            message_factory.GetMessageClass(method.input_type),
            message_factory.GetMessageClass(method.output_type),
        )
        for method in POOL.FindServiceByName(service).methods
    }


# service -> call -> Method; what a server's generic handlers are built from.
SERVICES: Mapping[str, Mapping[str, Method]] = {
    name: _methods(name)
    for name in ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
}

# call -> Method; no two services have a call of the same name.
METHODS: Mapping[str, Method] = {
    name: method for methods in SERVICES.values() for name, method in methods.items()
}

# ------------------------------------------------------------------------------------- metadata

# The one metadata field that servers know.
SIGNATURE_DEF = "signature_def"
# The states of all models; `estimator-serve` alone has it.
MODEL_STATUS = "model_status"
_URL = "type.googleapis.com/"
_SIGNATURE_DEF_URL = _URL + SignatureDefMap.DESCRIPTOR.full_name
_STATUS_URL = _URL + GetModelStatusResponse.DESCRIPTOR.full_name


def pack_signatures(response: Any, signatures: Mapping[str, Any]) -> None:
    """Puts signatures into a GetModelMetadataResponse.

    Args:
        response: A GetModelMetadataResponse.
        signatures: A SignatureDef, ours or TensorFlow's, by the signature's name.
    """
    packed = SignatureDefMap()
    for name, signature in signatures.items():
        packed.signature_def[name].CopyFrom(adopt(signature, SignatureDef))
    field = response.metadata[SIGNATURE_DEF]
    field.type_url = _SIGNATURE_DEF_URL
    field.value = packed.SerializeToString(deterministic=True)


def pack_statuses(response: Any, statuses: Mapping[str, Any]) -> None:
    """Puts the states of models into a GetModelMetadataResponse.

    Args:
        response: A GetModelMetadataResponse.
        statuses: A GetModelStatusResponse by the model's name.
    """
    for name, status in statuses.items():
        field = response.metadata[name]
        field.type_url = _STATUS_URL
        field.value = status.SerializeToString()


def unpack_statuses(response: Any) -> dict[str, Any]:
    """Returns what pack_statuses put in, sorted by the models' names.

    Raises:
        ValueError: The bytes of a model's states are none.
    """
    statuses = {}
    for name, field in sorted(response.metadata.items()):
        if field.type_url == _STATUS_URL:
            try:
                statuses[name] = GetModelStatusResponse.FromString(field.value)
            except message.DecodeError as error:
                raise ValueError(
                    f"The states of model {name!r} are bytes that cannot be read: {error}."
                ) from error
    return statuses


def unpack_signatures(response: Any) -> dict[str, Any]:
    """Returns the SignatureDefs of a GetModelMetadataResponse by name; none if it has none.

    Raises:
        ValueError: The field holds another message than a SignatureDefMap, or bytes that are none.
    """
    if SIGNATURE_DEF not in response.metadata:  # reading it would create it
        return {}
    field = response.metadata[SIGNATURE_DEF]
    if field.type_url.rpartition("/")[2] != SignatureDefMap.DESCRIPTOR.full_name:
        raise ValueError(
            f"Metadata field {SIGNATURE_DEF!r} should hold a "
            f"{SignatureDefMap.DESCRIPTOR.full_name}; it holds {field.type_url!r}."
        )
    try:
        return dict(SignatureDefMap.FromString(field.value).signature_def)
    except message.DecodeError as error:
        raise ValueError(
            f"Metadata field {SIGNATURE_DEF!r} holds bytes that cannot be read: {error}."
        ) from error
