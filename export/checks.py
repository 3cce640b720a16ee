"""What a request and a model's answer must satisfy, in TensorFlow Serving's order and sentences.

Everything here works on `SignatureDef`s and arrays; no session is needed. Sources are TF Serving's
predict_util.cc, classifier.cc and regressor.cc, and TensorFlow's cc/saved_model/util.cc."""

import dataclasses
from typing import Any, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from export import errors

CLASSES = "classes"
SCORES = "scores"
_EXAMPLES = "inputs"
_REGRESSIONS = "outputs"
PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


@dataclasses.dataclass(frozen=True)
class Task:
    """One question of a MultiInference request.

    Attributes:
        model_name: must be the same for all tasks of a request.
        signature_name: the signature's key.
        method_name: CLASSIFY_METHOD or REGRESS_METHOD.
    """

    model_name: str
    signature_name: str
    method_name: str


def predict_signature(
    definitions: Mapping[str, Any], key: str, check_method_name: bool = False
) -> Any:
    """The SignatureDef called `key`, for Predict.

    Raises:
        errors.ServableError: `FAILED_PRECONDITION` if there is none; `INTERNAL` if its method is
            checked and none of the three.
    """
    if key not in definitions:
        raise errors.ServableError(
            errors.Code.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.'
        )
    method = definitions[key].method_name
    known = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)
    if check_method_name and method not in known:
        raise errors.ServableError(
            errors.Code.INTERNAL,
            "Expected prediction signature method_name to be one of "
            f"{{{', '.join(known)}}}. Was: {method}",
        )
    return definitions[key]


def predict_feeds(
    definition: Any, inputs: Mapping[str, np.ndarray], defaults: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Tensor name -> value for every input of the signature, from the request or else from the
    defaults.

    Raises:
        errors.ServableError: an input is missing, or one was sent that the signature does not know.
    """
    sent, wanted = set(inputs), set(definition.inputs)
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not defaults):
        raise errors.invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(wanted)} "
            f"len({{{_join(sent)}}}) != len({{{_join(wanted)}}}). "
            f"Sent extra: {{{_join(sent - wanted)}}}. "
            f"Missing but required: {{{_join(wanted - sent)}}}."
        )
    feeds = {}
    for alias in sorted(wanted):
        feed_name = definition.inputs[alias].name
        if alias in sent:
            feeds[feed_name] = inputs[alias]
        elif alias in defaults:
            feeds[feed_name] = defaults[alias]
        else:
            raise errors.invalid_argument(
                f"Signature input alias: {alias}(feed name: {feed_name}) not found in request "
                "and no default value provided. Inputs expected to be in the request "
                f"{{{_join(sent)}}}, or default input alias set: {_join(defaults)}"
            )
    if not sent <= wanted:
        raise errors.invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {_join(sent & wanted)}, "
            f"request input: {_join(sent)}"
        )
    return feeds


def predict_outputs(definition: Any, output_filter: Sequence[str]) -> list[str]:
    """The outputs to compute: those of the filter in its order, or all in sorted order.

    Raises:
        errors.ServableError: the filter names an unknown output, or one twice.
    """
    seen: list[str] = []
    for alias in output_filter:
        if alias not in definition.outputs:
            raise errors.invalid_argument(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{_join(definition.outputs)}}}."
            )
        if alias in seen:
            raise errors.invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.append(alias)
    return seen or sorted(definition.outputs)


def example_signature(definitions: Mapping[str, Any], key: str) -> Any:
    """The SignatureDef called `key`, for Classify and Regress; a missing one is an error."""
    if key not in definitions:
        raise errors.invalid_argument(f"No signature was found with the name: {key}")
    return definitions[key]


def classify_tensors(definition: Any, check_method_name: bool = False) -> tuple[str, list[str]]:
    """The tensor that takes the Examples, and which of `classes` and `scores` the signature has."""
    _check_examples_signature(
        definition, "classification", CLASSIFY_METHOD if check_method_name else None
    )
    count = len(definition.outputs)
    if count not in (1, 2):
        raise errors.invalid_argument(f"Expected one or two output Tensors, found {count}")
    feed = _example_input(definition, "classification")
    names = [key for key in (CLASSES, SCORES) if key in definition.outputs]
    if not names:
        raise errors.invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"classes" or "scores". Signature was: {definition}'
        )
    return feed, names


def regress_tensors(definition: Any, check_method_name: bool = False) -> tuple[str, str]:
    """The tensor that takes the Examples and the one that gives the values."""
    _check_examples_signature(
        definition, "regression", REGRESS_METHOD if check_method_name else None
    )
    if len(definition.outputs) != 1:
        raise errors.invalid_argument("Expected one output Tensor.")
    feed = _example_input(definition, "regression")
    if _REGRESSIONS not in definition.outputs:
        raise errors.invalid_argument(f"No regression outputs found in SignatureDef: {definition}")
    return feed, definition.outputs[_REGRESSIONS].name


def task_signatures(definitions: Mapping[str, Any], tasks: Iterable[Task]) -> Iterable[Any]:
    """Gives the SignatureDef of each task (TF Serving: multi_inference.cc).

    One at a time, so that what is wrong with a task is said before the next one is looked at.

    Raises:
        errors.ServableError: a task that does not fit those before it or the model, or that asks
            for another method than classify and regress.
    """
    first_name = ""
    seen: set[str] = set()
    for task in tasks:
        key = task.signature_name
        if not task.model_name:
            raise errors.invalid_argument("Found ModelSpec with an empty model name.")
        first_name = first_name or task.model_name
        if task.model_name != first_name:
            raise errors.invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        if key in seen:
            raise errors.invalid_argument(f"Duplicate evaluation of signature: {key}")
        seen.add(key)
        if key not in definitions:
            raise errors.invalid_argument(f"Requested signature not found in model graph: {key}")
        if task.method_name not in (CLASSIFY_METHOD, REGRESS_METHOD):
            raise errors.ServableError(
                errors.Code.UNIMPLEMENTED,
                f"Unsupported signature method_name: {task.method_name}",
            )
        yield definitions[key]


def check_classification(
    labels: np.ndarray | None, scores: np.ndarray | None, examples: int
) -> None:
    """Demands `[examples, classes]` of both, labels of strings and scores of float32."""
    if labels is not None:
        _check_matrix(CLASSES, labels, types_pb2.DT_STRING, examples)
    if scores is not None:
        _check_matrix(SCORES, scores, types_pb2.DT_FLOAT, examples)
    if labels is not None and scores is not None and labels.shape != scores.shape:
        raise errors.invalid_argument(
            "Tensors class and score should match in dim_size(1). "
            f"Got {labels.shape[1]} vs. {scores.shape[1]}"
        )


def check_regression(values: np.ndarray, examples: int) -> None:
    """Demands `[examples]` or `[examples, 1]` float32."""
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
        raise errors.invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {_debug_shape(values)}"
        )
    if len(values) != examples:
        raise errors.invalid_argument(
            f"Input batch size did not match output batch size: {examples} vs. {len(values)}"
        )
    if values.dtype != np.float32:
        raise errors.invalid_argument(
            f"Expected output Tensor of DT_FLOAT.  Got: {_dtype_name(values)}"
        )


def _check_examples_signature(definition: Any, kind: str, method: str | None) -> None:
    """Demands one input, and first the method if it is given."""
    if method is not None and definition.method_name != method:
        raise errors.invalid_argument(
            f"Expected {kind} signature method_name to be {method}. Was: {definition.method_name}"
        )
    if len(definition.inputs) != 1:
        raise errors.invalid_argument("Expected one input Tensor.")


def _example_input(definition: Any, kind: str) -> str:
    if _EXAMPLES not in definition.inputs:
        raise errors.invalid_argument(f"No {kind} inputs found in SignatureDef: {definition}")
    return definition.inputs[_EXAMPLES].name


def _check_matrix(key: str, values: np.ndarray, dtype: int, examples: int) -> None:
    if values.ndim != 2:
        raise errors.invalid_argument(
            f"Expected Tensor shape: [batch_size num_classes] but got {_debug_shape(values)}"
        )
    wanted = types_pb2.DataType.Name(dtype)
    if _dtype_name(values) != wanted:
        raise errors.invalid_argument(
            f"Expected {key} Tensor of {wanted}. Got: {_dtype_name(values)}"
        )
    if len(values) != examples:
        raise errors.invalid_argument(
            f"Expected {key} output batch size of {examples}. Got: {len(values)}"
        )


def _join(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def _debug_shape(values: np.ndarray) -> str:
    """`[2,3]`, as TensorShape::DebugString has it."""
    return "[" + ",".join(str(size) for size in values.shape) + "]"


def _dtype_name(values: np.ndarray) -> str:
    """`DT_FLOAT` and the like."""
    return types_pb2.DataType.Name(tf.dtypes.as_dtype(values.dtype).as_datatype_enum)
