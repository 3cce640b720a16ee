"""What `--features=features.yaml` says of each feature; its manual is docs/features.md.

`feature_parser` reads the file; `derived` and `treatment` make of it what the models get.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import difflib
from typing import Any, NoReturn

from input_fns import errors


@dataclasses.dataclass(frozen=True)
class Column:
    """One feature column.

    Attributes:
      base: what reads the feature, one of `feature_kinds.BASES`; empty for what the schema makes of it.
      options: of the base, by their names in `feature_kinds`.
      weight_feature: the feature that weighs its values; empty if they weigh the same.
      dense: "indicator" or "embedding", around the base; empty for the part's own choice.
      embedding: options of the embedding.
      where: file, line and feature, for errors.
    """

    base: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    weight_feature: str = ""
    dense: str = ""
    embedding: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    where: str = ""


@dataclasses.dataclass(frozen=True)
class Treatment:
    """What is made of one feature.

    Attributes:
      deep: its columns in the deep part; None for the default.
      wide: in the wide part, likewise.
      ignored: whether no model sees it.
      nature: "plain" or "text" in place of the schema's kind, or empty.
      date_parts: those of date_parts.PARTS that are wanted; None for the default.
      where: file, line and feature, for errors.
    """

    deep: tuple[Column, ...] | None = None
    wide: tuple[Column, ...] | None = None
    ignored: bool = False
    nature: str = ""
    date_parts: tuple[str, ...] | None = None
    where: str = ""


@dataclasses.dataclass(frozen=True)
class Cross:
    """Several features as one.

    Attributes:
      keys: the features; of one in buckets of its own also their column.
      hash_bucket_size: how many values the cross is hashed into.
      column: its place in the deep part, if it has a `dense`.
    """

    keys: tuple[tuple[str, Column | None], ...]
    hash_bucket_size: int
    column: Column


@dataclasses.dataclass(frozen=True)
class SharedEmbedding:
    """Features that share the weights of one embedding.

    Attributes:
      features: their names.
      column: base and embedding of all.
    """

    features: tuple[str, ...]
    column: Column


@dataclasses.dataclass(frozen=True)
class FeatureConfig:
    """All of the file.

    Attributes:
      path: the file; empty if there is none.
      treatments: feature -> what is made of it; the others have the defaults.
      crosses: those of the file; None for the default ones.
      shared: features that share an embedding.
    """

    path: str = ""
    treatments: Mapping[str, Treatment] = dataclasses.field(default_factory=dict)
    crosses: tuple[Cross, ...] | None = None
    shared: tuple[SharedEmbedding, ...] = ()

    def joined(self) -> dict[str, str]:
        """Returns each feature that a cross or a shared embedding names -> where it does so."""
        places = [
            (cross.column.where, [name for name, _ in cross.keys]) for cross in self.crosses or ()
        ]
        places += [(shared.column.where, list(shared.features)) for shared in self.shared]
        return {name: where for where, names in places for name in names}

    def renamed(self, names: Mapping[str, str]) -> FeatureConfig:
        """Returns the same for features that go by other names; `names` has old -> new, of some or all."""

        def new(name: str) -> str:
            return names.get(name, name)

        def columns(given: tuple[Column, ...] | None) -> tuple[Column, ...] | None:
            return given and tuple(
                dataclasses.replace(column, weight_feature=new(column.weight_feature))
                for column in given
            )

        return dataclasses.replace(
            self,
            treatments={
                new(name): dataclasses.replace(
                    treatment, deep=columns(treatment.deep), wide=columns(treatment.wide)
                )
                for name, treatment in self.treatments.items()
            },
            crosses=self.crosses
            and tuple(
                dataclasses.replace(
                    cross, keys=tuple((new(name), column) for name, column in cross.keys)
                )
                for cross in self.crosses
            ),
            shared=tuple(
                dataclasses.replace(shared, features=tuple(map(new, shared.features)))
                for shared in self.shared
            ),
        )


def fail(where: str, expected: str, found: object, fix: str) -> NoReturn:
    """Raises the SettingsError of one place in the file."""
    raise errors.SettingsError(f"{where}: expected {expected}, found {found}. {fix}.")


def nearest(name: str, known: Any) -> str:
    """Returns what to do about a name that is not known: the nearest one, or look at the known ones."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"Write '{close[0]}'" if close else "Take one of these, or leave it out"
