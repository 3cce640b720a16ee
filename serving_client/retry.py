"""Repeating a call while a server is unavailable, at the next address if there is one.

A predicate says what is worth repeating, a generator says how long to wait, a budget says how often
all calls together may, and one loop joins them.
"""

import random
import threading
import time
from typing import Any, Callable, Iterator

import grpc

from serving_client import errors
from serving_client import rotation as rotation_lib
from serving_client import steps


def is_retryable(error: grpc.RpcError, retry_overloaded: bool = False) -> bool:
    """Says whether the same call may succeed a moment later: only if no server answered it.

    A server that was lost in the middle of a call may have taken it, and then it runs twice.

    Args:
        error: What an attempt raised.
        retry_overloaded: Whether a server that has too much to do counts as such.
    """
    code = error.code()
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_overloaded:
        return not errors.is_too_large(code, error.details() or "")
    return code is grpc.StatusCode.UNAVAILABLE


def waits(
    first_secs: float, max_secs: float, uniform: Callable[[float, float], float] = random.uniform
) -> Iterator[float]:
    """Yields how long to wait before each repetition, in seconds, without end.

    The longest possible wait doubles from first_secs to max_secs; the wait itself is drawn from the
    upper half, so that clients that lost the same server do not come back in step.
    """
    longest = min(first_secs, max_secs)
    while True:
        yield uniform(longest / 2, longest)
        longest = min(longest * 2, max_secs)


class Budget:
    """How many repetitions the calls of one client may make together. Threads may share it.

    It fills with time and with every call, and holds what ten seconds and a hundred calls give.
    """

    _SECS_KEPT = 10.0
    _CALLS_KEPT = 100

    def __init__(
        self, per_sec: float, share: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begins full.

        Args:
            per_sec: Repetitions a second, whatever the number of calls.
            share: Repetitions more for each call.
            clock: Returns the time in seconds.
        """
        self._per_sec, self._share, self._clock = per_sec, share, clock
        self._most = per_sec * self._SECS_KEPT + share * self._CALLS_KEPT
        self._left = self._most
        self._filled = clock()
        self._lock = threading.Lock()

    def add_call(self) -> None:
        """Counts a call."""
        with self._lock:
            self._left = min(self._left + self._share, self._most)

    def take(self) -> bool:
        """Takes one repetition, if there is one left."""
        with self._lock:
            now = self._clock()
            gained = (now - self._filled) * self._per_sec
            self._left, self._filled = min(self._left + gained, self._most), now
            if self._left < 1:
                return False
            self._left -= 1
            return True


def attempts(
    make_step: Callable[[str, float], steps.Send],
    rotation: rotation_lib.Rotation,
    budget: Budget,
    pauses: Callable[[], Iterator[float]],
    timeout_secs: float,
    retry_timeout_secs: float,
    retryable: Callable[[grpc.RpcError], bool] = is_retryable,
    clock: Callable[[], float] = time.monotonic,
) -> steps.Conversation[Any]:
    """Returns the answer of the first attempt that succeeds.

    Another address is tried at once; a wait comes when all have been tried.

    Args:
        make_step: Makes the step of one attempt from the address and the seconds that are left.
        rotation: Gives the addresses.
        budget: Of all calls.
        pauses: Makes the seconds to wait before each repetition; see `waits`.
        timeout_secs: What all attempts and waits may take together, in seconds.
        retry_timeout_secs: For how many seconds from the start a new attempt may begin.
        retryable: Says which failures are worth repeating.
        clock: Returns the time in seconds.

    Raises:
        grpc.RpcError: Of the last attempt, which is not worth repeating, came too late, or was one
            too many for the budget.
    """
    start = clock()
    limit_secs = min(timeout_secs, retry_timeout_secs)
    budget.add_call()
    lengths = None
    tried: set[str] = set()
    address = rotation.pick()
    assert address is not None
    while True:
        try:
            answer = yield make_step(address, timeout_secs - (clock() - start))
        except grpc.RpcError as error:
            if not retryable(error):
                raise
            rotation.failed(address)
            tried.add(address)
            other, pause = rotation.pick(tried), 0.0
            if other is None:
                lengths = lengths or pauses()
                pause = next(lengths)
            if clock() - start + pause >= limit_secs or not budget.take():
                raise
        else:
            rotation.answered(address)
            return answer
        if other is None:
            yield steps.Pause(pause)
            tried.clear()
            other = rotation.pick()
            assert other is not None
        address = other
