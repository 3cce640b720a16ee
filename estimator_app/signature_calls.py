"""What each signature of our own export is asked, given rows of data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses

import numpy as np

from export import checks, padding, receivers, signatures
from input_fns import schema as schema_lib

_OF_EXAMPLES = (checks.CLASSIFY_METHOD, checks.REGRESS_METHOD)


@dataclasses.dataclass(frozen=True)
class SignatureCall:
    """One call of one signature.

    Attributes:
      signature_name: whom to ask.
      method: checks.CLASSIFY_METHOD or REGRESS_METHOD, which take `examples`, or PREDICT_METHOD, which takes `inputs`.
      inputs: input name -> array; empty for the others.
      examples: serialized `tf.Example`s, one a row; empty for Predict.
    """

    signature_name: str
    method: str
    inputs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    examples: Sequence[bytes] = ()


def calls(
    found: Mapping[str, signatures.Signature],
    schema: schema_lib.Schema,
    rows: Mapping[str, np.ndarray],
) -> Iterator[SignatureCall]:
    """Gives a call for each signature, all with the same rows.

    Args:
      found: the signatures of an export that was made with `receivers.make_receiver(schema)`.
      schema: the features.
      rows: feature name -> `[num_rows, *shape]` array, strings as bytes; of lists an object array of arrays.
    """
    serialized = receivers.serialize_examples(dict(rows), schema)
    plain = {
        feature.name: (
            padding.pad(rows[feature.name], feature.dtype)
            if feature.is_list
            else rows[feature.name]
        )
        for feature in schema.features
    }
    for name, signature in found.items():
        if name.startswith(f"{receivers.TENSORS}:"):
            inputs = plain
            if signature.method_name in _OF_EXAMPLES:
                # TensorFlow makes these of plain tensors too where there is a single one, of text, as Examples are;
                # Classify and Regress can send no text, Predict can.
                inputs = {"inputs": value for value in plain.values()}
            yield SignatureCall(name, checks.PREDICT_METHOD, inputs)
        elif signature.method_name in _OF_EXAMPLES:
            yield SignatureCall(name, signature.method_name, examples=serialized)
        else:
            texts = np.array(serialized, object)
            yield SignatureCall(name, checks.PREDICT_METHOD, dict.fromkeys(signature.inputs, texts))
