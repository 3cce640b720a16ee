"""Calls to the servers of one model: their options, their repetitions, their errors."""

import time
from typing import Any, Callable, Iterator, NamedTuple, Optional, TypedDict

import grpc

from serving_client import errors, metadata, retry
from serving_client import rotation as rotation_lib
from serving_client import settings as settings_lib
from serving_client import steps


class CallOptions(TypedDict, total=False):
    """What one call may have otherwise than the client's settings.

    Attributes:
        timeout_secs: Its deadline, with all its requests and their repetitions, in seconds.
        headers: Sent with it, on top of the settings'.
        compression: Of its requests.
    """

    timeout_secs: float
    headers: settings_lib.Headers
    compression: str


class Call(NamedTuple):
    """CallOptions without gaps, and when the call began.

    Attributes:
        timeout_secs: As the caller gave it.
        headers: See CallOptions.
        compression: See CallOptions.
        end: The clock's time at which it is over, of all its requests together.
    """

    timeout_secs: float
    headers: settings_lib.Headers
    compression: str
    end: float


class Calls:
    """Asks the servers that the settings name. Threads may share it."""

    def __init__(
        self,
        settings: settings_lib.ClientSettings,
        model: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Asks nothing yet.

        Args:
            settings: Whom to ask, and how patiently.
            model: The model's name, for errors.
            clock: Returns the time in seconds.
        """
        self._settings = settings
        self._model = model
        self._clock = clock
        self._rotation = rotation_lib.Rotation(
            settings.addresses, settings.balance, settings.retry_max_wait_secs, clock
        )
        self._budget = retry.Budget(
            settings.retry_budget_per_sec, settings.retry_budget_share, clock
        )

    def options(self, options: CallOptions) -> Call:
        """Returns the options of one call that begins now, checked.

        Raises:
            errors.InputError: One of them has no such name or value.
        """
        settings = self._settings
        now = self._clock()
        secs = settings.timeout_secs
        call = Call(secs, {}, settings.compression, now + secs)
        if not options:
            return call
        try:
            call = call._replace(**options)
            settings_lib.check_headers(call.headers, self._settings.is_rest)
            settings_lib.check_compression(call.compression, self._settings.is_rest)
        except ValueError as error:
            raise errors.InputError(str(error)) from error
        if not call.timeout_secs > 0:
            raise errors.InputError(f"timeout_secs must be above 0; got {call.timeout_secs!r}.")
        return call._replace(end=now + call.timeout_secs)

    def ask(
        self,
        method: str,
        request: Any,
        call: Call,
        signature: Optional[metadata.Signature] = None,
    ) -> steps.Conversation[Any]:
        """Gives the response to a request of a call, repeated as the settings say."""
        settings = self._settings
        left_secs = self._left_secs(call, settings.shown_address)
        asked = ""

        def make_step(address: str, left_secs: float) -> steps.Send:
            nonlocal asked
            asked = address
            return steps.Send(
                address, method, request, left_secs, call.headers, call.compression, signature
            )

        try:
            return (
                yield from retry.attempts(
                    make_step,
                    self._rotation,
                    self._budget,
                    self._pauses,
                    left_secs,
                    settings.retry_timeout_secs,
                    self._is_retryable,
                    self._clock,
                )
            )
        except grpc.RpcError as error:
            raise errors.from_rpc_error(error, self._model, asked, call.timeout_secs) from error

    def ask_once(
        self, address: str, method: str, request: Any, call: Call
    ) -> steps.Conversation[Any]:
        """Gives the response of one address to a request that is not repeated."""
        left_secs = self._left_secs(call, address)
        step = steps.Send(address, method, request, left_secs, call.headers, call.compression, None)
        try:
            return (yield step)
        except grpc.RpcError as error:
            raise errors.from_rpc_error(error, self._model, address, call.timeout_secs) from error

    def _left_secs(self, call: Call, address: str) -> float:
        """Returns the seconds that a call has left for its next request.

        Raises:
            errors.DeadlineError: None; no request is sent then.
        """
        left_secs = call.end - self._clock()
        if left_secs <= 0:
            late = grpc.StatusCode.DEADLINE_EXCEEDED
            raise errors.from_code(late, "", self._model, address, call.timeout_secs)
        return left_secs

    def _pauses(self) -> Iterator[float]:
        """Returns the waits of one call."""
        settings = self._settings
        return retry.waits(settings.retry_first_wait_secs, settings.retry_max_wait_secs)

    def _is_retryable(self, error: grpc.RpcError) -> bool:
        """Says whether the settings have a call repeated after this."""
        return retry.is_retryable(error, self._settings.retry_overloaded)
