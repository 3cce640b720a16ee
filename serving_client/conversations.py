"""Everything that a client can ask of a model, as conversations: requests made, answers read.

This is the one core of the clients for threads and for asyncio, over gRPC and over REST; see
`steps`.
"""

import dataclasses
import time
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional, Union

import grpc
import numpy as np

from serving_client import calls, encoding, errors, metadata, predict_bytes
from serving_client import settings as settings_lib
from serving_client import steps, waiting, wire

# A client that asks for ever other outputs is to keep no more of them.
_MAX_ENCODERS = 100

# A list of (label, score) for each example, or a number for each.
Inferences = Union[list[list[tuple[str, float]]], list[float]]


class _Asked(NamedTuple):
    """What a Predict call asks of the model, but for its inputs."""

    signature_name: str
    version: Optional[int]
    version_label: Optional[str]
    names: tuple[str, ...]

    @property
    def place(self) -> tuple[Optional[int], Optional[str]]:
        """Where the signatures for it are remembered."""
        return self.version, self.version_label


@dataclasses.dataclass(frozen=True)
class _Known:
    """What is remembered of a version, or of the newest one, as long as it is the one that answers.

    Attributes:
        metadata: Its signatures.
        encoders: What writes requests to it, by signature and outputs.
    """

    metadata: metadata.ModelMetadata
    encoders: dict[tuple[str, tuple[str, ...]], predict_bytes.PredictEncoder] = dataclasses.field(
        default_factory=dict
    )


class Conversations:
    """What can be asked of one model. Each method gives a conversation to be run by `steps`.

    Threads may share it. The arguments are those of the methods of the same names of
    `client.PredictionClient`.
    """

    def __init__(
        self,
        settings: settings_lib.ClientSettings,
        model: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Knows nothing of the model yet.

        Args:
            settings: Whom to ask, and how patiently.
            model: The model's name on the server.
            clock: Returns the time in seconds.
        """
        if not model:
            raise errors.InputError("A client needs the model's name on the server; got ''.")
        self._settings = settings
        self._model = model
        self._clock = clock
        self._calls = calls.Calls(settings, model, clock)
        # By version and label.
        self._known: dict[tuple[Optional[int], Optional[str]], _Known] = {}

    # --------------------------------------------------------------------------------- questions

    def predict(
        self,
        inputs: Mapping[str, Any],
        signature_name: str,
        version: Optional[int],
        version_label: Optional[str],
        output_filter: Iterable[str],
        options: calls.CallOptions,
    ) -> steps.Conversation[dict[str, np.ndarray]]:
        """Gives the outputs of a signature by name."""
        call = self._calls.options(options)
        asked = _Asked(signature_name, version, version_label, tuple(output_filter))
        known = self._known.get(asked.place)
        refusal: Optional[errors.ClientError] = None
        response = signature = None
        if known is not None:
            try:
                signature, request = self._encode(known, asked, inputs)
                response = yield from self._calls.ask("Predict", request, call, signature)
            except errors.InputError:
                pass  # the server may have a newer version by now, with other inputs
            except (errors.RefusedError, errors.ServerError) as error:
                if not self._may_be_outdated(error):
                    raise
                self._forget(asked.place, known)
                refusal = error
        if known is None or response is None:
            outdated = signature
            try:
                known = yield from self._fetch(version, version_label, call)
                signature = self._signature(known.metadata, signature_name)
                if refusal is not None and signature == outdated:
                    raise refusal
                signature, request = self._encode(known, asked, inputs)
            except errors.InputError as error:
                raise self._input_error(error) from error
            except errors.ServerError as error:
                raise refusal or error
            response = yield from self._calls.ask("Predict", request, call, signature)
        if _is_of_other(response.model_spec, known):
            self._forget(asked.place, known)
        try:
            return {name: wire.to_array(one) for name, one in sorted(response.outputs.items())}
        except wire.TensorError as error:
            raise self._unreadable("an output", error) from error

    def predict_request(self, request: Any, options: calls.CallOptions) -> steps.Conversation[Any]:
        """Gives the PredictResponse to a PredictRequest."""
        call = self._calls.options(options)
        request = self._with_model(request, wire.PredictRequest)
        signature = None
        if self._settings.is_rest:  # JSON has no dtypes; the signature knows them
            question = wire.GetModelMetadataRequest(metadata_field=[wire.SIGNATURE_DEF])
            question.model_spec.CopyFrom(request.model_spec)
            question.model_spec.signature_name = ""
            found = yield from self._ask_metadata(question, call)
            try:
                signature = self._signature(found, request.model_spec.signature_name)
            except errors.InputError as error:
                raise self._input_error(error) from error
        return (yield from self._calls.ask("Predict", request, call, signature))

    def classify(
        self,
        examples: Iterable[Any],
        signature_name: str,
        version: Optional[int],
        version_label: Optional[str],
        options: calls.CallOptions,
    ) -> steps.Conversation[list[list[tuple[str, float]]]]:
        """Gives the classes of each example."""
        call = self._calls.options(options)
        request = wire.ClassificationRequest()
        self._fill_spec(request.model_spec, version, version_label, signature_name)
        request.input.example_list.examples.extend(map(encoding.make_example, examples))
        response = yield from self._calls.ask("Classify", request, call)
        return self._classes(response.result, request)

    def regress(
        self,
        examples: Iterable[Any],
        signature_name: str,
        version: Optional[int],
        version_label: Optional[str],
        options: calls.CallOptions,
    ) -> steps.Conversation[list[float]]:
        """Gives the value of each example."""
        call = self._calls.options(options)
        request = wire.RegressionRequest()
        self._fill_spec(request.model_spec, version, version_label, signature_name)
        request.input.example_list.examples.extend(map(encoding.make_example, examples))
        response = yield from self._calls.ask("Regress", request, call)
        return self._values(response.result, request)

    def multi_inference(
        self,
        examples: Iterable[Any],
        signature_names: Iterable[str],
        version: Optional[int],
        version_label: Optional[str],
        options: calls.CallOptions,
    ) -> steps.Conversation[dict[str, Inferences]]:
        """Gives what `classify` or `regress` gives, by signature."""
        call = self._calls.options(options)
        names = list(signature_names)
        if not names:
            raise errors.InputError("MultiInference needs one signature or more; got none.")
        found = yield from self._remembered(names, version, version_label, call)
        request = wire.MultiInferenceRequest()
        for name in names:
            try:
                signature = self._signature(found, name)
                if signature.method_name not in (metadata.CLASSIFY, metadata.REGRESS):
                    raise errors.InputError(
                        f"signature {signature.name!r} does not fit MultiInference: its method is "
                        f"{signature.method_name!r}, not {metadata.CLASSIFY} or {metadata.REGRESS}."
                    )
            except errors.InputError as error:
                raise self._input_error(error) from error
            task = request.tasks.add(method_name=signature.method_name)
            self._fill_spec(task.model_spec, version, version_label, signature.name)
        request.input.example_list.examples.extend(map(encoding.make_example, examples))
        response = yield from self._calls.ask("MultiInference", request, call)
        if len(response.results) != len(names):
            raise self._unreadable(
                "a MultiInferenceResponse",
                ValueError(f"it has {len(response.results)} results for {len(names)} tasks."),
            )
        return {
            name: (
                self._classes(result.classification_result, request)
                if result.WhichOneof("result") == "classification_result"
                else self._values(result.regression_result, request)
            )
            for name, result in zip(names, response.results)
        }

    def model_metadata(
        self, version: Optional[int], version_label: Optional[str], options: calls.CallOptions
    ) -> steps.Conversation[metadata.ModelMetadata]:
        """Gives the signatures of a version, asked anew."""
        call = self._calls.options(options)
        return (yield from self._fetch(version, version_label, call)).metadata

    def model_status(
        self, version: Optional[int], options: calls.CallOptions
    ) -> steps.Conversation[list[metadata.VersionStatus]]:
        """Gives the state of one version, or of all."""
        request = wire.GetModelStatusRequest()
        self._fill_spec(request.model_spec, version, None)
        response = yield from self._calls.ask(
            "GetModelStatus", request, self._calls.options(options)
        )
        return metadata.from_status_response(response)

    def list_models(
        self, options: calls.CallOptions
    ) -> steps.Conversation[dict[str, list[metadata.VersionStatus]]]:
        """Gives the states of all versions of all models."""
        request = wire.GetModelMetadataRequest(metadata_field=[wire.MODEL_STATUS])
        request.model_spec.SetInParent()
        response = yield from self._calls.ask(
            "GetModelMetadata", request, self._calls.options(options)
        )
        try:
            found = wire.unpack_statuses(response)
        except ValueError as error:
            raise self._unreadable("a list of models", error) from error
        return {name: metadata.from_status_response(one) for name, one in found.items()}

    def reload_config(self, config: Any, options: calls.CallOptions) -> steps.Conversation[None]:
        """Gives every address the same configuration, once."""
        call = self._calls.options(options)
        request = wire.ReloadConfigRequest()
        if isinstance(config, str):
            from google.protobuf import text_format  # of use here alone, and slow to import

            try:
                text_format.Parse(config, request.config)
            except text_format.ParseError as error:
                raise errors.InputError(
                    f"Expected the text of a ModelServerConfig, found an error at {error}."
                ) from error
        else:
            request.config.CopyFrom(wire.adopt(config, wire.ModelServerConfig))
        for address in self._settings.addresses:
            response = yield from self._calls.ask_once(
                address, "HandleReloadConfigRequest", request, call
            )
            # Servers say it by gRPC's status; the protocol has room for it here as well.
            if response.status.error_code:
                raise errors.from_number(
                    response.status.error_code,
                    response.status.error_message,
                    self._model,
                    address,
                    call.timeout_secs,
                )

    def wait_until_available(
        self, timeout_secs: float, version: Optional[int]
    ) -> steps.Conversation[int]:
        """Gives the version that became available; of several servers, the newest that all have."""
        return (
            yield from waiting.until_available(
                self._calls, self._settings, self._model, timeout_secs, version, self._clock
            )
        )

    # ----------------------------------------------------------------------------------- innards

    def _encode(
        self, known: _Known, asked: _Asked, inputs: Mapping[str, Any]
    ) -> tuple[metadata.Signature, Any]:
        """Returns the signature that is asked, and the request by it: a message, or its bytes.

        Raises:
            errors.InputError: There is no such signature, or the inputs do not fit it.
        """
        key = asked.signature_name, asked.names
        encoder = known.encoders.get(key)
        if encoder is not None:
            written = encoder.encode(inputs)
            if written is not None:
                return encoder.signature, written
        check_shapes = self._settings.check_shapes
        signature = self._signature(known.metadata, asked.signature_name)
        tensors = encoding.encode_inputs(signature, inputs, check_shapes)
        request = wire.PredictRequest(output_filter=asked.names)
        self._fill_spec(request.model_spec, *asked.place, asked.signature_name)
        if encoder is None and not self._settings.is_rest:  # JSON needs the messages themselves
            if len(known.encoders) >= _MAX_ENCODERS:
                known.encoders.clear()
            known.encoders[key] = predict_bytes.PredictEncoder(
                request.SerializeToString(), signature, check_shapes
            )
        for name, tensor in tensors.items():
            request.inputs[name].CopyFrom(tensor)
        return signature, request

    def _may_be_outdated(self, error: errors.ClientError) -> bool:
        """Says whether a failure may come from signatures of a version that is no longer the one.

        Over REST the answer is read by the signature too; one that does not fit it is INTERNAL.
        """
        return isinstance(error, errors.RefusedError) or (
            self._settings.is_rest and error.code is grpc.StatusCode.INTERNAL
        )

    def _remembered(
        self,
        names: Iterable[str],
        version: Optional[int],
        version_label: Optional[str],
        call: calls.Call,
    ) -> steps.Conversation[metadata.ModelMetadata]:
        """Gives the remembered signatures if all those named are among them; asks anew otherwise."""
        known = self._known.get((version, version_label))
        if known is None or not known.metadata.signatures.keys() >= set(names):
            known = yield from self._fetch(version, version_label, call)
        return known.metadata

    def _fetch(
        self, version: Optional[int], version_label: Optional[str], call: calls.Call
    ) -> steps.Conversation[_Known]:
        """Gives the signatures of a version, and remembers them."""
        request = wire.GetModelMetadataRequest(metadata_field=[wire.SIGNATURE_DEF])
        self._fill_spec(request.model_spec, version, version_label)
        known = _Known((yield from self._ask_metadata(request, call)))
        self._known[version, version_label] = known
        return known

    def _forget(self, place: tuple[Optional[int], Optional[str]], known: _Known) -> None:
        """Drops what is remembered, unless another thread has put something newer there."""
        if self._known.get(place) is known:
            self._known.pop(place, None)

    def _ask_metadata(
        self, request: Any, call: calls.Call
    ) -> steps.Conversation[metadata.ModelMetadata]:
        """Gives the signatures that a GetModelMetadataRequest asks for."""
        response = yield from self._calls.ask("GetModelMetadata", request, call)
        try:
            return metadata.from_metadata_response(response)
        except ValueError as error:
            raise self._unreadable("metadata", error) from error

    def _signature(self, found: metadata.ModelMetadata, name: str) -> metadata.Signature:
        """Returns a signature of found; an empty name is `serving_default`."""
        name = name or metadata.DEFAULT_SIGNATURE
        if name not in found.signatures:
            raise errors.InputError(
                f"version {found.version} has no signature {name!r}; it has "
                f"{', '.join(found.signatures) or 'none'}."
            )
        return found.signatures[name]

    def _fill_spec(
        self,
        spec: Any,
        version: Optional[int],
        version_label: Optional[str],
        signature_name: str = "",
    ) -> None:
        """Writes the model's name, the version and the signature into a ModelSpec."""
        if version is not None and version_label is not None:
            raise errors.InputError(
                f"Give a version or a label, not both; got {version!r} and {version_label!r}."
            )
        spec.name = self._model
        spec.signature_name = signature_name
        if version is not None:
            spec.version.value = version
        if version_label is not None:
            spec.version_label = version_label

    def _with_model(self, message: Any, cls: Any) -> Any:
        """Returns message as one of ours that names a model; a given one is left as it is."""
        request = wire.adopt(message, cls)
        if not request.model_spec.name:
            filled = cls()
            filled.CopyFrom(request)
            filled.model_spec.name = self._model
            return filled
        return request

    def _input_error(self, error: errors.InputError) -> errors.InputError:
        """Returns an error about inputs with the model's name."""
        return errors.InputError(f"Model {self._model!r}: {error}", **self._context())

    def _classes(self, result: Any, request: Any) -> list[list[tuple[str, float]]]:
        """Returns a ClassificationResult as lists; see `_check_count`."""
        self._check_count(result.classifications, request)
        return [
            [(one.label, one.score) for one in classifications.classes]
            for classifications in result.classifications
        ]

    def _values(self, result: Any, request: Any) -> list[float]:
        """Returns a RegressionResult as a list; see `_check_count`."""
        self._check_count(result.regressions, request)
        return [one.value for one in result.regressions]

    def _check_count(self, results: Any, request: Any) -> None:
        """Raises errors.ServerError if an answer does not have one result for each example of its request."""
        examples = request.input.example_list.examples
        if len(results) != len(examples):
            raise self._unreadable(
                "results",
                ValueError(f"there are {len(results)} of them for {len(examples)} examples."),
            )

    def _unreadable(self, what: str, error: Exception) -> errors.ServerError:
        """Returns the error for an answer that says nothing sensible."""
        return errors.ServerError(
            f"The server at {self._settings.shown_address} answered for model {self._model!r} with "
            f"{what} that cannot be read: {error}",
            **self._context(),
        )

    def _context(self) -> dict[str, Any]:
        """Returns what errors that no single attempt caused carry."""
        return {
            "model": self._model,
            "address": self._settings.shown_address,
            "timeout_secs": self._settings.timeout_secs,
        }


def _is_of_other(spec: Any, known: _Known) -> bool:
    """Says whether an answer's ModelSpec is of another version than known; REST does not say."""
    return spec.HasField("version") and spec.version.value != known.metadata.version
