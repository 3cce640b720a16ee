"""The models of a server, looked up as requests name them."""

from collections.abc import Iterator, Mapping
import contextlib

from estimator_app.serving import models
from export import errors, servable


class ModelTable:
    """Finds the version that a request asks for (TF Serving: server_core.cc)."""

    def __init__(self, models: Mapping[str, models.ServedModel]) -> None:
        self._models = models

    def names(self) -> list[str]:
        """The models of the config, in its order."""
        return list(self._models)

    @contextlib.contextmanager
    def acquire(
        self, name: str, version: int | None = None, label: str = ""
    ) -> Iterator[tuple[int, servable.Servable]]:
        """Holds the version that a request asks for; see models.ServedModel.acquire.

        Raises:
            errors.ServableError: there is no such model, version or label.
        """
        if not name:
            raise errors.invalid_argument("ModelSpec has no name specified.")
        if version is None and label:
            raise errors.invalid_argument(f"Unrecognized servable version label: {label}")
        if name not in self._models:
            raise models.not_found(name, version)
        with self._models[name].acquire(version) as held:
            yield held

    def statuses(self, name: str, version: int | None = None) -> list[models.VersionStatus]:
        """The states of a model's versions (TF Serving: get_model_status_impl.cc).

        Raises:
            errors.ServableError: nothing of the kind was ever seen.
        """
        found = self._models[name].statuses(version) if name in self._models else []
        if not found:
            what = "any versions" if version is None else f"version {version}"
            raise errors.ServableError(
                errors.Code.NOT_FOUND, f"Could not find {what} of model {name}"
            )
        return found
