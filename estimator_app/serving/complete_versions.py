"""Which of the versions on disk are all there, and which are still being copied."""

from collections.abc import Collection
import logging
import os
import time
from typing import Any, Callable

import tensorflow as tf

from export import versions

_logger = logging.getLogger(__name__)

# One of them makes a directory a model.
_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb", "model.tflite")


class CompleteVersions:
    """Remembers what it saw of each version. For one thread.

    A version is complete once it has a model's file, and nothing in its directory has changed its size or
    time of change between two looks that are at least `settle_secs` apart. It stays so until it is gone.
    """

    def __init__(self, settle_secs: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Has seen nothing yet.

        Args:
            settle_secs: in seconds; 0 takes every version for complete.
            clock: gives the time in seconds.
        """
        self._settle_secs = settle_secs
        self._clock = clock
        self._base_path = ""
        self._complete: set[int] = set()
        # Version -> since when it looks as it does, and how.
        self._seen: dict[int, tuple[float, Any]] = {}
        self.due = float("inf")

    def among(self, base_path: str, on_disk: Collection[int]) -> list[int]:
        """Those of the versions under `base_path` that are complete.

        Sets `due`, the time by the clock from when another look can tell more of the others.
        """
        self.due = float("inf")
        if not self._settle_secs:
            return list(on_disk)
        if base_path != self._base_path:
            self._base_path = base_path
            self._complete.clear()
            self._seen.clear()
        self._complete.intersection_update(on_disk)
        self._seen = {version: self._seen[version] for version in self._seen if version in on_disk}
        for version in sorted(on_disk):
            if version not in self._complete:
                self._look_at(version)
        return [version for version in on_disk if version in self._complete]

    def _look_at(self, version: int) -> None:
        path = versions.path_of(self._base_path, version)
        now = self._clock()
        files = _files(path)
        since, before = self._seen.get(version, (now, None))
        if files is None or files != before:
            if version not in self._seen:
                _logger.info("%s is loaded once its files do not change any more", path)
            self._seen[version] = (now, files)
            self.due = min(self.due, now + self._settle_secs)
        elif now - since < self._settle_secs:
            self.due = min(self.due, since + self._settle_secs)
        else:
            del self._seen[version]
            self._complete.add(version)


def _files(path: str) -> dict[str, tuple[int, int]] | None:
    """File -> its size in bytes and its time of change in ns; None if it is no model yet, or changes meanwhile."""
    try:
        found = {}
        for directory, _, names in tf.io.gfile.walk(path):
            for name in names:
                file = os.path.join(directory, name)
                stat = tf.io.gfile.stat(file)
                found[file] = (stat.length, stat.mtime_nsec)
    except tf.errors.NotFoundError:
        return None
    return found if any(os.path.join(path, name) in found for name in _MODEL_FILES) else None
