"""What is wrong with data, named as TFX names it; on disk TFX's `anomalies.pbtxt`."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2

from input_fns import drift, schema_constraints


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """One thing that is wrong.

    Attributes:
        column: the column; empty if it is the data set as a whole.
        type: a name of TFX's AnomalyInfo.Type, such as "SCHEMA_MISSING_COLUMN".
        short: what kind of thing it is, in a few words.
        description: a sentence: how much, where, an example.
    """

    column: str
    type: str
    short: str
    description: str


def write(
    anomalies: Sequence[Anomaly],
    path: str | os.PathLike[str],
    drifts: Sequence[tuple[drift.ColumnDrift, schema_constraints.Thresholds]] = (),
) -> None:
    """Writes them as text of TFX's Anomalies message, renamed into place; also when there are none.

    Args:
        anomalies: what is wrong.
        path: where to.
        drifts: what was measured against earlier statistics, and the thresholds.
    """
    message = anomalies_pb2.Anomalies()
    message.anomaly_name_format = anomalies_pb2.Anomalies.SERIALIZED_PATH
    for anomaly in anomalies:
        if anomaly.column:
            info = message.anomaly_info[anomaly.column]
            if not info.path.step:
                info.path.step.append(anomaly.column)
        else:
            info = message.dataset_anomaly_info
        info.severity = anomalies_pb2.AnomalyInfo.ERROR
        info.reason.add(
            type=anomalies_pb2.AnomalyInfo.Type.Value(anomaly.type),
            short_description=anomaly.short,
            description=anomaly.description,
        )
        several = len(info.reason) > 1
        info.short_description = "Multiple errors" if several else anomaly.short
        info.description = " ".join(reason.description for reason in info.reason)
        message.data_missing |= anomaly.type == NO_DATA
    for column, thresholds in drifts:
        _fill_drift(message.drift_skew_info.add(), column, thresholds)
    temporary = f"{os.fspath(path)}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text_format.MessageToString(message, as_utf8=True))
    os.replace(temporary, path)


NO_DATA = "DATASET_LOW_NUM_EXAMPLES"


def _fill_drift(
    info: anomalies_pb2.DriftSkewInfo,
    column: drift.ColumnDrift,
    thresholds: schema_constraints.Thresholds,
) -> None:
    kinds = anomalies_pb2.DriftSkewInfo.Measurement
    info.path.step.append(column.name)
    for kind, value, threshold in (
        (kinds.L_INFTY, column.infinity_norm, thresholds.infinity_norm),
        (kinds.JENSEN_SHANNON_DIVERGENCE, column.jensen_shannon, thresholds.jensen_shannon),
    ):
        if value is not None:
            info.drift_measurements.add(type=kind, value=value, threshold=threshold or 0.0)
