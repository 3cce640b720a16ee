"""All models and their versions with states, in one call: what the stock server lacks.

Over gRPC it is the metadata field `model_status` of no model in particular, which official stubs can ask for
and read; over REST, `GET /v1/models`. The stock server refuses both.
"""

from collections.abc import Callable, Sequence
from typing import Any

from estimator_app.serving import model_table, status, version_statuses
from serving_client import wire


class ModelList:
    """Lists the models of a table. Methods may be called from several threads at once."""

    def __init__(self, table: model_table.ModelTable) -> None:
        self._table = table

    def statuses(self) -> dict[str, Any]:
        """Model -> GetModelStatusResponse, in the order of the config."""
        listed = {}
        for name, statuses in self._table.all_statuses().items():
            listed[name] = wire.GetModelStatusResponse()
            fill_statuses(listed[name], statuses)
        return listed

    def beside(self, get_model_metadata: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
        """The method of GetModelMetadata that also lists; everything else goes to `get_model_metadata`."""

        def answer(request: Any, timeout_ms: int) -> Any:
            asked = list(request.metadata_field) == [wire.MODEL_STATUS]
            if not asked or request.model_spec.name:
                return get_model_metadata(request, timeout_ms)
            response = wire.GetModelMetadataResponse()
            wire.pack_statuses(response, self.statuses())
            return response

        return answer


def fill_statuses(response: Any, statuses: Sequence[version_statuses.VersionStatus]) -> None:
    """Writes the states of versions into a GetModelStatusResponse."""
    for seen in statuses:
        entry = response.model_version_status.add(version=seen.version, state=int(seen.state))
        entry.status.error_code = int(seen.error.code) if seen.error else 0
        entry.status.error_message = status.printable(seen.error.message) if seen.error else ""
