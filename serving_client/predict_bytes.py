"""PredictRequests written as bytes, for inputs that are what a signature takes.

Everything but the elements is kept from call to call; strings, and what else does not travel as memory, are
made messages. What does not fit is left to `encoding`, which says why.
"""

from typing import Any, Mapping, Optional

import numpy as np

from serving_client import encoding, errors, metadata, tensor_bytes

# The tag of PredictRequest's field `inputs`.
_INPUTS = b"\x12"
# A client that sends ever new shapes is to keep no more of them.
_MAX_ENTRIES = 1000


class PredictEncoder:
    """Writes the requests to one signature. Threads may share it."""

    def __init__(self, start: bytes, signature: metadata.Signature, check_shapes: bool) -> None:
        """Takes what all requests have in common.

        Args:
            start: The bytes of a PredictRequest with all but its inputs.
            signature: Says the names, dtypes and shapes.
            check_shapes: Whether a value must have the shape that the signature states.
        """
        self.signature = signature
        self._start = start
        self._check_shapes = check_shapes
        self._messages = frozenset(
            name for name, spec in signature.inputs.items() if not encoding.travels_as_memory(spec)
        )
        self._entries: dict[tuple[str, np.dtype, tuple[int, ...]], bytes] = {}

    def encode(self, inputs: Mapping[str, Any]) -> Optional[bytes]:
        """Returns the request, or None if the inputs are not just those of the signature."""
        if inputs.keys() != self.signature.inputs.keys():
            return None
        parts: list[Any] = [self._start]
        entries = self._entries
        for name, value in inputs.items():
            if name in self._messages:
                try:
                    tensor = encoding.encode_input(
                        self.signature.inputs[name], value, self._check_shapes
                    )
                except errors.InputError:
                    return None
                parts.append(tensor_bytes.message_entry(_INPUTS, name, tensor))
                continue
            entry = None
            if type(value) is np.ndarray:
                entry = entries.get((name, value.dtype, value.shape))
            if entry is None:
                value = encoding.fitting_array(
                    self.signature.inputs[name], value, self._check_shapes
                )
                if value is None:
                    return None
                entry = tensor_bytes.entry_start(_INPUTS, name, value.dtype, value.shape, True)
                assert entry is not None  # fitting_array gives none of the others
                if len(entries) >= _MAX_ENTRIES:
                    entries.clear()
                entries[name, value.dtype, value.shape] = entry
            parts += (entry, tensor_bytes.memory(value))
        return b"".join(parts)
