"""What a TFX schema demands of whole columns and data sets, which no single row can break."""

from __future__ import annotations

import dataclasses
import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from input_fns import errors


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Of a drift_comparator or skew_comparator; None where it sets none.

    Attributes:
        infinity_norm: the largest L-infinity distance of two distributions of text.
        jensen_shannon: the largest Jensen-Shannon divergence of two distributions.
    """

    infinity_norm: float | None = None
    jensen_shannon: float | None = None


@dataclasses.dataclass(frozen=True)
class ColumnConstraints:
    """Of one column.

    Attributes:
        min_fraction: share of the rows that have a value, at least; presence.min_fraction.
        min_count: rows that have a value, at least; presence.min_count.
        min_domain_mass: share of the values that are in the domain, at least; distribution_constraints.min_domain_mass.
        environments: where the column is expected.
        drift: against earlier data.
        skew: of the data served against the data trained on.
    """

    min_fraction: float = 0.0
    min_count: int = 0
    min_domain_mass: float = 1.0
    environments: tuple[str, ...] = ()
    drift: Thresholds = Thresholds()
    skew: Thresholds = Thresholds()


@dataclasses.dataclass(frozen=True)
class SchemaConstraints:
    """Of a schema.

    Attributes:
        columns: name -> its constraints, for all that the schema declares.
        environments: the schema's own; may be empty.
        min_rows: dataset_constraints.min_examples_count.
        max_rows: dataset_constraints.max_examples_count; 0 is no limit.
    """

    columns: dict[str, ColumnConstraints]
    environments: tuple[str, ...]
    min_rows: int
    max_rows: int


def read(path: str | os.PathLike[str]) -> SchemaConstraints:
    """The constraints in a `schema.pbtxt`.

    Raises:
        SchemaError: the file is not there or no schema.
    """
    message = schema_pb2.Schema()
    try:
        with open(path, encoding="utf-8") as file:
            text_format.Parse(file.read(), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise errors.SchemaError(
            f"Cannot read the schema {os.fspath(path)}: {str(error).rstrip('.')}. Correct the path or the file."
        ) from error
    everywhere = tuple(message.default_environment)
    return SchemaConstraints(
        {feature.name: _column(feature, everywhere) for feature in message.feature},
        everywhere,
        message.dataset_constraints.min_examples_count,
        message.dataset_constraints.max_examples_count,
    )


def _column(feature: schema_pb2.Feature, everywhere: tuple[str, ...]) -> ColumnConstraints:
    mass = feature.distribution_constraints
    named = (*everywhere, *feature.in_environment)
    return ColumnConstraints(
        feature.presence.min_fraction,
        feature.presence.min_count,
        mass.min_domain_mass if feature.HasField("distribution_constraints") else 1.0,
        tuple(name for name in named if name not in feature.not_in_environment),
        _thresholds(feature.drift_comparator),
        _thresholds(feature.skew_comparator),
    )


def _thresholds(comparator: schema_pb2.FeatureComparator) -> Thresholds:
    norm, divergence = comparator.infinity_norm, comparator.jensen_shannon_divergence
    return Thresholds(
        norm.threshold if norm.HasField("threshold") else None,
        divergence.threshold if divergence.HasField("threshold") else None,
    )
