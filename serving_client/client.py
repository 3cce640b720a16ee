"""PredictionClient: one model on one server that speaks TensorFlow Serving's API."""

import time
from typing import Any, Callable, Iterable, Mapping, Optional, Union

import grpc
import numpy as np

from serving_client import encoding, errors, metadata, retry
from serving_client import settings as settings_lib
from serving_client import wire

_AVAILABLE = "AVAILABLE"
_WAITING_PAUSE_SECS = 0.25


class PredictionClient:
    """Asks one model; keeps one channel open until closed. Threads may share it.

    Every call takes a version number, or a label that the server's configuration gives to one;
    without both, the newest version that is available answers. Every call may raise the errors of
    `serving_client.errors`, and each is repeated while the server is unavailable, within the
    times of the settings.

        with serving_client.PredictionClient("localhost:8500", "census") as client:
            client.wait_until_available(timeout_secs=30)
            answer = client.predict({"age": [39.0]}, signature_name="tensors:predict")
    """

    def __init__(
        self,
        settings: Union[settings_lib.ClientSettings, str],
        model: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Opens a channel; the server is first contacted by the first call.

        Args:
            settings: Settings, or the address alone.
            model: The model's name on the server.
            clock: Returns the time in seconds.
            sleep: Waits for some seconds.
        """
        if isinstance(settings, str):
            settings = settings_lib.ClientSettings(address=settings)
        if not model:
            raise errors.InputError("A client needs the model's name on the server; got ''.")
        self.settings = settings
        self.model = model
        self._clock = clock
        self._sleep = sleep
        self._metadata: dict[tuple[Optional[int], Optional[str]], metadata.ModelMetadata] = {}
        self._channel = grpc.insecure_channel(settings.address, _channel_options(settings))
        self._calls = {
            name: self._channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            for name, method in wire.METHODS.items()
        }
        self._closed = False

    def __enter__(self) -> "PredictionClient":
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel and ends the calls that are under way; may be called twice."""
        self._closed = True
        self._channel.close()

    # --------------------------------------------------------------------------------- questions

    def predict(
        self,
        inputs: Mapping[str, Any],
        signature_name: str = "",
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        output_filter: Iterable[str] = (),
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name.

        The signature is fetched once a version, and values are encoded by its dtypes.

        Args:
            inputs: Array or nested list by input name, commonly with one row an example; shapes are
                those of the signature.
            signature_name: Which signature; empty is `serving_default`.
            version: Number of the version, or None.
            version_label: Label of the version, or None.
            output_filter: Names of the outputs to compute; none given computes all.

        Raises:
            errors.InputError: An input is missing, unknown, or does not fit its dtype.
        """
        request = wire.PredictRequest(output_filter=list(output_filter))
        self._fill_spec(request.model_spec, version, version_label, signature_name)
        for name, tensor in self._encode(inputs, signature_name, version, version_label).items():
            request.inputs[name].CopyFrom(tensor)
        response = self.predict_request(request)
        self._forget_metadata_of_other(response.model_spec, version, version_label)
        try:
            return {name: wire.to_array(one) for name, one in sorted(response.outputs.items())}
        except wire.TensorError as error:
            raise errors.ServerError(
                f"The server at {self.settings.address} answered for model {self.model!r} with an "
                f"output that cannot be read: {error}",
                **self._context(),
            ) from error

    def predict_request(self, request: Any) -> Any:
        """Returns the PredictResponse to a PredictRequest.

        Args:
            request: Ours or TensorFlow Serving's; an empty model name is filled in.
        """
        return self._call("Predict", self._with_model(request, wire.PredictRequest))

    def classify(
        self,
        examples: Iterable[Any],
        signature_name: str = "",
        version: Optional[int] = None,
        version_label: Optional[str] = None,
    ) -> list[list[tuple[str, float]]]:
        """Returns the classes of each example as (label, score), in the model's order.

        Args:
            examples: Values by feature name, one mapping an example; see `make_example`.
            signature_name: Which signature; empty is `serving_default`.
            version: Number of the version, or None.
            version_label: Label of the version, or None.
        """
        request = wire.ClassificationRequest()
        self._fill_spec(request.model_spec, version, version_label, signature_name)
        request.input.example_list.examples.extend(map(encoding.make_example, examples))
        response = self._call("Classify", request)
        return [
            [(one.label, one.score) for one in result.classes]
            for result in response.result.classifications
        ]

    def regress(
        self,
        examples: Iterable[Any],
        signature_name: str = "",
        version: Optional[int] = None,
        version_label: Optional[str] = None,
    ) -> list[float]:
        """Returns the value of each example; the arguments are those of `classify`."""
        request = wire.RegressionRequest()
        self._fill_spec(request.model_spec, version, version_label, signature_name)
        request.input.example_list.examples.extend(map(encoding.make_example, examples))
        return [one.value for one in self._call("Regress", request).result.regressions]

    def model_metadata(
        self, version: Optional[int] = None, version_label: Optional[str] = None
    ) -> metadata.ModelMetadata:
        """Returns the signatures of a version, asked anew at every call."""
        request = wire.GetModelMetadataRequest(metadata_field=[wire.SIGNATURE_DEF])
        self._fill_spec(request.model_spec, version, version_label)
        try:
            found = metadata.from_metadata_response(self._call("GetModelMetadata", request))
        except ValueError as error:
            raise errors.ServerError(
                f"The server at {self.settings.address} answered for model {self.model!r} with "
                f"metadata that cannot be read: {error}",
                **self._context(),
            ) from error
        self._metadata[version, version_label] = found
        return found

    def model_status(self, version: Optional[int] = None) -> list[metadata.VersionStatus]:
        """Returns the state of one version, or of all that the server has seen, newest first."""
        request = wire.GetModelStatusRequest()
        self._fill_spec(request.model_spec, version, None)
        return metadata.from_status_response(self._call("GetModelStatus", request))

    def wait_until_available(self, timeout_secs: float, version: Optional[int] = None) -> int:
        """Waits until a version answers and returns its number, the highest of several.

        A server that does not listen yet and a model that it does not know yet are waited for.

        Args:
            timeout_secs: How long to wait at most, in seconds.
            version: The version to wait for; None is any.

        Raises:
            errors.DeadlineError: None was available in time; says what was.
        """
        end = self._clock() + timeout_secs
        while True:
            left_secs = end - self._clock()
            state = "no answer yet"
            if left_secs > 0:
                try:
                    found = self._status_once(version, left_secs)
                except (errors.NotFoundError, errors.UnavailableError, errors.DeadlineError) as e:
                    state = e.details or "no answer"
                else:
                    available = [one.version for one in found if one.state == _AVAILABLE]
                    if available:
                        return max(available)
                    state = "; ".join(map(_describe, found)) or "it has no versions"
            if end - self._clock() <= _WAITING_PAUSE_SECS:
                raise errors.DeadlineError(
                    f"Model {self.model!r} at {self.settings.address} was not available within "
                    f"{timeout_secs:g} s: {state.rstrip('.')}.",
                    **self._context(timeout_secs),
                )
            self._sleep(_WAITING_PAUSE_SECS)

    # ----------------------------------------------------------------------------------- innards

    def _encode(
        self,
        inputs: Mapping[str, Any],
        signature_name: str,
        version: Optional[int],
        version_label: Optional[str],
    ) -> dict[str, Any]:
        """Returns the inputs as tensors by the signature; remembered signatures may be outdated."""
        remembered = self._metadata.get((version, version_label))
        if remembered is not None:
            try:
                return encoding.encode_inputs(self._signature(remembered, signature_name), inputs)
            except errors.InputError:
                pass  # the server may have a newer version by now, with other inputs
        fresh = self.model_metadata(version, version_label)
        try:
            return encoding.encode_inputs(self._signature(fresh, signature_name), inputs)
        except errors.InputError as error:
            raise errors.InputError(f"Model {self.model!r}: {error}", **self._context()) from error

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
        if remembered is not None and remembered.version != spec.version.value:
            self._metadata.pop((version, version_label), None)

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
        spec.name = self.model
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
            filled.model_spec.name = self.model
            return filled
        return request

    def _call(self, name: str, request: Any) -> Any:
        """Returns the response to a call, repeated as the settings say."""
        settings = self.settings
        return self._attempt(
            lambda: retry.call(
                lambda left_secs: self._calls[name](request, timeout=left_secs),
                retry.waits(settings.retry_first_wait_secs, settings.retry_max_wait_secs),
                settings.timeout_secs,
                settings.retry_timeout_secs,
                clock=self._clock,
                sleep=self._sleep,
            ),
            settings.timeout_secs,
        )

    def _status_once(
        self, version: Optional[int], timeout_secs: float
    ) -> list[metadata.VersionStatus]:
        """Returns what `model_status` does, asked a single time."""
        request = wire.GetModelStatusRequest()
        self._fill_spec(request.model_spec, version, None)
        timeout_secs = min(timeout_secs, self.settings.timeout_secs)
        call = self._calls["GetModelStatus"]
        response = self._attempt(lambda: call(request, timeout=timeout_secs), timeout_secs)
        return metadata.from_status_response(response)

    def _attempt(self, function: Callable[[], Any], timeout_secs: float) -> Any:
        """Returns what function does; gRPC's errors become ours."""
        if self._closed:
            raise errors.ClientError(
                f"This client for {self.settings.address} is closed; open a new one.",
                **self._context(),
            )
        try:
            return function()
        except grpc.RpcError as error:
            raise errors.from_rpc_error(
                error, self.model, self.settings.address, timeout_secs
            ) from error

    def _context(self, timeout_secs: Optional[float] = None) -> dict[str, Any]:
        """Returns what every error of this client carries."""
        return {
            "model": self.model,
            "address": self.settings.address,
            "timeout_secs": self.settings.timeout_secs if timeout_secs is None else timeout_secs,
        }


def _channel_options(settings: settings_lib.ClientSettings) -> list[tuple[str, int]]:
    """Returns gRPC's options for a channel."""
    options = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # gRPC's own pauses between two connections (1 s to 120 s) would outlast our repetitions.
        ("grpc.initial_reconnect_backoff_ms", round(settings.retry_first_wait_secs * 1000)),
        ("grpc.max_reconnect_backoff_ms", round(settings.retry_max_wait_secs * 1000)),
    ]
    host = settings.address.rpartition(":")[0]
    if host in ("localhost", "[::1]") or host.startswith("127."):
        options.append(
            ("grpc.enable_http_proxy", 0)
        )  # a proxy cannot reach this machine's own port
    return options


def _describe(status: metadata.VersionStatus) -> str:
    """Returns one version's state in words."""
    reason = f" ({status.error_message})" if status.error_message else ""
    return f"version {status.version} is {status.state}{reason}"
