"""The models of a server: which they are, and how requests find them.

    table = model_table.ModelTable(models.ServedModel)
    table.reload(model_config.single_model("census", "/models/census"))
    with table.acquire("census") as (version, model, left_ms):
        ...

The counterpart of TF Serving's server_core.cc, whose checks and sentences these are.
"""

from collections.abc import Callable, Mapping, Sequence
import logging
import threading
import time
from typing import Any

from estimator_app.serving import model_config, models, version_policy, version_statuses
from export import errors, servable

_logger = logging.getLogger(__name__)

_ModelFn = Callable[[str, str, version_policy.VersionPolicy], models.ServedModel]


class ModelTable:
    """Finds the version that a request asks for. Methods may be called from several threads."""

    def __init__(
        self,
        model_fn: _ModelFn,
        labels_for_unavailable: bool = False,
        on_configs: Callable[[Sequence[model_config.ModelConfig]], None] = lambda configs: None,
    ) -> None:
        """Begins without models; `reload` gives it some.

        Args:
            model_fn: name, base path and policy -> a model that does not watch yet.
            labels_for_unavailable: whether a new label may name a version that is not available.
            on_configs: is told what the models are before they are served; what it raises refuses
                the config.
        """
        self._on_configs = on_configs
        self._model_fn = model_fn
        self._labels_for_unavailable = labels_for_unavailable
        self._lock = threading.Lock()
        self._stopping = False
        self._config: Any = None
        # Every model there ever was; its versions are never forgotten.
        self._seen: dict[str, models.ServedModel] = {}
        # Those of the config, and their labels. Both are replaced, never changed.
        self._models: Mapping[str, models.ServedModel] = {}
        self._labels: Mapping[str, Mapping[str, int]] = {}

    def reload(self, config: Any, timeout_secs: float | None = None) -> None:
        """Serves the models of `config` from now on, and waits until its new ones are available.

        Models that it lacks are unloaded as their last requests end. The others change their base
        path, policy and labels. A config that is refused changes nothing.

        Args:
            config: a `ModelServerConfig`.
            timeout_secs: how long new models may take, in seconds; None for without limit. They
                go on loading after that.

        Raises:
            errors.ServableError: the config is wrong, a new model cannot be loaded, or the time is
                over.
        """
        new, first = self.apply(config)
        until = None if timeout_secs is None else time.monotonic() + timeout_secs
        for model in new:
            left = None if until is None else max(until - time.monotonic(), 0)
            if not model.wait_until_settled(left):
                raise errors.ServableError(
                    errors.Code.DEADLINE_EXCEEDED,
                    f"Model {model.name} did not become available in time; it goes on loading",
                )
        if not self._stopping:
            _check_available(new, "servable(s)" if first else "model(s)")

    def apply(self, config: Any) -> tuple[list[models.ServedModel], bool]:
        """Does what `reload` does, without waiting.

        Returns:
            the models that are new, and whether these are the first that the table got.

        Raises:
            errors.ServableError: the config is wrong.
        """
        with self._lock:
            kind = config.WhichOneof("config")
            first = self._config is None
            if kind == "custom_model_config":
                raise errors.invalid_argument(
                    "Missing custom_model_config_loader in ServerCore Options"
                )
            if kind is None and not first:
                raise errors.ServableError(
                    errors.Code.FAILED_PRECONDITION,
                    "Cannot transition to requested config. It is only legal to transition "
                    "from one ModelConfigList to another.",
                )
            if kind is None or self._stopping:
                return [], first
            listed = config.model_config_list.config
            model_config.check_base_paths(listed)
            if not first:
                old = self._config.model_config_list.config
                platforms = {message.name: model_config.platform_of(message) for message in old}
                model_config.check_platform_changes(platforms, listed)
            wanted = [dict(message.version_labels) for message in listed]
            self._check_labels({message.name: labels for message, labels in zip(listed, wanted)})
            configs = model_config.from_messages(listed)
            self._on_configs(configs)
            self._config = config
            return self._serve(configs), first

    def names(self) -> list[str]:
        """The models of the config, in its order."""
        return list(self._models)

    def labels(self, name: str) -> Mapping[str, int]:
        """Label -> version of a model; none if there is no such model."""
        return self._labels.get(name, {})

    def available(self) -> dict[str, list[int]]:
        """Model -> its versions that answer now, highest first."""
        return {name: model.available for name, model in self._models.items()}

    def answering(self) -> dict[str, list[int]]:
        """Model -> its versions that answer, if need be once they are loaded, highest first."""
        return {name: model.answering for name, model in self._models.items()}

    def acquire(
        self, name: str, version: int | None = None, label: str | None = None, timeout_ms: int = 0
    ) -> models.Hold:
        """Holds the version that a request asks for; see models.ServedModel.acquire.

        Args:
            name: of the model.
            version: its number; None for the highest that is available, or for that of the label.
            label: of the version; None for none.
            timeout_ms: how long the request may take, in milliseconds; 0 for without limit.

        Raises:
            errors.ServableError: there is no such model, version or label.
        """
        if not name:
            raise errors.invalid_argument("ModelSpec has no name specified.")
        if version is None and label is not None:
            version = self.labels(name).get(label)
            if version is None:
                raise errors.invalid_argument(f"Unrecognized servable version label: {label}")
        model = self._models.get(name)
        if model is None:
            raise models.not_found(name, version)
        return model.acquire(version, timeout_ms)

    def peek(self, name: str, version: int) -> servable.Servable | None:
        """A version that is in memory, without using it; see models.ServedModel.peek."""
        model = self._models.get(name)
        return None if model is None else model.peek(version)

    def statuses(
        self, name: str, version: int | None = None
    ) -> list[version_statuses.VersionStatus]:
        """The states of a model's versions (TF Serving: get_model_status_impl.cc).

        Raises:
            errors.ServableError: nothing of the kind was ever seen.
        """
        seen = self._seen.get(name)
        found = seen.statuses(version) if seen is not None else []
        if not found:
            what = "any versions" if version is None else f"version {version}"
            raise errors.ServableError(
                errors.Code.NOT_FOUND, f"Could not find {what} of model {name}"
            )
        return found

    def all_statuses(self) -> dict[str, list[version_statuses.VersionStatus]]:
        """Model -> the states of its versions, highest first, for the models of the config."""
        return {name: model.statuses() for name, model in self._models.items()}

    def begin_stop(self) -> None:
        """Takes no more configs, and lets those end that wait for a model."""
        with self._lock:
            self._stopping = True
            seen = list(self._seen.values())
        for model in seen:
            model.begin_stop()

    def stop(self) -> None:
        """Unloads everything; runs under way end as cancelled."""
        self.begin_stop()
        for model in self._seen.values():
            model.stop()

    def _check_labels(self, wanted: Mapping[str, Mapping[str, int]]) -> None:
        """Refuses labels of versions that are not available.

        With `labels_for_unavailable` only where the label has another version now: a label that
        clients use must not point to nothing.
        """
        for name, labels in wanted.items():
            model = self._models.get(name)
            available = model.answering if model is not None else []
            for label, version in sorted(labels.items()):
                moves = self.labels(name).get(label, version) != version
                if (moves or not self._labels_for_unavailable) and version not in available:
                    raise errors.ServableError(
                        errors.Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {name}, "
                        "which is not currently available for inference",
                    )

    def _serve(self, configs: Sequence[model_config.ModelConfig]) -> list[models.ServedModel]:
        """Makes the models those of `configs`; returns the new ones."""
        new = []
        served = {}
        for config in configs:
            model = self._seen.get(config.name)
            if model is None:
                model = self._model_fn(config.name, config.base_path, config.policy)
                self._seen[config.name] = model
                model.start()
            else:
                model.configure(config.base_path, config.policy)
            if config.name not in self._models:
                new.append(model)
                _logger.info("Added model %s: %s", config.name, config.base_path)
            served[config.name] = model
        gone = [name for name in self._models if name not in served]
        self._labels = {config.name: config.labels for config in configs}
        self._models = served
        for name in gone:
            self._seen[name].retire()
            _logger.info("Removed model %s", name)
        return new


def _check_available(awaited: Sequence[models.ServedModel], what: str) -> None:
    """Refuses a start or a reload whose models cannot be loaded (TF Serving:
    load_servables_fast.cc, server_core.cc)."""
    failures = [(model.name, model.failure) for model in awaited]
    sentences = [
        f"{{{{name: {name} version: {failure.version}}} due to error: {failure.error}}}, "
        for name, failure in sorted(failures, key=lambda pair: pair[0])
        if failure is not None
    ]
    if sentences:
        raise errors.ServableError(
            errors.Code.UNKNOWN,
            f"{len(sentences)} {what} did not become available: {{{''.join(sentences)}}}",
        )
