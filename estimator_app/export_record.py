"""Which versions a job published, and the best loss among them: `exports.json` in the model directory.

Only what stands here is ever removed: an export directory may hold versions of other jobs, or directories with numbers
for names that are no versions at all. And "best" stays best over a restart.
"""

from __future__ import annotations

import math
import os
from typing import Any

from estimator_app import job_dir
from export import versions as versions_lib

FILE = "exports.json"


class ExportRecord:
    """The record of one job about one export directory."""

    def __init__(self, model_dir: str, export_dir: str) -> None:
        self._path = os.path.join(model_dir, FILE)
        self._export_dir = export_dir
        # One entry an export directory, so that a job that is pointed to another one starts there afresh.
        self._key = os.path.abspath(export_dir)

    @property
    def versions(self) -> list[int]:
        """Versions of this job that are there, oldest first."""
        there = versions_lib.list_versions(self._export_dir)
        return [version for version in self._entry()["versions"] if version in there]

    @property
    def best_loss(self) -> float:
        """The lowest loss of a published version; infinity if none is there."""
        return self._entry()["best_loss"] if self.versions else math.inf

    def add(self, version: int, loss: float) -> None:
        """Records a version that was just published."""
        known = {"versions": [*self.versions, version], "best_loss": min(loss, self.best_loss)}
        job_dir.write_json(self._path, {**(job_dir.read_json(self._path) or {}), self._key: known})

    def prune(self, keep: int) -> list[int]:
        """Removes this job's oldest versions down to `keep`; returns the removed ones."""
        return versions_lib.remove(self._export_dir, self.versions[:-keep])

    def _entry(self) -> dict[str, Any]:
        known = job_dir.read_json(self._path) or {}
        return known.get(self._key, {"versions": [], "best_loss": math.inf})
