"""Rows of text or JSON as questions to a model: which signature, and which call.

A signature is asked in one of two ways. If its inputs are plain named tensors and the rows have a
column for each, the columns are sent as tensors. If it takes one string tensor, each row is sent as
a serialised tf.Example with all its columns; what these columns hold is known where another
signature takes them as plain tensors.
"""

import dataclasses
import json
import re
from typing import Any, Iterable, Mapping, Optional, Sequence

import numpy as np

from serving_client import answers
from serving_client import client as client_lib
from serving_client import encoding, errors, metadata, query_settings
from serving_client import rows as rows_lib
from serving_client import wire

_INTEGER = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")
# What a feature of a tf.Example can hold.
_EXAMPLE_DTYPES = frozenset(
    "string bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
    "float16 bfloat16 float32 float64".split()
)
_BOOLS = {"true": True, "1": True, "false": False, "0": False}

# What comes back for one row: value, array or list by output name.
Answer = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Question:
    """How rows are asked.

    Attributes:
        signature: The signature that answers.
        as_examples: Whether rows are sent as tf.Examples; otherwise as named tensors.
        types: What columns hold, as other signatures say, where rows are sent as tf.Examples; the
            types of columns without an entry are guessed.
        examples_signature: Where rows are sent as tensors, the signature that takes tf.Examples, so
            that a row may leave a column out; "" if there is none.
    """

    signature: metadata.Signature
    as_examples: bool
    types: Mapping[str, metadata.TensorSpec] = dataclasses.field(default_factory=dict)
    examples_signature: str = ""


def choose(found: metadata.ModelMetadata, name: str, columns: Iterable[str]) -> Question:
    """Returns how to ask rows with the given columns.

    Args:
        found: What the server says of the model.
        name: The signature that the user wants; empty chooses one: first of those with plain
            inputs, then of those that take examples, and of these one whose name ends in `predict`,
            then `serving_default`, then by name.
        columns: The columns of the rows.

    Raises:
        errors.InputError: There is no such signature, or none that these columns can ask.
    """
    columns = set(columns)
    if name:
        if name not in found.signatures:
            raise errors.InputError(
                f"Model {found.model!r}, version {found.version}, has no signature {name!r}; it has "
                f"{', '.join(found.signatures) or 'none'}."
            )
        candidates = [found.signatures[name]]
    else:
        candidates = sorted(found.signatures.values(), key=_rank)
    for signature in candidates:
        if signature.inputs and not missing_columns(signature, columns):
            instead = _examples_signature(found, signature)
            if instead and not name and any(map(_is_list, signature.inputs.values())):
                continue  # lists of different lengths are no tensor; an Example has room for them
            return Question(signature, as_examples=False, examples_signature=instead)
    for signature in candidates:
        if takes_examples(signature):
            return Question(signature, as_examples=True, types=_types(found, signature, columns))
    asked = [signature for signature in candidates if signature.inputs]
    if not asked:
        raise errors.InputError(f"Model {found.model!r} has no signature that takes inputs.")
    nearest = min(asked, key=lambda signature: len(missing_columns(signature, columns)))
    raise errors.InputError(
        f"The input lacks columns that signature {nearest.name!r} takes: "
        f"{', '.join(missing_columns(nearest, columns))}; it has {', '.join(sorted(columns))}."
    )


def _rank(signature: metadata.Signature) -> tuple[bool, bool, str]:
    """Returns what the default choice sorts by."""
    return (
        not signature.name.endswith("predict"),
        not signature.name.endswith(metadata.DEFAULT_SIGNATURE),
        signature.name,
    )


def _types(
    found: metadata.ModelMetadata, chosen: metadata.Signature, columns: Iterable[str]
) -> dict[str, metadata.TensorSpec]:
    """Returns what columns hold by the signatures that take them as plain tensors.

    Only columns of one value or one list a row, whose dtype a tf.Example has and no two signatures dispute.
    """
    types: dict[str, metadata.TensorSpec] = {}
    for column in columns:
        specs = [
            signature.inputs[column]
            for signature in found.signatures.values()
            if signature is not chosen and column in signature.inputs
        ]
        if len({spec.dtype for spec in specs}) == 1 and all(map(_fits_example, specs)):
            types[column] = specs[0]
    return types


def _fits_example(spec: metadata.TensorSpec) -> bool:
    """Says whether the input is a value or list a row that a feature of a tf.Example can hold."""
    one_a_row = spec.shape is None or len(spec.shape) < 2 or spec.shape[1:] == (1,)
    return (one_a_row or _is_list(spec)) and spec.dtype in _EXAMPLE_DTYPES


def _is_list(spec: metadata.TensorSpec) -> bool:
    """Says whether the input is a list of any length a row."""
    return spec.shape is not None and len(spec.shape) == 2 and spec.shape[1] is None


def _examples_signature(found: metadata.ModelMetadata, chosen: metadata.Signature) -> str:
    """Returns the signature that takes tf.Examples instead: `predict` for `tensors:predict`."""
    others = [
        signature
        for signature in found.signatures.values()
        if signature is not chosen and takes_examples(signature)
    ]
    others.sort(
        key=lambda signature: (not chosen.name.endswith(f":{signature.name}"), *_rank(signature))
    )
    return others[0].name if others else ""


def takes_examples(signature: metadata.Signature) -> bool:
    """Says whether a signature takes one string tensor, which is most likely serialised examples."""
    return [spec.dtype for spec in signature.inputs.values()] == ["string"]


def missing_columns(signature: metadata.Signature, columns: Iterable[str]) -> list[str]:
    """Returns the inputs that a request needs and that are not among columns."""
    return sorted(signature.inputs.keys() - signature.optional_inputs - set(columns))


def ask(
    client: client_lib.PredictionClient,
    question: Question,
    batch: Sequence[rows_lib.Row],
    query: query_settings.QuerySettings,
) -> list[Answer]:
    """Returns the answer to each row of a batch.

    Args:
        client: Who is asked.
        question: How to ask.
        batch: The rows; all have the columns that the question was chosen for.
        query: Says the version, the outputs, and, if it is one, the file for messages.

    Raises:
        errors.InputError: A value does not fit; with file, row, column and value.
    """
    place = query.input or "the rows"
    how = (question.signature.name, query.version, query.version_label)
    if not question.as_examples:
        columns = _columns(question, batch, place)
        return _split(client.predict(columns, *how, query.output_filter), batch)
    examples = [_example(row, question.types, place) for row in batch]
    if question.signature.method_name == metadata.CLASSIFY:
        return [
            {
                "classes": [label for label, _ in classes],
                "scores": np.array([score for _, score in classes], np.float32),
            }
            for classes in client.classify(examples, *how)
        ]
    if question.signature.method_name == metadata.REGRESS:
        return [{"outputs": np.float32(value)} for value in client.regress(examples, *how)]
    (name,) = question.signature.inputs
    serialised = [example.SerializeToString() for example in examples]
    return _split(client.predict({name: serialised}, *how, query.output_filter), batch)


def _columns(question: Question, batch: Sequence[rows_lib.Row], place: str) -> dict[str, Any]:
    """Returns the value of each input for a batch; [len(batch), ...] each."""
    signature = question.signature
    columns = {}
    for name, spec in signature.inputs.items():
        if name not in batch[0].values and name in signature.optional_inputs:
            continue
        if question.examples_signature:
            _refuse_empty_cells(batch, name, spec, place, question.examples_signature)
        stacked = _stack(batch, name, spec, place)
        if spec.shape is not None and stacked.ndim == 1 and spec.shape[1:] == (1,):
            stacked = stacked[:, None]  # one number a row where the model takes vectors of one
        columns[name] = stacked
    return columns


def _refuse_empty_cells(
    batch: Sequence[rows_lib.Row],
    name: str,
    spec: metadata.TensorSpec,
    place: str,
    examples_signature: str,
) -> None:
    """Raises errors.InputError, with the way out, for an empty cell where spec wants a number."""
    for row in batch:
        if _is_empty(row, name, spec):
            reason = ValueError(
                "an empty cell has no value as a plain tensor; with "
                f"--signature_name={examples_signature} a row may leave out features that have a "
                "default"
            )
            raise _misfit(row, name, spec, place, reason)


def _is_empty(row: rows_lib.Row, name: str, spec: Optional[metadata.TensorSpec]) -> bool:
    """Says whether a cell of CSV is empty; around a number, spaces mean nothing."""
    if not row.is_text:
        return False
    text = row.values[name]
    return not (text.strip() if spec and spec.dtype != "string" else text)


def _stack(
    batch: Sequence[rows_lib.Row], name: str, spec: metadata.TensorSpec, place: str
) -> np.ndarray:
    """Returns the values of one column as an array of the dtype that spec asks for; [n, ...].

    Raises:
        errors.InputError: A value does not fit, or two are of different shapes.
    """
    try:
        return _convert([_value(row, name, spec, place) for row in batch], spec)
    except ValueError as error:
        whole = error
    shapes = set()
    for row in batch:  # slower, but it finds the row
        value = _value(row, name, spec, place)
        try:
            shapes.add(_convert(value, spec).shape)
        except ValueError as error:
            raise _misfit(row, name, spec, place, error) from error
    if len(shapes) == 1:
        raise errors.InputError(f"{place}, column {name}: {whole}") from whole
    raise errors.InputError(
        f"{place}, rows {batch[0].number} to {batch[-1].number}, column {name}: values of different "
        f"shapes ({', '.join(sorted(map(str, map(list, shapes))))}) cannot be sent together; use "
        "--batch_size=1."
    )


def _value(row: rows_lib.Row, name: str, spec: metadata.TensorSpec, place: str) -> Any:
    """Returns one value; a number for text of CSV where spec wants one, a list for text that is one in JSON.

    Raises:
        errors.InputError: It is missing, or no number.
    """
    if name not in row.values:
        raise errors.InputError(f"{place}, row {row.number}: column {name} is missing.")
    value = row.values[name]
    if row.is_text and _is_list(spec) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError as error:
            raise _misfit(row, name, spec, place, error) from error
    if not row.is_text or spec.dtype == "string":
        return value
    try:
        return _number(value, wire.numpy_dtype(spec.data_type))
    except ValueError as error:
        raise _misfit(row, name, spec, place, error) from error


def _convert(value: Any, spec: metadata.TensorSpec) -> np.ndarray:
    """Returns a value, or a list of those of a batch, as an array of the dtype of spec.

    Raises:
        ValueError: It does not fit.
    """
    if spec.dtype == "string":
        return wire.to_array(wire.to_tensor_proto(value, data_type=spec.data_type))
    return encoding.to_numbers(value, wire.numpy_dtype(spec.data_type))


def _misfit(
    row: rows_lib.Row, name: str, spec: metadata.TensorSpec, place: str, error: ValueError
) -> errors.InputError:
    """Returns the error for a value that is not of the dtype of spec."""
    return errors.InputError(
        f"{place}, row {row.number}, column {name}: {_shown(row.values[name])} is not {spec.dtype} "
        f"({str(error).rstrip('.')})."
    )


def _number(text: str, dtype: np.dtype) -> Any:
    """Returns the number that text says, for a tensor of dtype.

    Raises:
        ValueError: It says none.
    """
    text = text.strip()
    if not text:
        raise ValueError("the value is empty")
    if dtype.kind == "b":
        if text.lower() not in _BOOLS:
            raise ValueError("expected true, false, 1 or 0")
        return _BOOLS[text.lower()]
    try:
        if _INTEGER.fullmatch(text):
            return int(text)
        return complex(text) if dtype.kind == "c" else float(text)
    except ValueError as error:
        raise ValueError("it is no number") from error


def _example(row: rows_lib.Row, types: Mapping[str, metadata.TensorSpec], place: str) -> Any:
    """Returns a row as a tf.Example, without its empty cells.

    Args:
        row: The row.
        types: What its columns hold; without an entry, numbers of CSV are told from text by their
            looks, and JSON's own types stay.
        place: The row's file, for messages.

    Raises:
        errors.InputError: A value does not fit its type, or none that a tf.Example has.
    """
    values = {}
    for name, value in row.values.items():
        spec = types.get(name)
        if value is None or _is_empty(row, name, spec):
            continue
        if spec:
            value = _typed(row, name, spec, place)
        elif row.is_text:
            value = _guess(value)
        values[name] = value
    try:
        return encoding.make_example(values)
    except errors.InputError as error:
        raise errors.InputError(f"{place}, row {row.number}: {error}") from error


def _typed(row: rows_lib.Row, name: str, spec: metadata.TensorSpec, place: str) -> Any:
    """Returns one value, or list, as of the dtype of spec.

    Raises:
        errors.InputError: It is of another one.
    """
    value = _value(row, name, spec, place)
    try:
        return _convert(value, spec)
    except ValueError as error:
        raise _misfit(row, name, spec, place, error) from error


def _guess(text: str) -> Any:
    """Returns text as the number that it writes (with a point or exponent a float), or as it is."""
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _REAL.fullmatch(text) else text


def _shown(value: Any) -> str:
    """Returns a value for a message, cut to a length that can be read."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _split(outputs: Mapping[str, np.ndarray], batch: Sequence[rows_lib.Row]) -> list[Answer]:
    """Returns the outputs row by row; those that have no entry a row are left out."""
    count = len(batch)
    kept = {name: value for name, value in outputs.items() if value.shape[:1] == (count,)}
    if not kept:
        shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in outputs.items())
        raise errors.ServerError(
            f"No output has one entry for each of {count} rows; the model gave {shapes or 'none'}."
        )
    lists = {name: answers.plain(value) for name, value in kept.items()}  # at once, for speed
    return [{name: value[place] for name, value in lists.items()} for place in range(count)]


def notes(
    question: Question, found: metadata.ModelMetadata, name: str, columns: Iterable[str]
) -> list[str]:
    """Returns what the user should know of a choice: columns not sent, tensors not covered.

    Args:
        question: What `choose` returned for the other arguments.
        found: What the server says of the model.
        name: The signature that the user wants, or "".
        columns: The columns of the rows.
    """
    columns = list(columns)
    chosen = question.signature
    if not question.as_examples:
        ignored = [column for column in columns if column not in chosen.inputs]
        return [f"signature {chosen.name!r} does not take {', '.join(ignored)}."] * bool(ignored)
    others = [one for one in found.signatures.values() if one.inputs and not takes_examples(one)]
    if name or not others:
        return []
    nearest = min(others, key=lambda one: (len(missing_columns(one, columns)), _rank(one)))
    missing = missing_columns(nearest, columns)
    if not missing:  # it takes lists, padded
        return []
    return [
        f"the input lacks {', '.join(missing)} for signature {nearest.name!r}; rows are sent as "
        f"tf.Examples to signature {chosen.name!r}."
    ]
