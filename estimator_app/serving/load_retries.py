"""Which loads of a model failed, and when each is tried again."""

from collections.abc import Callable
import dataclasses

from export import errors

# However often a wait between two tries has grown.
_LONGEST_WAIT_SECS = 86_400.0


@dataclasses.dataclass
class _Failure:
    """How often a load is still tried again, not before when, how long after the next failure, and why."""

    tries_left: int
    due: float
    next_wait_secs: float
    error: errors.ServableError


class LoadRetries:
    """The failed loads that will be tried again. It has no lock: one thread changes it."""

    def __init__(
        self, most: int, wait_secs: float, multiplier: float, clock: Callable[[], float]
    ) -> None:
        """Knows of no failure yet.

        Args:
            most: how often a failed load is tried again.
            wait_secs: seconds before the first further try; 0 or less for none.
            multiplier: how many times the wait before each further wait is; none is longer than a day.
            clock: gives the time in seconds.
        """
        self._most = most
        self._wait_secs = wait_secs
        self._multiplier = multiplier
        self._clock = clock
        self._waiting: dict[int, _Failure] = {}
        self._under_way: dict[int, _Failure] = {}

    @property
    def versions(self) -> list[int]:
        """Those that wait for another try."""
        return list(self._waiting)

    @property
    def due(self) -> float:
        """When the next try is due; infinity if none is."""
        return min((failure.due for failure in self._waiting.values()), default=float("inf"))

    def error(self, version: int) -> errors.ServableError | None:
        """Why the last try failed of a version that waits for another one; None for others."""
        failure = self._waiting.get(version)
        return None if failure is None else failure.error

    def is_due(self, version: int) -> bool:
        """Whether the version may be tried now: it does not wait, or long enough."""
        failure = self._waiting.get(version)
        return failure is None or failure.due <= self._clock()

    def begin(self, version: int) -> bool:
        """Notes that a try begins; returns whether it is the first one."""
        failure = self._waiting.pop(version, None)
        if failure is not None:
            self._under_way[version] = failure
        return failure is None

    def fail(self, version: int, error: errors.ServableError) -> bool:
        """Notes that the try failed; returns whether there will be another one."""
        before = self._under_way.pop(version, None)
        tries_left = self._most if before is None else before.tries_left
        if not tries_left:
            return False
        wait = self._wait_secs if before is None else before.next_wait_secs
        wait = min(max(wait, 0), _LONGEST_WAIT_SECS)
        self._waiting[version] = _Failure(
            tries_left - 1, self._clock() + wait, wait * self._multiplier, error
        )
        return True

    def drop(self, version: int) -> None:
        """Forgets the failures of a version: it was loaded, or is wanted no more."""
        self._waiting.pop(version, None)
        self._under_way.pop(version, None)
