"""PredictionService and ModelService over the served models.

A method unpacks a request, asks a servable and packs its answer; errors are those of
`export.errors`, which `status` turns into gRPC's.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import functools
from typing import Any, Protocol

import grpc
import numpy as np

from estimator_app.serving import model_list, model_table, request_log, request_metrics, status
from export import checks, errors, servable, signatures
from serving_client import tensor_bytes, wire

# The tag of PredictResponse's field `outputs`.
_OUTPUTS = b"\x0a"


class Models(Protocol):
    """Finds the version that a request asks for, as model_table.ModelTable does."""

    def acquire(
        self, name: str, version: int | None = None, label: str | None = None, timeout_ms: int = 0
    ) -> contextlib.AbstractContextManager[tuple[int, servable.Servable, int]]:
        """Holds a version for the length of one request; gives it and the milliseconds that are left."""


def generic_handlers(
    table: model_table.ModelTable,
    counted: request_metrics.RequestMetrics,
    logs: request_log.RequestLogs,
    as_tensor_content: bool = False,
    is_alone: bool = True,
    listed: model_list.ModelList | None = None,
) -> list[grpc.GenericRpcHandler]:
    """What a gRPC server needs in order to answer from `table`.

    Args:
        table: the models.
        counted: where calls count.
        logs: where calls are logged.
        as_tensor_content: see PredictionService.
        is_alone: see ModelService.
        listed: what answers GetModelMetadata of all models; None refuses it.
    """
    methods: dict[str, Callable[[Any, int], Any]] = counted.counted_rpcs(
        {
            **logs.logged_rpcs(PredictionService(table, as_tensor_content).methods()),
            **ModelService(table, is_alone).methods(),
        }
    )
    if listed is not None:
        methods["GetModelMetadata"] = listed.beside(methods["GetModelMetadata"])
    handlers = []
    for service, calls in wire.SERVICES.items():
        behaviors = {
            name: grpc.unary_unary_rpc_method_handler(
                status.behavior(methods[name]),
                request_deserializer=call.request.FromString,
                response_serializer=_serialize,
            )
            for name, call in calls.items()
            if name in methods
        }
        handlers.append(grpc.method_handlers_generic_handler(service, behaviors))
    return handlers


class PredictionService:
    """What models answer. Every method takes a request and the milliseconds it may run (0: any).

    All raise errors.ServableError with the codes and texts of TF Serving.
    """

    def __init__(self, table: Models, as_tensor_content: bool = False) -> None:
        """Answers from `table`.

        Args:
            table: the models.
            as_tensor_content: whether Predict answers numbers in `tensor_content`, which is smaller
                and faster but not what every client reads.
        """
        self._table = table
        self._as_tensor_content = as_tensor_content

    def methods(self) -> dict[str, Callable[[Any, int], Any]]:
        """RPC name -> method."""
        return {
            "Predict": self.predict,
            "Classify": self.classify,
            "Regress": self.regress,
            "MultiInference": self.multi_inference,
            "GetModelMetadata": self.get_model_metadata,
        }

    def predict(self, request: Any, timeout_ms: int) -> Any:
        """PredictRequest -> the bytes of a PredictResponse (predict_util.cc)."""
        spec = _model_spec(request)
        with self._table.acquire(*_wanted(spec), timeout_ms) as (version, model, left_ms):
            outputs = model.predict(
                _Tensors(request.inputs), spec.signature_name, request.output_filter, left_ms
            )
        name = spec.signature_name or signatures.DEFAULT_NAME
        entries = tensor_bytes.map_entries(_OUTPUTS, outputs, self._as_tensor_content)
        return b"".join([*entries, _answered_by(spec.name, name, version)])

    def classify(self, request: Any, timeout_ms: int) -> Any:
        """ClassificationRequest -> ClassificationResponse (classification_service.cc)."""
        spec = _model_spec(request)
        with self._table.acquire(*_wanted(spec), timeout_ms) as (version, model, left_ms):
            examples = serialized_examples(request.input)
            labels, scores = model.classify(examples, spec.signature_name, left_ms)
        response = wire.ClassificationResponse()
        _fill_spec(response.model_spec, spec, version)
        _fill_classification(response.result, labels, scores)
        return response

    def regress(self, request: Any, timeout_ms: int) -> Any:
        """RegressionRequest -> RegressionResponse (regression_service.cc)."""
        spec = _model_spec(request)
        with self._table.acquire(*_wanted(spec), timeout_ms) as (version, model, left_ms):
            examples = serialized_examples(request.input)
            values = model.regress(examples, spec.signature_name, left_ms)
        response = wire.RegressionResponse()
        _fill_spec(response.model_spec, spec, version)
        _fill_regression(response.result, values)
        return response

    def multi_inference(self, request: Any, timeout_ms: int) -> Any:
        """MultiInferenceRequest -> MultiInferenceResponse (multi_inference.cc).

        The first task says which version answers; all tasks are one run of it.
        """
        specs = [task.model_spec for task in request.tasks]
        first = specs[0] if specs else wire.ModelSpec()
        with self._table.acquire(*_wanted(first), timeout_ms) as (version, model, left_ms):
            tasks = [
                checks.Task(
                    task.model_spec.name,
                    task.model_spec.signature_name or signatures.DEFAULT_NAME,
                    task.method_name,
                )
                for task in request.tasks
            ]
            examples = serialized_examples(request.input)
            results = model.multi_inference(examples, tasks, left_ms)
        response = wire.MultiInferenceResponse()
        for spec, result in zip(specs, results):
            answer = response.results.add()
            _fill_spec(answer.model_spec, spec, version)
            if isinstance(result, tuple):
                _fill_classification(answer.classification_result, *result)
            else:
                _fill_regression(answer.regression_result, result)
        return response

    def get_model_metadata(self, request: Any, timeout_ms: int) -> Any:
        """GetModelMetadataRequest -> GetModelMetadataResponse (get_model_metadata_impl.cc)."""
        spec = _model_spec(request)
        if not request.metadata_field:
            raise errors.invalid_argument(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != wire.SIGNATURE_DEF:
                raise errors.invalid_argument(f"Metadata field {field} is not supported")
        with self._table.acquire(*_wanted(spec), timeout_ms) as (version, model, _):
            definitions = model.signature_def_map_bytes
        response = wire.GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version
        wire.pack_signatures(
            response,
            {name: wire.SignatureDef.FromString(data) for name, data in definitions.items()},
        )
        return response


class ModelService:
    """What is known of the models themselves."""

    def __init__(self, table: model_table.ModelTable, is_alone: bool = True) -> None:
        """Answers from `table`.

        Args:
            table: the models.
            is_alone: whether no other process answers on the same port; a reload would reach one of them.
        """
        self._table = table
        self._is_alone = is_alone

    def methods(self) -> dict[str, Callable[[Any, int], Any]]:
        """RPC name -> method."""
        return {
            "GetModelStatus": self.get_model_status,
            "HandleReloadConfigRequest": self.handle_reload_config_request,
        }

    def get_model_status(self, request: Any, timeout_ms: int) -> Any:
        """GetModelStatusRequest -> GetModelStatusResponse; labels have no effect.

        Source: get_model_status_impl.cc.
        """
        del timeout_ms  # Nothing runs.
        spec = _model_spec(request)
        version = spec.version.value if spec.HasField("version") else None
        response = wire.GetModelStatusResponse()
        model_list.fill_statuses(response, self._table.statuses(spec.name, version))
        return response

    def handle_reload_config_request(self, request: Any, timeout_ms: int) -> Any:
        """ReloadConfigRequest -> ReloadConfigResponse, once new models are available.

        The status of a response is always OK, and its metrics are left out (TF Serving:
        model_service_impl.cc).
        """
        if request.config.WhichOneof("config") != "model_config_list":
            raise errors.invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        if not self._is_alone:
            raise errors.ServableError(
                errors.Code.FAILED_PRECONDITION,
                "Expected one process for HandleReloadConfigRequest, found several on one port. "
                "Change the file of --model_config_file, which all of them read again with "
                "--model_config_file_poll_wait_seconds.",
            )
        self._table.reload(request.config, timeout_ms / 1e3 if timeout_ms else None)
        response = wire.ReloadConfigResponse()
        response.status.SetInParent()
        return response


class _Tensors(Mapping[str, np.ndarray]):
    """The tensors of a request as arrays, each decoded when it is looked up.

    A tensor that does not parse is so reported in its turn among the other checks.
    """

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self._tensors = tensors

    def __getitem__(self, alias: str) -> np.ndarray:
        try:
            return wire.to_array(self._tensors[alias])
        except wire.TensorError as error:
            raise errors.invalid_argument(f"tensor parsing error: {alias}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def serialized_examples(message: Any) -> list[bytes]:
    """The Examples of an `Input`, `[n]` bytes, each with the context in front of it if there is
    one.

    Two messages in a row read as one merged message (TF Serving: util.cc).
    """
    kind = message.WhichOneof("kind")
    if kind is None:
        return []
    context = b""
    if kind == "example_list_with_context":
        context = message.example_list_with_context.context.SerializeToString()
    return [context + example.SerializeToString() for example in getattr(message, kind).examples]


def class_rows(
    labels: np.ndarray | None, scores: np.ndarray | None
) -> list[list[tuple[str, float]]]:
    """What a servable's classify gave, as one list of (label, score) an example.

    Args:
        labels: `[n, classes]` object array of bytes, or None for empty labels.
        scores: `[n, classes]` float32, or None for zeros; not both are None.
    """
    present: Any = labels if labels is not None else scores
    texts: Any = np.full(present.shape, b"", object) if labels is None else labels
    numbers: Any = np.zeros(present.shape) if scores is None else scores
    rows = zip(texts.tolist(), numbers.tolist())
    return [
        [(label.decode("utf-8", "replace"), score) for label, score in zip(labels_row, scores_row)]
        for labels_row, scores_row in rows
    ]


@functools.lru_cache(maxsize=1000)
def _answered_by(model: str, signature_name: str, version: int) -> bytes:
    """The bytes of a PredictResponse that says who answered, and nothing else."""
    response = wire.PredictResponse()
    response.model_spec.name = model
    response.model_spec.signature_name = signature_name
    response.model_spec.version.value = version
    return response.SerializeToString()


def _serialize(response: Any) -> bytes:
    """The bytes of a response; of Predict they are made already."""
    return response if isinstance(response, bytes) else response.SerializeToString()


def _model_spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise errors.invalid_argument("Missing ModelSpec")
    return request.model_spec


def _wanted(spec: Any) -> tuple[str, int | None, str | None]:
    """Name, version and label of a ModelSpec; version 0 is one like any other, and so is an empty label."""
    version = spec.version.value if spec.HasField("version") else None
    return spec.name, version, spec.version_label if spec.HasField("version_label") else None


def _fill_spec(answer: Any, asked: Any, version: int) -> None:
    answer.name = asked.name
    answer.signature_name = asked.signature_name or signatures.DEFAULT_NAME
    answer.version.value = version


def _fill_classification(result: Any, labels: np.ndarray | None, scores: np.ndarray | None) -> None:
    result.SetInParent()
    for row in class_rows(labels, scores):
        classes = result.classifications.add().classes
        for label, score in row:
            classes.add(label=label, score=score)


def _fill_regression(result: Any, values: np.ndarray) -> None:
    result.SetInParent()
    for value in values.tolist():
        result.regressions.add(value=value)
