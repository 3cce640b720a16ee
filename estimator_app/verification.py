"""Does an exported model answer as the Estimator does? Asked after every export, before a server can see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import logging
from typing import Any

import numpy as np
import tensorflow as tf

from estimator_app import signature_calls
from export import checks, receivers
from export import servable as servable_lib
from export import signatures
from input_fns import schema as schema_lib

ROWS = 100
TOLERANCE = 1e-6

_CLASSIFY, _REGRESS = checks.CLASSIFY_METHOD, checks.REGRESS_METHOD


class VerificationError(RuntimeError):
    """The export does not do what the Estimator does."""


@dataclasses.dataclass(frozen=True)
class SampleRows:
    """Evaluation rows to compare answers on.

    Attributes:
      features: name -> `[num_rows, *shape]` array; strings as bytes; of lists an object array `[num_rows]` of arrays.
      labels: column name -> `[num_rows, ...]` array of its values; empty where there are none.
    """

    features: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(next(iter(self.features.values())))


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The outcome of one comparison.

    Attributes:
      rows: how many rows were compared.
      signatures: names of the signatures that were called.
      worst: largest difference between two numbers; text has to be equal.
    """

    rows: int
    signatures: tuple[str, ...]
    worst: float


def predict_locally(
    estimator: Any, rows: SampleRows, checkpoint_path: str
) -> dict[str, np.ndarray]:
    """Returns the Estimator's own predictions, name -> `[num_rows, ...]` array, from one checkpoint.

    A `MultiHead` keys them by (head, name); they are called `<head>/<name>`, as in its export.
    """

    def input_fn() -> Any:
        return tf.data.Dataset.from_tensors(
            {name: _as_element(values) for name, values in rows.features.items()}
        )

    predictions = estimator.predict(
        input_fn, checkpoint_path=checkpoint_path, yield_single_examples=False
    )
    with _without_guess():
        answers = next(iter(predictions))
    return {
        "/".join(key) if isinstance(key, tuple) else key: value for key, value in answers.items()
    }


@contextlib.contextmanager
def _without_guess() -> Iterator[None]:
    """Leaves out the wheel's warning that predicting may never end (estimator.py): it looks for a dense tensor of a
    dataset, and rows of lists alone have none."""

    def is_other(record: logging.LogRecord) -> bool:
        return "predict yields forever" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _as_element(values: np.ndarray) -> Any:
    """Returns lists as the SparseTensorValue that input functions give, anything else as it is."""
    if not _are_lists(values):
        return values
    lengths = [len(row) for row in values]
    indices = [(row, place) for row, length in enumerate(lengths) for place in range(length)]
    return tf.compat.v1.SparseTensorValue(
        np.array(indices, np.int64).reshape(-1, 2),
        np.concatenate(values),
        (len(values), max(lengths)),
    )


def _are_lists(values: np.ndarray) -> bool:
    return values.dtype == object and len(values) > 0 and isinstance(values[0], np.ndarray)


def verify(
    path: str, schema: schema_lib.Schema, rows: SampleRows, expected: Mapping[str, np.ndarray]
) -> Comparison:
    """Loads the SavedModel at `path` and compares its answers on `rows` with `expected`.

    Every signature is called: those that parse Examples, those that take plain tensors, classification and regression.

    Raises:
      VerificationError: an input is not one of the schema's, or an answer differs by more than TOLERANCE (relative for
        numbers above 1).
    """
    servable = servable_lib.Servable(path)
    try:
        called, worst = [], 0.0
        for call in signature_calls.calls(servable.signatures, schema, rows.features):
            name = call.signature_name
            signature = servable.signatures[name]
            _check_inputs(name, signature, schema)
            answers = _answers(servable, call)
            for output, left, right in _pairs(signature, answers, expected):
                worst = max(
                    worst, _difference(f"signature '{name}', output '{output}'", left, right)
                )
            called.append(name)
        if signatures.DEFAULT_NAME not in called:
            raise VerificationError(
                f"Expected a signature '{signatures.DEFAULT_NAME}' in the export, found {', '.join(called) or 'none'}."
            )
        return Comparison(rows.count, tuple(called), worst)
    finally:
        servable.close()


def _check_inputs(name: str, signature: signatures.Signature, schema: schema_lib.Schema) -> None:
    """A plain-tensor signature must take the schema's features, with their dtypes and shapes."""
    if not name.startswith(f"{receivers.TENSORS}:"):
        return
    wanted = {
        feature.name: (feature.dtype, (None, None) if feature.is_list else (None, *feature.shape))
        for feature in schema.features
    }
    if signature.method_name in (_CLASSIFY, _REGRESS):
        # TensorFlow makes these of plain tensors too where there is a single one, of text, as Examples are.
        wanted = {"inputs": spec for spec in wanted.values()}
    found = {key: (spec.dtype, spec.shape) for key, spec in signature.inputs.items()}
    for key in sorted(set(wanted) | set(found)):
        if wanted.get(key) != found.get(key):
            raise VerificationError(
                f"Expected input '{key}' of signature '{name}' to be {wanted.get(key)} as in the schema, "
                f"found {found.get(key)} in the export."
            )


def _answers(
    servable: servable_lib.Servable, call: signature_calls.SignatureCall
) -> Mapping[str, Any]:
    if call.method == _CLASSIFY:
        labels, scores = servable.classify(call.examples, call.signature_name)
        return {"classes": labels, "scores": scores}
    if call.method == _REGRESS:
        return {"outputs": servable.regress(call.examples, call.signature_name)}
    return servable.predict(call.inputs, call.signature_name)


# What a head calls the values that a classification or regression signature answers with (binary_class_head.py,
# multi_class_head.py, regression_head.py of the wheel), most fitting first.
_HEAD_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    _CLASSIFY: {"classes": ("all_classes",), "scores": ("probabilities",)},
    _REGRESS: {"outputs": ("predictions", "logistic")},
}


def _pairs(
    signature: signatures.Signature, answers: Mapping[str, Any], expected: Mapping[str, np.ndarray]
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Returns (output, what the export answers, what the Estimator answers) for everything that both have."""
    names = _HEAD_NAMES.get(signature.method_name, {})
    prefix = _head_prefix(signature.name, expected)
    pairs = []
    for output, answer in answers.items():
        candidates = [prefix + name for name in (*names.get(output, ()), output)] + [output]
        name = next((name for name in candidates if name in expected), None)
        if answer is not None and name is not None:
            pairs.append((output, np.asarray(answer), np.asarray(expected[name])))
    if not pairs:
        raise VerificationError(
            f"Expected signature '{signature.name}' to answer with one of the Estimator's predictions "
            f"({', '.join(sorted(expected))}), found {', '.join(sorted(answers))}."
        )
    return pairs


def _head_prefix(signature: str, expected: Mapping[str, np.ndarray]) -> str:
    """Returns what stands before the name of a prediction of the head that a signature of a `MultiHead` belongs to.

    Such signatures are called `<head>` or `<head>/<kind>`; the default one belongs to the first head.
    """
    heads = list(dict.fromkeys(name.rpartition("/")[0] for name in expected if "/" in name))
    called = signature.removeprefix(f"{receivers.TENSORS}:")
    own = [head for head in heads if called == head or called.startswith(f"{head}/")]
    if not own and called == signatures.DEFAULT_NAME:
        own = heads[:1]
    return f"{own[0]}/" if own else ""


def _difference(what: str, left: np.ndarray, right: np.ndarray) -> float:
    """Returns the largest difference between two arrays; 0 for equal text."""
    if left.size != right.size:
        raise VerificationError(f"Expected {what} to have shape {right.shape}, found {left.shape}.")
    left = left.reshape(right.shape)
    if right.dtype.kind in "OSU":
        differing = np.flatnonzero((left != right).ravel())
        if differing.size:
            row = int(differing[0])
            raise VerificationError(
                f"Expected {what} to be {right.ravel()[row]!r} as the Estimator says, found {left.ravel()[row]!r} "
                f"in the export ({differing.size} of {right.size} values differ)."
            )
        return 0.0
    wanted = right.astype(np.float64)
    error = np.abs(left.astype(np.float64) - wanted) / np.maximum(1.0, np.abs(wanted))
    # Not a number in both places is the same answer.
    error = np.where(np.isnan(wanted) & np.isnan(left.astype(np.float64)), 0.0, error)
    worst = float(np.max(error, initial=0.0))
    if not worst <= TOLERANCE:
        row = int(np.nanargmax(error.reshape(len(wanted), -1).max(axis=1)))
        raise VerificationError(
            f"Expected {what} to be within {TOLERANCE:g} of the Estimator's own answer, found a difference "
            f"of {worst:g} in row {row + 1} of {len(wanted)}. The export was not published."
        )
    return worst
