"""What is told of the versions of a model: where each of them is in its life."""

from collections.abc import Callable, Container
import dataclasses
import enum

from export import errors


class State(enum.IntEnum):
    """Where a version is in its life; the numbers are those of `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """The state of one version.

    Attributes:
        version: its number.
        state: END after an unload or a load that failed for good.
        error: why the load failed, else None.
    """

    version: int
    state: State
    error: errors.ServableError | None = None


class VersionStatuses:
    """Every version that this process has seen; what ended long ago may be forgotten.

    It has no lock: who shares it between threads holds one.
    """

    def __init__(self, forget_ended_secs: float, clock: Callable[[], float]) -> None:
        """Knows of no version yet.

        Args:
            forget_ended_secs: seconds after which a version in state `END` is forgotten; 0 for never.
            clock: gives the time in seconds.
        """
        self._forget_ended_secs = forget_ended_secs
        self._clock = clock
        self._statuses: dict[int, VersionStatus] = {}
        self._ended: dict[int, float] = {}

    def get(self, version: int) -> VersionStatus | None:
        """The status of a version, None if it was not seen."""
        return self._statuses.get(version)

    def state(self, version: int) -> State | None:
        """The state of a version, None if it was not seen."""
        status = self._statuses.get(version)
        return None if status is None else status.state

    def set(self, status: VersionStatus) -> None:
        """Sets the status of a version."""
        self._statuses[status.version] = status
        if status.state == State.END:
            self._ended[status.version] = self._clock()
        else:
            self._ended.pop(status.version, None)

    def all(self) -> list[VersionStatus]:
        """All of them, highest first."""
        return [self._statuses[version] for version in sorted(self._statuses, reverse=True)]

    def forget_ended(self, kept: Container[int]) -> None:
        """Forgets what ended long ago.

        Args:
            kept: versions that are not forgotten.
        """
        if not self._forget_ended_secs:
            return
        until = self._clock() - self._forget_ended_secs
        for version in [version for version, ended in self._ended.items() if ended <= until]:
            if version not in kept:
                del self._statuses[version], self._ended[version]
