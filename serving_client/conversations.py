"""Everything that a client can ask of a model, as conversations: requests made, answers read.

This is the one core of the clients for threads and for asyncio, over gRPC and over REST; see
`steps`.
"""

import time
from typing import Any, Callable, Hashable, Iterable, Mapping, Optional, Union

import numpy as np

from serving_client import calls, encoding, errors, metadata, predict_bytes
from serving_client import settings as settings_lib
from serving_client import steps, wire

_AVAILABLE = "AVAILABLE"
_WAITING_PAUSE_SECS = 0.25
# A client that asks for ever other outputs is to keep no more of them.
_MAX_ENCODERS = 100

# A list of (label, score) for each example, or a number for each.
Inferences = Union[list[list[tuple[str, float]]], list[float]]


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
        self._metadata: dict[tuple[Optional[int], Optional[str]], metadata.ModelMetadata] = {}
        # By signature, version, label and outputs, as long as no metadata changes.
        self._encoders: dict[Hashable, predict_bytes.PredictEncoder] = {}

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
        names = tuple(output_filter)
        asked = (signature_name, version, version_label, names)
        encoder = self._encoders.get(asked)
        request: Any = None if encoder is None else encoder.encode(inputs)
        signature = None if encoder is None else encoder.signature
        if request is None:
            request = wire.PredictRequest(output_filter=names)
            self._fill_spec(request.model_spec, version, version_label, signature_name)
            start = request.SerializeToString()
            signature, tensors = yield from self._encode(
                inputs, signature_name, version, version_label, call
            )
            for name, tensor in tensors.items():
                request.inputs[name].CopyFrom(tensor)
            self._keep_encoder(asked, start, signature)
        response = yield from self._calls.ask("Predict", request, call, signature)
        self._forget_metadata_of_other(response.model_spec, version, version_label)
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
        return _read_classes(response.result)

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
        return _read_values(response.result)

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
                _read_classes(result.classification_result)
                if result.WhichOneof("result") == "classification_result"
                else _read_values(result.regression_result)
            )
            for name, result in zip(names, response.results)
        }

    def model_metadata(
        self, version: Optional[int], version_label: Optional[str], options: calls.CallOptions
    ) -> steps.Conversation[metadata.ModelMetadata]:
        """Gives the signatures of a version, asked anew."""
        return (yield from self._fetch(version, version_label, self._calls.options(options)))

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
        return {
            name: metadata.from_status_response(statuses)
            for name, statuses in wire.unpack_statuses(response).items()
        }

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
        """Gives the version that became available; of several servers, the one that all have."""
        end = self._clock() + timeout_secs
        versions = []
        for address in self._settings.addresses:
            versions.append((yield from self._wait(address, end, timeout_secs, version)))
        return min(versions)

    # ----------------------------------------------------------------------------------- innards

    def _wait(
        self, address: str, end: float, timeout_secs: float, version: Optional[int]
    ) -> steps.Conversation[int]:
        """Gives the highest version that is available at one address, once there is one."""
        request = wire.GetModelStatusRequest()
        self._fill_spec(request.model_spec, version, None)
        while True:
            left_secs = end - self._clock()
            state = "no answer yet"
            if left_secs > 0:
                call = self._calls.default._replace(
                    timeout_secs=min(left_secs, self._settings.timeout_secs)
                )
                try:
                    response = yield from self._calls.ask_once(
                        address, "GetModelStatus", request, call
                    )
                except (errors.NotFoundError, errors.UnavailableError, errors.DeadlineError) as e:
                    state = e.details or "no answer"
                else:
                    found = metadata.from_status_response(response)
                    available = [one.version for one in found if one.state == _AVAILABLE]
                    if available:
                        return max(available)
                    state = "; ".join(map(_describe, found)) or "it has no versions"
            if end - self._clock() <= _WAITING_PAUSE_SECS:
                raise errors.DeadlineError(
                    f"Model {self._model!r} at {address} was not available within "
                    f"{timeout_secs:g} s: {state.rstrip('.')}.",
                    model=self._model,
                    address=address,
                    timeout_secs=timeout_secs,
                )
            yield steps.Pause(_WAITING_PAUSE_SECS)

    def _encode(
        self,
        inputs: Mapping[str, Any],
        signature_name: str,
        version: Optional[int],
        version_label: Optional[str],
        call: calls.Call,
    ) -> steps.Conversation[tuple[metadata.Signature, dict[str, Any]]]:
        """Gives the signature, and the inputs as tensors by it; remembered ones may be outdated."""
        check_shapes = self._settings.check_shapes
        remembered = self._metadata.get((version, version_label))
        if remembered is not None:
            try:
                signature = self._signature(remembered, signature_name)
                return signature, encoding.encode_inputs(signature, inputs, check_shapes)
            except errors.InputError:
                pass  # the server may have a newer version by now, with other inputs
        fresh = yield from self._fetch(version, version_label, call)
        try:
            signature = self._signature(fresh, signature_name)
            return signature, encoding.encode_inputs(signature, inputs, check_shapes)
        except errors.InputError as error:
            raise self._input_error(error) from error

    def _keep_encoder(self, asked: Hashable, start: bytes, signature: metadata.Signature) -> None:
        """Keeps what writes further requests of this kind; JSON needs the messages themselves."""
        if self._settings.is_rest:
            return
        if len(self._encoders) >= _MAX_ENCODERS:
            self._encoders.clear()
        self._encoders[asked] = predict_bytes.PredictEncoder(
            start, signature, self._settings.check_shapes
        )

    def _remembered(
        self,
        names: Iterable[str],
        version: Optional[int],
        version_label: Optional[str],
        call: calls.Call,
    ) -> steps.Conversation[metadata.ModelMetadata]:
        """Gives the remembered signatures if all those named are among them; asks anew otherwise."""
        remembered = self._metadata.get((version, version_label))
        if remembered is not None and remembered.signatures.keys() >= set(names):
            return remembered
        return (yield from self._fetch(version, version_label, call))

    def _fetch(
        self, version: Optional[int], version_label: Optional[str], call: calls.Call
    ) -> steps.Conversation[metadata.ModelMetadata]:
        """Gives the signatures of a version, and remembers them."""
        request = wire.GetModelMetadataRequest(metadata_field=[wire.SIGNATURE_DEF])
        self._fill_spec(request.model_spec, version, version_label)
        found = yield from self._ask_metadata(request, call)
        self._metadata[version, version_label] = found
        self._encoders.clear()
        return found

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

    def _forget_metadata_of_other(
        self, spec: Any, version: Optional[int], version_label: Optional[str]
    ) -> None:
        """Drops the remembered signatures if another version than theirs answered."""
        remembered = self._metadata.get((version, version_label))
        if not spec.HasField("version"):
            return  # REST does not say
        if remembered is not None and remembered.version != spec.version.value:
            self._metadata.pop((version, version_label), None)
            self._encoders.clear()

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


def _read_classes(result: Any) -> list[list[tuple[str, float]]]:
    """Returns a ClassificationResult as lists."""
    return [
        [(one.label, one.score) for one in classifications.classes]
        for classifications in result.classifications
    ]


def _read_values(result: Any) -> list[float]:
    """Returns a RegressionResult as a list."""
    return [one.value for one in result.regressions]


def _describe(status: metadata.VersionStatus) -> str:
    """Returns one version's state in words."""
    reason = f" ({status.error_message})" if status.error_message else ""
    return f"version {status.version} is {status.state}{reason}"
