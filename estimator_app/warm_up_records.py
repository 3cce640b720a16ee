"""Warm-up requests of an export: some rows of the evaluation data, asked of every signature.

A model server runs them before it serves the version, so that no caller waits for what only a first run costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from estimator_app import signature_calls
from export import checks, signatures, warmup_file
from input_fns import schema as schema_lib
from serving_client import wire


def write(
    path: str, schema: schema_lib.Schema, rows: Mapping[str, np.ndarray], model_name: str
) -> str:
    """Writes one record a signature into the SavedModel at `path`, each with all of `rows`.

    Args:
      path: an export that was made with `receivers.make_receiver(schema)` and that no server sees yet.
      schema: the features.
      rows: see signature_calls.calls.
      model_name: what the records call the model; servers do not look at it.

    Returns:
      the file's path.
    """
    calls = signature_calls.calls(signatures.read(path), schema, rows)
    return warmup_file.write(
        path, [_record(call, model_name).SerializeToString(deterministic=True) for call in calls]
    )


def _record(call: signature_calls.SignatureCall, model_name: str) -> Any:
    """Returns the PredictionLog of one call."""
    log = wire.PredictionLog()
    if call.method == checks.PREDICT_METHOD:
        request = log.predict_log.request
        for name, value in call.inputs.items():
            request.inputs[name].CopyFrom(wire.to_tensor_proto(value))
    else:
        kind = log.classify_log if call.method == checks.CLASSIFY_METHOD else log.regress_log
        request = kind.request
        request.input.example_list.examples.extend(map(wire.Example.FromString, call.examples))
    request.model_spec.name = model_name
    request.model_spec.signature_name = call.signature_name
    return log
