"""A real gRPC server with one tiny computed model, built from the client's own tables."""

import concurrent.futures
import contextlib
import dataclasses
import threading
from typing import Any, Callable, Iterator, Optional

import grpc
import numpy as np

from serving_client import wire

MODEL = "half"
# Calls that a server has under way at once.
WORKERS = 10


def tensor_info(dtype: str, shape: list[int]) -> Any:
    """Returns a TensorInfo."""
    info = wire.TensorInfo(name="graph:0", dtype=wire.DATA_TYPES[dtype])
    for size in shape:
        info.tensor_shape.dim.add().size = size
    return info


def signature(method: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    """Returns a SignatureDef."""
    return wire.SignatureDef(
        method_name=f"tensorflow/serving/{method}", inputs=inputs, outputs=outputs
    )


def default_signatures() -> dict[str, Any]:
    """Returns the signatures that exports of this project have, on a model of three features."""
    strings = tensor_info("DT_STRING", [-1])
    plain = {
        "age": tensor_info("DT_INT64", [-1]),
        "hours": tensor_info("DT_FLOAT", [-1]),
        "job": strings,
    }
    score = {"score": tensor_info("DT_FLOAT", [-1, 1]), "text": strings}
    classes = {"classes": tensor_info("DT_STRING", [-1, 2]), "scores": tensor_info("DT_FLOAT", [])}
    return {
        "serving_default": signature("classify", {"inputs": strings}, classes),
        "classification": signature("classify", {"inputs": strings}, classes),
        "regression": signature("regress", {"inputs": strings}, {"outputs": score["score"]}),
        "predict": signature("predict", {"examples": strings}, score),
        "tensors:predict": signature("predict", plain, score),
    }


@dataclasses.dataclass
class FakeModel:
    """Answers with score = age + hours / 2 and text = the job; remembers what it was asked.

    Attributes:
        signatures: SignatureDef by name.
        version: The version that answers without another being asked.
        statuses: (version, state name, error code, error text) of GetModelStatus.
        refusals: (code, details) to refuse the next calls with, one a call.
        hold: A call waits here before it answers.
        arrived: Set when a request has come.
        requests: All requests, in order.
        headers: What came with each, by name in lower case.
        ended: Set when a call has ended, answered or not.
        barrier: Calls of Predict wait here, if it is given, before they are answered.
        reload_status: (code, text) in the answer to a reload.
    """

    signatures: dict[str, Any] = dataclasses.field(default_factory=default_signatures)
    version: int = 7
    statuses: list[tuple[int, str, int, str]] = dataclasses.field(
        default_factory=lambda: [(7, "AVAILABLE", 0, ""), (6, "END", 5, "no saved_model.pb")]
    )
    refusals: list[tuple[grpc.StatusCode, str]] = dataclasses.field(default_factory=list)
    hold: threading.Event = dataclasses.field(default_factory=threading.Event)
    arrived: threading.Event = dataclasses.field(default_factory=threading.Event)
    requests: list[Any] = dataclasses.field(default_factory=list)
    headers: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)
    barrier: Optional[threading.Barrier] = None
    reload_status: tuple[int, str] = (0, "")

    def __post_init__(self) -> None:
        self.hold.set()

    def handler(self, name: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        """Returns the function behind the call name."""

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self.requests.append(request)
            self.headers.append(dict(context.invocation_metadata()))
            context.add_callback(self.ended.set)
            self.arrived.set()
            self.hold.wait()
            if self.refusals:
                context.abort(*self.refusals.pop(0))
            if hasattr(request, "model_spec") and request.model_spec.name != MODEL:
                context.abort(
                    grpc.StatusCode.NOT_FOUND,
                    f"Servable not found for request: Latest({request.model_spec.name})",
                )
            method = getattr(self, name, None)
            if method is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
            return method(request)

        return answer

    def _spec(self, request: Any) -> Any:
        spec = wire.ModelSpec(name=MODEL, signature_name=request.model_spec.signature_name)
        spec.version.value = request.model_spec.version.value or self.version
        return spec

    def _rows(self, serialised: list[bytes]) -> dict[str, np.ndarray]:
        rows = [wire.Example.FromString(row).features.feature for row in serialised]
        return {
            "age": np.array([row["age"].int64_list.value[0] for row in rows]),
            "hours": np.array([row["hours"].float_list.value[0] for row in rows]),
            "job": np.array([row["job"].bytes_list.value[0] for row in rows], object),
        }

    def _score(self, columns: dict[str, np.ndarray]) -> np.ndarray:
        return np.float32(columns["age"] + columns["hours"] / 2)

    def Predict(self, request: Any) -> Any:
        if self.barrier is not None:
            self.barrier.wait(30)
        columns = {name: wire.to_array(tensor) for name, tensor in request.inputs.items()}
        if "examples" in columns:
            columns = self._rows(columns["examples"].tolist())
        outputs = {"score": self._score(columns)[:, None], "text": columns["job"]}
        response = wire.PredictResponse(model_spec=self._spec(request))
        for name in request.output_filter or outputs:
            response.outputs[name].CopyFrom(wire.to_tensor_proto(outputs[name], as_content=False))
        return response

    def _example_scores(self, request: Any) -> list[float]:
        examples = request.input.example_list.examples
        return self._score(self._rows([one.SerializeToString() for one in examples])).tolist()

    def Classify(self, request: Any) -> Any:
        response = wire.ClassificationResponse(model_spec=self._spec(request))
        for score in self._example_scores(request):
            result = response.result.classifications.add()
            result.classes.add(label="no", score=100 - score)
            result.classes.add(label="yes", score=score)
        return response

    def Regress(self, request: Any) -> Any:
        response = wire.RegressionResponse(model_spec=self._spec(request))
        for score in self._example_scores(request):
            response.result.regressions.add(value=score)
        return response

    def MultiInference(self, request: Any) -> Any:
        response = wire.MultiInferenceResponse()
        for task in request.tasks:
            result = response.results.add(model_spec=task.model_spec)
            if task.method_name == "tensorflow/serving/classify":
                result.classification_result.CopyFrom(self.Classify(_one_task(request)).result)
            else:
                result.regression_result.CopyFrom(self.Regress(_one_task(request)).result)
        return response

    def HandleReloadConfigRequest(self, request: Any) -> Any:
        code, text = self.reload_status
        return wire.ReloadConfigResponse(
            status=wire.StatusProto(error_code=code, error_message=text)
        )

    def GetModelMetadata(self, request: Any) -> Any:
        response = wire.GetModelMetadataResponse(model_spec=self._spec(request))
        wire.pack_signatures(response, self.signatures)
        return response

    def GetModelStatus(self, request: Any) -> Any:
        response = wire.GetModelStatusResponse()
        for version, state, code, text in self.statuses:
            entry = response.model_version_status.add(version=version)
            entry.state = wire.ModelVersionStatus.State.Value(state)
            entry.status.error_code = code
            entry.status.error_message = text
        return response

    def asked(self, cls: Any) -> list[Any]:
        """Returns the requests of one class."""
        return [request for request in self.requests if isinstance(request, cls)]


def _one_task(request: Any) -> Any:
    """Returns a MultiInferenceRequest as what Classify and Regress take."""
    return wire.ClassificationRequest(input=request.input)


@contextlib.contextmanager
def serve(model: FakeModel, credentials: Optional[grpc.ServerCredentials] = None) -> Iterator[str]:
    """Serves model on a free port, encrypted if there are credentials; gives the address."""
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=WORKERS)
    server = grpc.server(pool, options=[("grpc.max_receive_message_length", -1)])
    for service, methods in wire.SERVICES.items():
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                model.handler(name),
                request_deserializer=method.request.FromString,
                response_serializer=method.response.SerializeToString,
            )
            for name, method in methods.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    if credentials is None:
        port = server.add_insecure_port("localhost:0")
    else:
        port = server.add_secure_port("localhost:0", credentials)
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        model.hold.set()
        server.stop(grace=None).wait()
        pool.shutdown()
