"""Which versions of all models are in memory, for models that are loaded when they are first asked.

When a limit would be passed, those go that have been asked least recently.
"""

import dataclasses
import os
import threading
from typing import Protocol

import tensorflow as tf

from export import errors

# What a model takes in memory, for each byte of its files (TF Serving: session_bundle/oss/session_bundle_util.cc,
# kResourceEstimateRAMMultiplier).
_MEMORY_BY_FILES = 1.2
_MIB = 2**20


class Owner(Protocol):
    """A model, as far as it matters here."""

    name: str

    def last_used(self, version: int) -> float:
        """When a version was last asked, by the model's clock; infinite while it cannot be spared."""

    def evict(self, version: int) -> None:
        """Unloads a version."""


@dataclasses.dataclass(frozen=True)
class _Entry:
    owner: Owner
    version: int
    size: int


class LoadedVersions:
    """Keeps the sum of what versions take below a limit. Methods may be called from several threads."""

    def __init__(self, limit_mib: int = 0) -> None:
        """Begins with nothing.

        Args:
            limit_mib: in MiB; 0 for none.
        """
        self._limit = limit_mib * _MIB
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, int], _Entry] = {}

    def admit(self, owner: Owner, version: int, path: str) -> None:
        """Counts a version that is loaded next, after it has unloaded those that have to go.

        Versions that are loading or answering go last or not at all; the limit may then be passed.

        Args:
            owner: its model.
            version: its number.
            path: its directory.

        Raises:
            errors.ServableError: `RESOURCE_EXHAUSTED`; it is larger than the limit by itself.
        """
        size = estimated_bytes(path)
        if self._limit and size > self._limit:
            raise errors.ServableError(
                errors.Code.RESOURCE_EXHAUSTED,
                f"Expected version {version} of model {owner.name} to need at most "
                f"--model_memory_limit_mb={self._limit // _MIB} of memory, found about "
                f"{-(-size // _MIB)} MiB. Raise the limit.",
            )
        with self._lock:
            doomed = self._too_much(size)
            for entry in doomed:
                del self._entries[entry.owner.name, entry.version]
            self._entries[owner.name, version] = _Entry(owner, version, size)
        for entry in doomed:
            entry.owner.evict(entry.version)

    def release(self, owner: Owner, version: int) -> None:
        """Counts a version no longer; does nothing for one that does not count."""
        with self._lock:
            self._entries.pop((owner.name, version), None)

    def _too_much(self, size: int) -> list[_Entry]:
        """What has to go for `size` bytes more, the one that was asked longest ago first."""
        over = sum(entry.size for entry in self._entries.values()) + size - self._limit
        doomed: list[_Entry] = []
        if not self._limit:
            return doomed
        used = [
            (entry.owner.last_used(entry.version), *key) for key, entry in self._entries.items()
        ]
        for last_used, name, version in sorted(used):
            if over <= 0 or last_used == float("inf"):
                break
            doomed.append(self._entries[name, version])
            over -= doomed[-1].size
        return doomed


def estimated_bytes(path: str) -> int:
    """What the version in this directory may take in memory, by the sizes of its files."""
    return int(
        _MEMORY_BY_FILES
        * sum(
            tf.io.gfile.stat(os.path.join(directory, name)).length
            for directory, _, names in tf.io.gfile.walk(path)
            for name in names
        )
    )
