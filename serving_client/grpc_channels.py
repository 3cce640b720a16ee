"""Steps over gRPC: one channel an address, for threads and for asyncio."""

import asyncio
import pathlib
from typing import Any, Optional

import grpc
import grpc.aio

from serving_client import settings as settings_lib
from serving_client import steps, wire

_COMPRESSIONS = {
    "none": None,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


# How long a server may take to say that it is there.
_KEEPALIVE_TIMEOUT_MS = 5000


class GrpcChannels:
    """Channels for threads; each is opened at once and connects at its first call."""

    def __init__(self, settings: settings_lib.ClientSettings) -> None:
        """Opens a channel to every address of the settings."""
        self._metadata = _Metadata(settings.headers)
        self._channels = {address: _open(grpc, address, settings) for address in settings.addresses}
        self._calls = {address: _stubs(channel) for address, channel in self._channels.items()}
        self._closed = False

    def send(self, step: steps.Send) -> Any:
        """Returns the answer to a step.

        Raises:
            grpc.RpcError: The server, or nobody, answered.
        """
        try:
            return self._calls[step.address][step.method](
                step.request,
                timeout=step.timeout_secs,
                metadata=self._metadata.of(step),
                compression=_COMPRESSIONS[step.compression],
            )
        except ValueError as error:
            if self._closed:  # so gRPC refuses a call on a closed channel
                raise steps.ClosedError() from error
            raise

    def close(self) -> None:
        """Ends the calls that are under way."""
        self._closed = True
        for channel in self._channels.values():
            channel.close()


class AsyncGrpcChannels:
    """Channels for one loop of asyncio; each is opened by its first call, in the loop that it is for."""

    def __init__(self, settings: settings_lib.ClientSettings) -> None:
        """Opens nothing yet."""
        self._settings = settings
        self._metadata = _Metadata(settings.headers)
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._calls: dict[str, dict[str, Any]] = {}
        self._closed = False

    async def send(self, step: steps.Send) -> Any:
        """Returns the answer to a step; raises as GrpcChannels.send does."""
        if self._closed:
            raise steps.ClosedError()
        calls = self._calls.get(step.address)
        if calls is None:
            channel = _open(grpc.aio, step.address, self._settings)
            self._channels[step.address] = channel
            calls = self._calls[step.address] = _stubs(channel)
        try:
            return await calls[step.method](
                step.request,
                timeout=step.timeout_secs,
                metadata=self._metadata.of(step),
                compression=_COMPRESSIONS[step.compression],
            )
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise steps.ClosedError() from error  # close cancelled the call, nobody the task
            raise

    async def close(self) -> None:
        """Ends the calls that are under way."""
        self._closed = True
        for channel in self._channels.values():
            await channel.close()


class _Metadata:
    """Headers as gRPC takes them."""

    def __init__(self, headers: settings_lib.Headers) -> None:
        self._headers = headers
        self._pairs = _pairs(headers)

    def of(self, step: steps.Send) -> Optional[tuple[tuple[str, Any], ...]]:
        """Returns what is sent with a step; its own headers replace the settings'."""
        if not step.headers:
            return self._pairs
        return _pairs(settings_lib.merge_headers(self._headers, step.headers))


def _pairs(headers: settings_lib.Headers) -> Optional[tuple[tuple[str, Any], ...]]:
    """Returns headers as pairs with names in lower case, which gRPC demands; None without any."""
    return tuple((name.lower(), value) for name, value in headers.items()) or None


def _stubs(channel: Any) -> dict[str, Any]:
    """Returns what makes each call of `wire.METHODS` on a channel."""
    return {
        name: channel.unary_unary(
            method.path,
            request_serializer=_serialize,
            response_deserializer=method.response.FromString,
        )
        for name, method in wire.METHODS.items()
    }


def _serialize(request: Any) -> bytes:
    """Returns the bytes of a request, which may be bytes already."""
    return request if type(request) is bytes else request.SerializeToString()


def _open(kind: Any, address: str, settings: settings_lib.ClientSettings) -> Any:
    """Returns a channel to an address, of the module grpc or grpc.aio."""
    options = channel_options(address, settings)
    if settings.tls is None:
        return kind.insecure_channel(address, options)
    return kind.secure_channel(address, _credentials(settings.tls), options)


def _credentials(tls: settings_lib.TlsSettings) -> grpc.ChannelCredentials:
    """Returns the contents of the files of tls as gRPC takes them."""
    contents = [
        None if path is None else pathlib.Path(path).read_bytes()
        for path in (tls.ca_file, tls.key_file, tls.cert_file)
    ]
    return grpc.ssl_channel_credentials(*contents)


def channel_options(address: str, settings: settings_lib.ClientSettings) -> list[tuple[str, Any]]:
    """Returns gRPC's options for a channel to one address."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # gRPC's own pauses between two connections (1 s to 120 s) would outlast our repetitions.
        ("grpc.initial_reconnect_backoff_ms", round(settings.retry_first_wait_secs * 1000)),
        ("grpc.max_reconnect_backoff_ms", round(settings.retry_max_wait_secs * 1000)),
        # In spite of its name, also how long one connection may take to be made.
        ("grpc.min_reconnect_backoff_ms", round(settings.connect_timeout_secs * 1000)),
    ]
    if settings.keepalive_secs:
        options += [
            ("grpc.keepalive_time_ms", round(settings.keepalive_secs * 1000)),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    if settings.tls and settings.tls.server_name:
        options.append(("grpc.ssl_target_name_override", settings.tls.server_name))
    host = address.rpartition(":")[0]
    if host in ("localhost", "[::1]") or host.startswith("127."):
        # a proxy cannot reach this machine's own port
        options.append(("grpc.enable_http_proxy", 0))
    return options
