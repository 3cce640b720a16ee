"""Which of the versions on disk a model should have in memory."""

from collections.abc import Collection
import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """The policy of one model; without arguments, the newest version.

    Attributes:
        latest: how many of the newest versions; None for all of them.
        specific: just these versions, whatever `latest` says; None where the policy is another.
    """

    latest: int | None = 1
    specific: frozenset[int] | None = None

    def aspired(self, on_disk: Collection[int]) -> list[int]:
        """The versions to have in memory, highest first.

        Source: TF Serving's file_system_storage_path_source.cc.
        """
        descending = sorted(on_disk, reverse=True)
        if self.specific is not None:
            return [version for version in descending if version in self.specific]
        return descending[: self.latest]

    def missing(self, on_disk: Collection[int]) -> list[int]:
        """The versions that the policy names but that are not there, lowest first."""
        return sorted((self.specific or frozenset()).difference(on_disk))


def from_message(message: Any) -> VersionPolicy:
    """The policy of a `ServableVersionPolicy`; nothing set is the newest version."""
    kind = message.WhichOneof("policy_choice")
    if kind == "all":
        return VersionPolicy(latest=None)
    if kind == "specific":
        return VersionPolicy(specific=frozenset(message.specific.versions))
    return VersionPolicy(latest=max(message.latest.num_versions, 1))
