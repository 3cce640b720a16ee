#!/usr/bin/env python
"""Writes tests/references/tf-1.15: what TensorFlow 1.15.5 computes, for tests that need no TensorFlow 1.

It runs under Python 3.7, in an environment of its own:

    python3.7 -m venv /tmp/tf-1.15
    /tmp/tf-1.15/bin/pip install tensorflow==1.15.5 tensorflow-estimator==1.15.1 "protobuf<3.21" "numpy<1.19" "h5py<3"
    /tmp/tf-1.15/bin/python scripts/make_tf1_references.py

Every V1 model of scripts/stack_models.py is trained there for MIDDLE steps, then on to LAST; the README that is
written with the files says what they hold. A second run on the same kind of processor writes the same numbers.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any, Dict, List

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import stack_models  # noqa: E402
import stack_worker  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REFERENCES = os.path.join(ROOT, "tests", "references", "tf-1.15")

MIDDLE = 8
LAST = 16
ANSWERS = 128  # rows that are evaluated and predicted

# The exports that are kept; the graphs of the others are several times as large and show nothing else.
EXPORTED = (
    "v1_linear_classifier",
    "v1_dnn_classifier",
    "v1_dnn_regressor",
    "v1_kmeans",
    "v1_model_fn",
)

_README = """# What TensorFlow 1.15.5 computes

Written by `scripts/make_tf1_references.py` with TensorFlow {tensorflow}, NumPy {numpy}, Python {python}; do not edit.

| file | what |
|---|---|
| `rows.csv` | the first {rows} rows of the packaged census; step n trains on rows [{batch} (n - 1), {batch} n) |
| `<model>/model.ckpt-{middle}.*` | the checkpoint after step {middle} |
| `<model>/numbers.npz`, training | `loss` of steps {first} to {last}, `variables/` after step {last} |
| `<model>/numbers.npz`, answers | `predictions/` and `metrics/` of the checkpoint on the first {answers} rows |
| `<model>/numbers.npz`, export | `served/<signature>/<output>`: what the export answers to the same rows |
| `<model>/export/1` | SavedModel of the checkpoint on tf.Examples, of five models |

`<model>` is a V1 case of `scripts/stack_models.py`.
"""


def serialized_examples(tf1: Any, features: Dict[str, np.ndarray]) -> List[bytes]:
    """Returns the rows of features (float32 or text, by name) as tf.Examples."""
    count = len(next(iter(features.values())))
    return [
        tf1.train.Example(
            features=tf1.train.Features(
                feature={
                    name: _feature(tf1, np.atleast_1d(value[row]))
                    for name, value in features.items()
                }
            )
        ).SerializeToString()
        for row in range(count)
    ]


def _feature(tf1: Any, value: np.ndarray) -> Any:
    if value.dtype == np.float32:
        return tf1.train.Feature(float_list=tf1.train.FloatList(value=value))
    texts = [str(one).encode() for one in value]
    return tf1.train.Feature(bytes_list=tf1.train.BytesList(value=texts))


def _export(stack: stack_worker.Stack, case: str, checkpoint: str, folder: str) -> Dict[str, Any]:
    """Exports to folder/export/1; returns served/<signature>/<output> for the rows."""
    tf1 = stack.tf1
    features = stack_models.features_of(
        stack_models.find(case).features, stack.rows[: stack.num_answers]
    )
    spec = {
        name: tf1.FixedLenFeature(
            value.shape[1:], tf1.float32 if value.dtype == np.float32 else tf1.string
        )
        for name, value in features.items()
    }
    receiver = stack.api.estimator_v1.export.build_parsing_serving_input_receiver_fn(spec)
    with tempfile.TemporaryDirectory() as model_dir:
        made = stack.build(case, model_dir, 1).export_saved_model(
            os.path.join(model_dir, "export"), receiver, checkpoint_path=checkpoint
        )
        version = os.path.join(folder, "export", "1")
        shutil.copytree(made.decode(), version)
    examples = serialized_examples(tf1, features)
    found = {}
    with tf1.Graph().as_default(), tf1.Session() as session:
        graph = tf1.saved_model.loader.load(session, ["serve"], version)
        for name, signature in graph.signature_def.items():
            (placeholder,) = signature.inputs.values()
            fetch = {key: value.name for key, value in signature.outputs.items()}
            for key, value in session.run(fetch, {placeholder.name: examples}).items():
                found["served/%s/%s" % (name, key)] = stack_worker.plain(value)
    return found


def make(stack: stack_worker.Stack, case: str) -> None:
    """Writes the folder of one model."""
    folder = os.path.join(REFERENCES, case)
    os.makedirs(folder)
    with tempfile.TemporaryDirectory() as work:
        stack.train(case, work + "/first", MIDDLE)
        checkpoint = work + "/first/model.ckpt-%d" % MIDDLE
        numbers = stack.train(case, work + "/second", LAST, checkpoint)
        numbers.update(stack.apply(case, checkpoint, work + "/applied"))
        for name in os.listdir(work + "/first"):
            if name.startswith("model.ckpt-%d." % MIDDLE) and not name.endswith(".meta"):
                shutil.copy(os.path.join(work, "first", name), folder)
        if case in EXPORTED:
            numbers.update(_export(stack, case, checkpoint, folder))
    np.savez_compressed(os.path.join(folder, "numbers.npz"), **numbers)


def main() -> None:
    """Writes everything anew."""
    if sys.version_info >= (3, 8):
        sys.exit(
            "error: expected Python 3.7 with TensorFlow 1.15.5, found Python %s. See the top of this file."
            % sys.version.split()[0]
        )
    count = LAST * stack_worker.BATCH_SIZE
    stack = stack_worker.Stack(
        stack_worker.load_api(), stack_models.read_rows(stack_models.CENSUS, count), ANSWERS
    )
    shutil.rmtree(REFERENCES, ignore_errors=True)
    for case in stack_models.CASES:
        if case.on_tf1:
            make(stack, case.name)
            print(case.name, flush=True)
    stack_models.write_rows(os.path.join(REFERENCES, "rows.csv"), stack.rows)
    readme = _README.format(
        rows=count,
        batch=stack_worker.BATCH_SIZE,
        answers=stack.num_answers,
        first=MIDDLE + 1,
        middle=MIDDLE,
        last=LAST,
        **stack.versions(),
    )
    with open(os.path.join(REFERENCES, "README.md"), "w") as file:
        file.write(readme)


if __name__ == "__main__":
    main()
