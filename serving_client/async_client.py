"""AsyncPredictionClient: what PredictionClient does, for asyncio."""

import asyncio
import time
from typing import Any, Awaitable, Callable, Iterable, Mapping, Optional, TypeVar, Union, Unpack

import numpy as np

from serving_client import calls, conversations, errors, grpc_channels, metadata
from serving_client import settings as settings_lib
from serving_client import steps

Result = TypeVar("Result")


class AsyncPredictionClient:
    """Asks one model from coroutines of one loop; see `client.PredictionClient` for the arguments.

    A call that is cancelled is cancelled at the server too, over gRPC.

        async with serving_client.AsyncPredictionClient("localhost:8500", "census") as client:
            answers = await asyncio.gather(*[client.predict({"age": [n]}) for n in range(100)])
    """

    def __init__(
        self,
        settings: Union[settings_lib.ClientSettings, str],
        model: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Opens nothing yet: connections belong to the loop of the first call.

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

            self._transport = rest_connections.AsyncRestConnections(settings)
        else:
            self._transport = grpc_channels.AsyncGrpcChannels(settings)
        self._sleep = sleep
        self._closed = False

    async def __aenter__(self) -> "AsyncPredictionClient":
        return self

    async def __aexit__(self, *unused: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections and ends the calls that are under way; may be called twice."""
        self._closed = True
        await self._transport.close()

    async def predict(
        self,
        inputs: Mapping[str, Any],
        signature_name: str = "",
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        output_filter: Iterable[str] = (),
        **options: Unpack[calls.CallOptions],
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name."""
        return await self._run(
            self._conversations.predict(
                inputs, signature_name, version, version_label, output_filter, options
            )
        )

    async def predict_request(self, request: Any, **options: Unpack[calls.CallOptions]) -> Any:
        """Returns the PredictResponse to a PredictRequest."""
        return await self._run(self._conversations.predict_request(request, options))

    async def classify(
        self,
        examples: Iterable[Any],
        signature_name: str = "",
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        **options: Unpack[calls.CallOptions],
    ) -> list[list[tuple[str, float]]]:
        """Returns the classes of each example as (label, score), in the model's order."""
        return await self._run(
            self._conversations.classify(examples, signature_name, version, version_label, options)
        )

    async def regress(
        self,
        examples: Iterable[Any],
        signature_name: str = "",
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        **options: Unpack[calls.CallOptions],
    ) -> list[float]:
        """Returns the value of each example."""
        return await self._run(
            self._conversations.regress(examples, signature_name, version, version_label, options)
        )

    async def multi_inference(
        self,
        examples: Iterable[Any],
        signature_names: Iterable[str],
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        **options: Unpack[calls.CallOptions],
    ) -> dict[str, conversations.Inferences]:
        """Returns the answers of several signatures to the same examples."""
        return await self._run(
            self._conversations.multi_inference(
                examples, signature_names, version, version_label, options
            )
        )

    async def model_metadata(
        self,
        version: Optional[int] = None,
        version_label: Optional[str] = None,
        **options: Unpack[calls.CallOptions],
    ) -> metadata.ModelMetadata:
        """Returns the signatures of a version, asked anew at every call."""
        return await self._run(self._conversations.model_metadata(version, version_label, options))

    async def model_status(
        self, version: Optional[int] = None, **options: Unpack[calls.CallOptions]
    ) -> list[metadata.VersionStatus]:
        """Returns the state of one version, or of all that the server has seen, newest first."""
        return await self._run(self._conversations.model_status(version, options))

    async def list_models(
        self, **options: Unpack[calls.CallOptions]
    ) -> dict[str, list[metadata.VersionStatus]]:
        """Returns the states of every model's versions, by the model's name, as PredictionClient does."""
        return await self._run(self._conversations.list_models(options))

    async def reload_config(self, config: Any, **options: Unpack[calls.CallOptions]) -> None:
        """Replaces the configuration of every address."""
        await self._run(self._conversations.reload_config(config, options))

    async def wait_until_available(self, timeout_secs: float, version: Optional[int] = None) -> int:
        """Waits until a version answers and returns its number, the highest of several."""
        return await self._run(self._conversations.wait_until_available(timeout_secs, version))

    async def _run(self, conversation: steps.Conversation[Result]) -> Result:
        """Returns the result of a conversation."""
        if self._closed:
            raise errors.closed(self.model, self.settings.shown_address)
        return await steps.run_async(conversation, self._transport.send, self._sleep)
