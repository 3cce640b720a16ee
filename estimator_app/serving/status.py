"""Our errors as gRPC statuses: the one place where a ServableError leaves the server."""

import logging
from typing import Any, Callable, NoReturn

import grpc

from export import errors

_logger = logging.getLogger(__name__)

_STATUS_CODES = {status.value[0]: status for status in grpc.StatusCode}
# TF Serving: grpc_status_util.cc.
_MAX_MESSAGE_BYTES = 1024
_TRUNCATED = b"...TRUNCATED"
# A limit of more than a month is none; the runtime counts in microseconds from now.
_MAX_TIMEOUT_MS = 2**31 - 1


def status_code(code: errors.Code) -> grpc.StatusCode:
    """The gRPC status of the same number."""
    return _STATUS_CODES[int(code)]


def details(message: str) -> bytes:
    """The message as bytes, cut after 1024 of them as the stock server does."""
    encoded = message.encode("utf-8", "surrogateescape")
    if len(encoded) <= _MAX_MESSAGE_BYTES:
        return encoded
    return encoded[:_MAX_MESSAGE_BYTES] + _TRUNCATED


def printable(message: str) -> str:
    """The message with bytes that are not UTF-8 replaced, for fields that hold text only."""
    return message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def timeout_ms(context: grpc.ServicerContext) -> int:
    """Milliseconds left to the call, at least 1; 0 if it has no deadline."""
    left_secs = context.time_remaining()
    if left_secs is None:
        return 0
    return int(min(max(left_secs * 1000, 1), _MAX_TIMEOUT_MS))


def behavior(
    method: Callable[[Any, int], Any],
) -> Callable[[Any, grpc.ServicerContext], Any]:
    """Makes a gRPC behaviour of `method(request, timeout_ms) -> response`; see `guarded`."""
    return guarded(lambda request, context: method(request, timeout_ms(context)))


def guarded(
    method: Callable[[Any, grpc.ServicerContext], Any],
) -> Callable[[Any, grpc.ServicerContext], Any]:
    """Makes a gRPC behaviour of `method(request, context) -> response`.

    A ServableError becomes the call's status. Anything else is our own mistake: it is logged, and
    the caller gets `INTERNAL`. A call whose caller went away, or whose deadline passed, while it
    waited for a thread is not run.
    """

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        if not context.is_active():
            _abort(context, errors.Code.CANCELLED, "The caller has gone.")
        try:
            return method(request, context)
        except errors.ServableError as error:
            _abort(context, error.code, error.message)
        except Exception as error:
            _logger.exception("A call failed unexpectedly")
            _abort(context, errors.Code.INTERNAL, f"{type(error).__name__}: {error}")

    return answer


def _abort(context: grpc.ServicerContext, code: errors.Code, message: str) -> NoReturn:
    # The annotation asks for a string, but the message may quote bytes that are none; grpc sends
    # bytes as they are.
    context.abort(status_code(code), details(message))  # type: ignore[arg-type]
    raise AssertionError("abort does not return")
