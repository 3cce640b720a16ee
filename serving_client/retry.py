"""Repeating a call while the server is unavailable.

A predicate says what is worth repeating, a generator says how long to wait, and one loop joins
them. The budget is a time, not a count.
"""

import random
import time
from typing import Callable, Iterator, TypeVar

import grpc

Result = TypeVar("Result")


def is_retryable(error: grpc.RpcError) -> bool:
    """Says whether the same call may succeed a moment later: only if nobody took it."""
    return error.code() is grpc.StatusCode.UNAVAILABLE


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


def call(
    attempt: Callable[[float], Result],
    pauses: Iterator[float],
    timeout_secs: float,
    retry_timeout_secs: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Returns the result of the first attempt that succeeds.

    Args:
        attempt: Makes the call; takes the seconds that are left to it.
        pauses: Seconds to wait before each repetition; see `waits`.
        timeout_secs: What all attempts and waits may take together, in seconds.
        retry_timeout_secs: For how many seconds from the start a new attempt may begin.
        clock: Returns the time in seconds.
        sleep: Waits for some seconds.

    Raises:
        grpc.RpcError: Of the last attempt, which is not worth repeating or came too late.
    """
    start = clock()
    budget_secs = min(timeout_secs, retry_timeout_secs)
    while True:
        try:
            return attempt(timeout_secs - (clock() - start))
        except grpc.RpcError as error:
            pause = next(pauses)
            if not is_retryable(error) or clock() - start + pause >= budget_secs:
                raise
        sleep(pause)
