"""Requests that are no message, refused without harm.

gRPC's Python server never frees a call whose deserializer raised: 16 KiB each. Here a deserializer raises nothing, and
what it could not read is refused, in gRPC's own words, when it is looked at.
"""

from collections.abc import Callable, Iterable, Iterator
import functools
from typing import Any

import grpc

# A request that is no message.
_UNREADABLE = object()


def reading(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """The deserializer, but without exceptions."""

    def read(data: bytes) -> Any:
        try:
            return data if deserializer is None else deserializer(data)
        except Exception:  # of protobuf, whose class is another in each of its versions
            return _UNREADABLE

    return read


def answering(behavior: Callable[..., Any]) -> Callable[..., Any]:
    """The behaviour of a call of one request, which is asked for messages alone."""

    # What gRPC reads from a behaviour, such as experimental_non_blocking, goes with it.
    @functools.wraps(behavior)
    def answer(request: Any, context: grpc.ServicerContext, *more: Any) -> Any:
        return behavior(_readable(request, context), context, *more)

    return answer


class AddsReadable:
    """Stands for a server while handlers are added to it, which then read what is no message without harm."""

    def __init__(self, server: grpc.Server) -> None:
        """Adds to `server`."""
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Adds the handlers."""
        self._server.add_generic_rpc_handlers([_Readable(handler) for handler in handlers])

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        """Does nothing: these are the generic ones once more, to be found faster."""


class _Readable(grpc.GenericRpcHandler):
    """A handler whose calls answer one request, or a stream by a stream."""

    def __init__(self, handler: grpc.GenericRpcHandler) -> None:
        self._handler = handler

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        found = self._handler.service(handler_call_details)
        if found is None:
            return None
        serializers = (reading(found.request_deserializer), found.response_serializer)
        if found.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(answering(found.unary_unary), *serializers)
        if found.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(answering(found.unary_stream), *serializers)
        return grpc.stream_stream_rpc_method_handler(
            _answering_stream(found.stream_stream), *serializers
        )


def _answering_stream(behavior: Callable[..., Any]) -> Callable[..., Any]:
    """The behaviour of a call of many requests, which is given messages alone."""

    @functools.wraps(behavior)
    def answer(requests: Iterator[Any], context: grpc.ServicerContext, *more: Any) -> Any:
        return behavior((_readable(request, context) for request in requests), context, *more)

    return answer


def _readable(request: Any, context: grpc.ServicerContext) -> Any:
    """The request, or an end of the call."""
    if request is _UNREADABLE:
        context.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")
    return request
