"""The page at `/` for people: its files, and what it shows of the models.

What it asks the models itself goes through the REST API, as of any other client.
"""

import importlib.resources
import json
from typing import Any

from estimator_app.serving import (
    metrics,
    model_table,
    request_metrics,
    status,
    version_statuses,
)
from export import errors

# path -> file, its type.
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_MODELS_PATH = "/models.json"


class BrowserPage:
    """The files of the page, and the JSON that it shows."""

    def __init__(
        self, table: model_table.ModelTable, counted: request_metrics.RequestMetrics
    ) -> None:
        """Shows the models of `table` and their part of `counted`."""
        self._table = table
        self._counted = counted
        folder = importlib.resources.files(__package__).joinpath("page")
        self._files = {
            path: (folder.joinpath(name).read_bytes(), kind)
            for path, (name, kind) in _FILES.items()
        }

    def get(self, path: str) -> tuple[bytes, str] | None:
        """What is at a path, and its content type; None if the page has nothing there."""
        if path == _MODELS_PATH:
            return json.dumps(self._models()).encode("utf-8"), "application/json"
        return self._files.get(path)

    def _models(self) -> list[dict[str, Any]]:
        counts = self._counted.request_count.cells()
        latencies = self._counted.request_latency.cells()
        return [
            {
                "name": name,
                "versions": self._versions(name),
                "requests": {
                    status: count for (model, status), count in counts.items() if model == name
                },
                "latencies": [
                    self._latency(api, entrypoint, cell)
                    for (model, api, entrypoint), cell in latencies.items()
                    if model == name and api
                ],
            }
            for name in self._table.names()
        ]

    def _versions(self, name: str) -> list[dict[str, Any]]:
        try:
            statuses = self._table.statuses(name)
        except errors.ServableError:  # none has been seen yet
            return []
        return [
            {
                # As text: a browser's numbers end at 2 ** 53.
                "version": str(seen.version),
                "state": seen.state.name,
                "error": status.printable(str(seen.error)) if seen.error else "",
                "features": self._features(name, seen),
            }
            for seen in statuses
        ]

    def _features(self, name: str, seen: version_statuses.VersionStatus) -> dict[str, Any]:
        if seen.state is not version_statuses.State.AVAILABLE:
            return {}
        # A look at the page is no use of the model: it keeps none in memory, and loads none.
        model = self._table.peek(name, seen.version)
        if model is None:  # it has gone meanwhile
            return {}
        return {
            feature: {"dtype": spec.dtype, "shape": spec.shape}
            for feature, spec in model.example_features.items()
        }

    def _latency(self, api: str, entrypoint: str, cell: metrics.Distribution) -> dict[str, Any]:
        limits = self._counted.request_latency.limits
        count = sum(cell.counts)
        return {
            "api": api,
            "entrypoint": entrypoint,
            "count": count,
            "mean_usec": cell.sum / count,
            "p50_usec": metrics.quantile(limits, cell.counts, 0.5),
            "p99_usec": metrics.quantile(limits, cell.counts, 0.99),
        }
