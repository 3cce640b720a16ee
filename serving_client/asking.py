"""Asking batches of rows until they are answered: patient with the server, strict or lenient with rows."""

import dataclasses
import threading
import time
from typing import Callable, Optional, Sequence

import grpc

from serving_client import errors, questions, retry
from serving_client import rows as rows_lib

_FIRST_WAIT_SECS = 0.2
_MAX_WAIT_SECS = 5.0
# The server is away, starts again, or has too much to do; the same request may succeed later.
_PASSING = (
    errors.UnavailableError,
    errors.DeadlineError,
    errors.OverloadedError,
    errors.NotFoundError,
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one row.

    Attributes:
        row: The row.
        answer: What the model says of it; None if it could not be asked.
        reason: Why it could not be asked, in a sentence; "" if it was.
    """

    row: rows_lib.Row
    answer: Optional[questions.Answer]
    reason: str = ""


class Asker:
    """Asks batches; threads may share it.

    A request that fails because of the server is repeated with growing waits, for some time. One that
    fails because of its rows is not: either that is an error, or the batch is halved until the rows
    are found that cannot be answered. A batch too large for a message is halved in both cases.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[rows_lib.Row]], list[questions.Answer]],
        *,
        lenient: bool,
        retry_secs: float,
        on_wait: Callable[[errors.ClientError], None] = lambda error: None,
        stopped: Optional[threading.Event] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Asks nothing yet.

        Args:
            ask: Returns the answer to each row of a batch, or raises an error of this package.
            lenient: Whether rows that cannot be answered are outcomes, not errors.
            retry_secs: For how long a request is repeated, in seconds.
            on_wait: Told of the error before each wait.
            stopped: Ends all waits once it is set; requests that fail from then on are not repeated.
            clock: Returns the time in seconds.
        """
        self._ask = ask
        self._lenient = lenient
        self._retry_secs = retry_secs
        self._on_wait = on_wait
        self._clock = clock
        self._stopped = stopped or threading.Event()

    def outcomes(self, batch: Sequence[rows_lib.Row]) -> list[Outcome]:
        """Returns what became of each row of a batch, in order.

        Raises:
            errors.ClientError: The server failed for too long, or, unless lenient, a row was wrong.
        """
        found = {}
        readable = []
        for row in batch:
            if not row.problem:
                readable.append(row)
            elif self._lenient:
                found[row.number] = Outcome(row, None, row.problem)
            else:
                raise errors.InputError(row.problem)
        if readable:
            for outcome in self._halving(readable):
                found[outcome.row.number] = outcome
        return [found[row.number] for row in batch]

    def _halving(self, batch: Sequence[rows_lib.Row]) -> list[Outcome]:
        """Returns what became of rows that can be read."""
        try:
            answers = self._patiently(batch)
        except errors.ClientError as error:
            too_large = errors.is_too_large(error.code, error.details)
            if not too_large and not (self._lenient and _is_of_rows(error)):
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                return self._halving(batch[:middle]) + self._halving(batch[middle:])
            if not self._lenient:
                raise
            return [Outcome(batch[0], None, str(error))]
        return [Outcome(row, answer) for row, answer in zip(batch, answers, strict=True)]

    def _patiently(self, batch: Sequence[rows_lib.Row]) -> list[questions.Answer]:
        """Returns the answers; asks again for some time while the server is away."""
        pauses = retry.waits(_FIRST_WAIT_SECS, _MAX_WAIT_SECS)
        end = None
        while True:
            try:
                return self._ask(batch)
            except _PASSING as error:
                pause_secs = next(pauses)
                if end is None:
                    end = self._clock() + self._retry_secs
                too_large = errors.is_too_large(error.code, error.details)
                if too_large or self._clock() + pause_secs > end:
                    raise
                self._on_wait(error)
                if self._stopped.wait(pause_secs):
                    raise


def _is_of_rows(error: errors.ClientError) -> bool:
    """Says whether the rows are at fault, or may be: a model can also fail on a single one."""
    return isinstance(error, (errors.InputError, errors.RefusedError)) or error.code in (
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    )
