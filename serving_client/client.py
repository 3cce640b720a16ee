"""PredictionClient: one model on servers that speak TensorFlow Serving's API, for threads."""

import time
from typing import Any, Callable, Iterable, Mapping, Optional, TypeVar, Union, Unpack

import numpy as np

from serving_client import calls, conversations, errors, grpc_channels, metadata
from serving_client import settings as settings_lib
from serving_client import steps

Result = TypeVar("Result")


class PredictionClient:
    """Asks one model; keeps its connections open until closed. Threads may share it.

    Every call takes a version number, or a label that the server's configuration gives to one;
    without both, the newest version that is available answers. Every call takes `timeout_secs`,
    `headers` and `compression` of its own (see `calls.CallOptions`). Every call may raise
    the errors of `serving_client.errors`, and each is repeated, or passed on to the next address,
    while a server is unavailable, within the times of the settings.

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
        """Opens connections; a server is first contacted by the first call.

        Args:
            settings: Settings, or the address alone.
            model: The model's name on the server.
            clock: Returns the time in seconds.
            sleep: Waits for some seconds.
        """
        if isinstance(settings, str):
            settings = settings_lib.ClientSettings(address=settings)
        self.settings = settings
        self.model = model
        self._conversations = conversations.Conversations(settings, model, clock)
        self._transport: Any
        if settings.is_rest:
            from serving_client import rest_connections  # needed by few, with imports of its own

            self._transport = rest_connections.RestConnections(settings)
        else:
            self._transport = grpc_channels.GrpcChannels(settings)
        self._sleep = sleep
        self._closed = False

    def __enter__(self) -> "PredictionClient":
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections and ends the calls that are under way; may be called twice."""
        self._closed = True
        self._transport.close()

    def predict(
        self,
        inputs: Mapping[str, Any],
        signature_name: str = "",
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        output_filter: Iterable[str] = (),
        **options: Unpack[calls.CallOptions],
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
            **options: See `calls.CallOptions`.

        Raises:
            errors.InputError: An input is missing, unknown, or does not fit its dtype or shape.
        """
        return self._run(
            self._conversations.predict(
                inputs, signature_name, version, version_label, output_filter, options
            )
        )

    def predict_request(self, request: Any, **options: Unpack[calls.CallOptions]) -> Any:
        """Returns the PredictResponse to a PredictRequest.

        Args:
            request: Ours or TensorFlow Serving's; an empty model name is filled in.
            **options: See `calls.CallOptions`.
        """
        return self._run(self._conversations.predict_request(request, options))

    def classify(
        self,
        examples: Iterable[Any],
        signature_name: str = "",
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        **options: Unpack[calls.CallOptions],
    ) -> list[list[tuple[str, float]]]:
        """Returns the classes of each example as (label, score), in the model's order.

        Args:
            examples: Values by feature name, one mapping an example; see `make_example`.
            signature_name: Which signature; empty is `serving_default`.
            version: Number of the version, or None.
            version_label: Label of the version, or None.
            **options: See `calls.CallOptions`.
        """
        return self._run(
            self._conversations.classify(examples, signature_name, version, version_label, options)
        )

    def regress(
        self,
        examples: Iterable[Any],
        signature_name: str = "",
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        **options: Unpack[calls.CallOptions],
    ) -> list[float]:
        """Returns the value of each example; the arguments are those of `classify`."""
        return self._run(
            self._conversations.regress(examples, signature_name, version, version_label, options)
        )

    def multi_inference(
        self,
        examples: Iterable[Any],
        signature_names: Iterable[str],
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        **options: Unpack[calls.CallOptions],
    ) -> dict[str, conversations.Inferences]:
        """Returns the answers of several signatures to the same examples, from one run of the model.

        Args:
            examples: See `classify`.
            signature_names: Signatures to classify or to regress with.
            version: Number of the version, or None.
            version_label: Label of the version, or None.
            **options: See `calls.CallOptions`.

        Returns:
            What `classify` or `regress` returns, by signature.
        """
        return self._run(
            self._conversations.multi_inference(
                examples, signature_names, version, version_label, options
            )
        )

    def model_metadata(
        self,
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        **options: Unpack[calls.CallOptions],
    ) -> metadata.ModelMetadata:
        """Returns the signatures of a version, asked anew at every call."""
        return self._run(self._conversations.model_metadata(version, version_label, options))

    def model_status(
        self, version: Optional[int] = None, **options: Unpack[calls.CallOptions]
    ) -> list[metadata.VersionStatus]:
        """Returns the state of one version, or of all that the server has seen, newest first."""
        return self._run(self._conversations.model_status(version, options))

    def list_models(
        self, **options: Unpack[calls.CallOptions]
    ) -> dict[str, list[metadata.VersionStatus]]:
        """Returns the states of every model's versions, by the model's name, whatever this client's model is.

        For `estimator-serve --enable_model_list`; other servers refuse it.
        """
        return self._run(self._conversations.list_models(options))

    def reload_config(self, config: Any, **options: Unpack[calls.CallOptions]) -> None:
        """Replaces the servers' configuration: which models are served, and which of their versions.

        It goes to every address, one after the other, and is never repeated: meanwhile, somebody else
        may have replaced it.

        Args:
            config: A ModelServerConfig, ours or TensorFlow Serving's, or its text, as in a
                server's `--model_config_file`.
            **options: See `calls.CallOptions`.

        Raises:
            errors.RefusedError: A server does not take it; the addresses before have it already.
        """
        self._run(self._conversations.reload_config(config, options))

    def wait_until_available(self, timeout_secs: float, version: Optional[int] = None) -> int:
        """Waits until a version answers and returns its number, the highest of several.

        A server that does not listen yet and a model that it does not know yet are waited for. Of
        several addresses, each is waited for, until one version is available at all of them.

        Args:
            timeout_secs: How long to wait at most, in seconds.
            version: The version to wait for; None is any.

        Raises:
            errors.DeadlineError: None was available in time; says what was.
        """
        return self._run(self._conversations.wait_until_available(timeout_secs, version))

    def _run(self, conversation: steps.Conversation[Result]) -> Result:
        """Returns the result of a conversation."""
        if self._closed:
            raise errors.closed(self.model, self.settings.shown_address)
        return steps.run(conversation, self._transport.send, self._sleep)
