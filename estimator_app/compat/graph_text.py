"""TensorFlow 2.20 writes graph.pbtxt, as every training with a checkpoint does, under protobuf 7 too.

`tensorflow/python/framework/graph_io.py` passes `float_format=""` to `text_format.MessageToString`, up to and including
2.20; protobuf 7 took the argument away. Releases before 2.20 require a protobuf below 7, later ones no longer pass it.
An empty format means the default one, so the text is the same without it.
"""

from __future__ import annotations

import inspect

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow.python.framework import graph_io

_ARGUMENT = "float_format"


def is_missing() -> bool:
    """Returns True if `graph_io` passes an argument that protobuf no longer takes, and nobody has helped it."""
    if isinstance(graph_io.text_format, _TextFormat):
        return False
    # The names of keyword arguments in a call are a tuple among the constants.
    constants = graph_io.write_graph.__code__.co_consts
    passes = any(isinstance(names, tuple) and _ARGUMENT in names for names in constants)
    return passes and _ARGUMENT not in inspect.signature(text_format.MessageToString).parameters


def supply() -> None:
    """Lets `graph_io`, and no other module, see a MessageToString that takes the argument."""
    graph_io.text_format = _TextFormat()


class _TextFormat:
    """What `graph_io` uses of `google.protobuf.text_format`."""

    @staticmethod
    def MessageToString(message: Message, float_format: str = "") -> str:
        """Returns the text of `message`, numbers in protobuf's default format."""
        assert not float_format
        return text_format.MessageToString(message)
