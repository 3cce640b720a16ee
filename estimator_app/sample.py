"""Rows to try a deployment with: those that an export was verified on, and what the Estimator itself answers.

    estimator-query --server=localhost:8500 --model=census --input=runs/census/sample_rows.jsonl

Comparing what comes back with `sample_predictions.jsonl` proves that a server answers as the Estimator does.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from typing import Any

import numpy as np

from estimator_app import job_dir, verification

ROWS = "sample_rows.jsonl"
PREDICTIONS = "sample_predictions.jsonl"


def write(
    model_dir: str,
    rows: verification.SampleRows,
    answers: Mapping[str, np.ndarray],
) -> None:
    """Writes both files, JSON, one object a row: features and labels by column name; predictions by output name."""
    with job_dir.replacing(os.path.join(model_dir, ROWS)) as file:
        for index in range(rows.count):
            columns = {**rows.features, **rows.labels}
            record = {name: _plain(values[index]) for name, values in columns.items()}
            file.write(json.dumps(record) + "\n")
    with job_dir.replacing(os.path.join(model_dir, PREDICTIONS)) as file:
        for index in range(rows.count):
            file.write(
                json.dumps({name: _plain(values[index]) for name, values in answers.items()}) + "\n"
            )


def _plain(value: Any) -> Any:
    """Returns one element of an array as JSON can hold it; floats keep all their digits."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
