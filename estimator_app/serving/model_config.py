"""The models that a server is asked to serve: a `ModelServerConfig`, checked.

Checks, their order and their sentences are TF Serving's (server_core.cc).
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from estimator_app.serving import base_paths, request_log, version_policy
from export import errors
from serving_client import wire

_PLATFORM = "tensorflow"
_LOG_TYPE = "tfrecord"
_TENSORFLOW_TYPE = 1  # ModelType.TENSORFLOW, from before there were platforms


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """One model of a server.

    Attributes:
        name: what requests call it.
        base_path: absolute path, or URI, of the directory of its versions.
        policy: which of them are in memory.
        labels: label -> version, for requests that name a label.
        log: where its requests are logged; None for nowhere. (Addition.)
    """

    name: str
    base_path: str
    policy: version_policy.VersionPolicy = version_policy.VersionPolicy()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    log: request_log.LogConfig | None = None


def single_model(name: str, base_path: str, log: request_log.LogConfig | None = None) -> Any:
    """The `ModelServerConfig` of a server that is given one name and one base path."""
    config = wire.ModelServerConfig()
    model = config.model_config_list.config.add(
        name=name, base_path=base_path, model_platform=_PLATFORM
    )
    if log is not None:
        model.logging_config.log_collector_config.type = _LOG_TYPE
        model.logging_config.log_collector_config.filename_prefix = log.filename_prefix
        model.logging_config.sampling_config.sampling_rate = log.sampling_rate
    return config


def check_base_paths(messages: Sequence[Any]) -> None:
    """Refuses names that come twice, relative base paths, and those that are no paths.

    Args:
        messages: the `ModelConfig` messages of a list.

    Raises:
        errors.ServableError: `INVALID_ARGUMENT`.
    """
    names = set()
    for message in messages:
        if message.name in names:
            raise errors.invalid_argument(
                f"Illegal to list model {message.name} multiple times in config list"
            )
        names.add(message.name)
    for message in messages:
        if not base_paths.is_absolute(message.base_path):
            raise errors.invalid_argument(
                base_paths.relative_sentence(message.name, message.base_path)
            )
        # The file system would read the path up to there.
        if "\0" in message.base_path:
            raise errors.invalid_argument(
                f"Expected the base path of model {message.name} to be a path, found a NUL "
                f"character in {message.base_path!r}. Remove it."
            )


def check_platform_changes(before: Mapping[str, str], messages: Sequence[Any]) -> None:
    """Refuses a model that changes its platform.

    Args:
        before: model -> the platform that it has now.
        messages: the `ModelConfig` messages of a list.

    Raises:
        errors.ServableError: `INVALID_ARGUMENT`.
    """
    for message in messages:
        if message.name not in before:
            continue
        platform = platform_of(message)
        if platform != before[message.name]:
            raise errors.invalid_argument(
                f"Illegal to change a model's platform. For model {message.name} platform was "
                f"{before[message.name]} and new platform requested is {platform}"
            )


def platform_of(message: Any) -> str:
    """The platform of a `ModelConfig` message.

    Raises:
        errors.ServableError: `INVALID_ARGUMENT`; it names none, or names it twice.
    """
    if not message.model_type:
        if not message.model_platform:
            raise errors.invalid_argument(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) "
                f"nor ModelServerConfig::model_platform, model name is {message.name}"
            )
        return message.model_platform
    if message.model_platform:
        raise errors.invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) "
            f"and ModelServerConfig::model_platform, model name is {message.name}"
        )
    if message.model_type != _TENSORFLOW_TYPE:
        raise errors.invalid_argument(
            f"ModelServerConfig::model_type choice {message.model_type} not supported."
        )
    return _PLATFORM


def from_messages(messages: Sequence[Any]) -> list[ModelConfig]:
    """What the `ModelConfig` messages of a list ask for.

    Raises:
        errors.ServableError: a model asks for what is not there: another platform, or another kind
            of log.
    """
    for message in messages:
        platform = platform_of(message)
        if platform != _PLATFORM:
            raise errors.invalid_argument(
                f"Model {message.name} requests unsupported platform {platform}"
            )
    return [
        ModelConfig(
            message.name,
            message.base_path,
            version_policy.from_message(message.model_version_policy),
            dict(message.version_labels),
            _log(message),
        )
        for message in messages
    ]


def _log(message: Any) -> request_log.LogConfig | None:
    """The log that a `ModelConfig` message asks for (TF Serving: log_collector.cc)."""
    if not message.HasField("logging_config"):
        return None
    collector = message.logging_config.log_collector_config
    if collector.type != _LOG_TYPE:
        raise errors.ServableError(
            errors.Code.NOT_FOUND, f"Cannot find LogCollector::Factory for type: {collector.type}"
        )
    if not base_paths.is_absolute(collector.filename_prefix):
        raise errors.invalid_argument(
            f"Expected model {message.name} to have an absolute path or URI for its log; got "
            f"filename_prefix={collector.filename_prefix}"
        )
    rate = message.logging_config.sampling_config.sampling_rate
    if not 0 <= rate <= 1:
        raise errors.invalid_argument(
            f"Expected model {message.name} to have a sampling_rate of 0 to 1; got {rate}"
        )
    return request_log.LogConfig(collector.filename_prefix, rate)
