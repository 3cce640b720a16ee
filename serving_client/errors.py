"""What can go wrong with a call, as one tree.

    ClientError                     model, address, timeout_secs, code, details
      RequestError                  the request was wrong; sending it again will not help
        InputError                  found by this client, before anything was sent
        RefusedError                the server says so: INVALID_ARGUMENT, FAILED_PRECONDITION, ...
        NotFoundError               no such model or version, or not loaded yet
        UnsupportedError            the server does not have this call
        AccessError                 UNAUTHENTICATED, PERMISSION_DENIED
      ServerError                   the request may be right; INTERNAL and every other code
        UnavailableError            nobody listens at the address, or the server goes away
        DeadlineError               no answer in time
        OverloadedError             RESOURCE_EXHAUSTED: a full queue, or a message too large

Messages are one sentence each, with the address and what to check.
"""

from typing import Optional

import grpc


class ClientError(Exception):
    """Base of all errors of this package.

    Attributes:
        model: Name of the model that was asked, or None.
        address: The server's address, or None if none was involved.
        timeout_secs: The deadline that the call had, in seconds, or None.
        code: gRPC's status code, or what REST's status stands for; None if no server answered.
        details: The server's own text, or "".
    """

    def __init__(
        self,
        message: str,
        *,
        model: Optional[str] = None,
        address: Optional[str] = None,
        timeout_secs: Optional[float] = None,
        code: Optional[grpc.StatusCode] = None,
        details: str = "",
    ) -> None:
        super().__init__(message)
        self.model = model
        self.address = address
        self.timeout_secs = timeout_secs
        self.code = code
        self.details = details


class RequestError(ClientError):
    """The request was wrong."""


class InputError(RequestError, ValueError):
    """The inputs do not fit the model; nothing was sent."""


class RefusedError(RequestError):
    """The server refused the request."""


class NotFoundError(RequestError):
    """The server has no such model or version that is ready."""


class UnsupportedError(RequestError):
    """The server does not have this call."""


class AccessError(RequestError):
    """The server does not let this caller in."""


class ServerError(ClientError):
    """The server failed, or did not answer."""


class UnavailableError(ServerError):
    """Nobody answers at the address."""


class DeadlineError(ServerError):
    """No answer within the deadline."""


class OverloadedError(ServerError):
    """The server, or a limit on the way, does not take this much now."""


# code -> (class, sentence); details end in no full stop of their own.
_BY_CODE: dict[grpc.StatusCode, tuple[type[ClientError], str]] = {
    grpc.StatusCode.UNAVAILABLE: (
        UnavailableError,
        "No server answers at {address} (deadline {timeout_secs:g} s): {details}; check that it "
        "runs and that this is its {port}.",
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        DeadlineError,
        "The server at {address} did not answer for model {model!r} within the deadline of "
        "{timeout_secs:g} s; check that it is not overloaded, or allow more time.",
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        OverloadedError,
        "The server at {address} cannot take this request for model {model!r}: {details}; send "
        "smaller batches or fewer at a time.",
    ),
    grpc.StatusCode.NOT_FOUND: (
        NotFoundError,
        "The server at {address} has no such model or version ready for model {model!r}: "
        "{details}; check the name, or wait until it is loaded.",
    ),
    grpc.StatusCode.UNIMPLEMENTED: (
        UnsupportedError,
        "The server at {address} does not support this call for model {model!r}: {details}.",
    ),
    grpc.StatusCode.UNAUTHENTICATED: (
        AccessError,
        "The server at {address} does not let this caller in: {details}.",
    ),
    grpc.StatusCode.PERMISSION_DENIED: (
        AccessError,
        "The server at {address} does not let this caller use model {model!r}: {details}.",
    ),
}
for _code in (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
):
    _BY_CODE[_code] = (
        RefusedError,
        "The server at {address} refused the request for model {model!r}: {details}.",
    )
_OTHER = (
    ServerError,
    "The server at {address} failed on the request for model {model!r} ({code}): {details}.",
)


def from_rpc_error(
    error: grpc.RpcError, model: str, address: str, timeout_secs: float
) -> ClientError:
    """Returns our error for one of gRPC's.

    Args:
        error: What a call raised; it has code() and details().
        model: Name of the model that was asked.
        address: The server's address.
        timeout_secs: The deadline that the call had, in seconds.
    """
    return from_code(error.code(), error.details() or "", model, address, timeout_secs)


def from_number(
    number: int, details: str, model: str, address: str, timeout_secs: float
) -> ClientError:
    """Returns our error for the number of a code, as messages carry it; see `from_rpc_error`."""
    codes = {code.value[0]: code for code in grpc.StatusCode}
    code = codes.get(number, grpc.StatusCode.UNKNOWN)
    return from_code(code, details, model, address, timeout_secs)


def from_code(
    code: grpc.StatusCode, details: str, model: str, address: str, timeout_secs: float
) -> ClientError:
    """Returns our error for one of gRPC's codes with the server's text; see `from_rpc_error`."""
    line = " ".join((details or "no details given").split())  # one line, also of two
    ports = ("gRPC port, not its REST port", "REST port, not its gRPC port")
    cls, sentence = _BY_CODE.get(code, _OTHER)
    message = sentence.format(
        address=address,
        model=model,
        timeout_secs=timeout_secs,
        code=code.name,
        details=line.rstrip("."),
        port=ports[address.startswith(("http://", "https://"))],
    )
    return cls(
        message,
        model=model,
        address=address,
        timeout_secs=timeout_secs,
        code=code,
        details=details,
    )


def is_too_large(code: Optional[grpc.StatusCode], details: str) -> bool:
    """Says whether a message was beyond a limit of either side, however often it is sent.

    Args:
        code: gRPC's code of the failure.
        details: gRPC's own words, "Received message larger than max", or what `rest_messages` writes
            for HTTP's status 413.
    """
    return code is grpc.StatusCode.RESOURCE_EXHAUSTED and (
        "message larger than max" in details or details.startswith("HTTP status 413: ")
    )


def closed(model: str, address: str) -> ClientError:
    """Returns the error for a call of a client that is closed."""
    return ClientError(
        f"This client for {address} is closed; open a new one.", model=model, address=address
    )
