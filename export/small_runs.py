"""Which runs of a session are so short that the calling thread does them by itself.

TensorFlow hands the operations of a run to a pool of threads. For a small model that costs more than the operations
do, and RunOptions with `inter_op_thread_pool = -1` spares it. Such a run has no time limit, since nobody waits for it
beside the thread that does it: so it is only for what has been seen to be short and cannot become long, a graph
without loops and waits and inputs of the same shapes.
"""

import re
import threading
from typing import Any, Hashable

import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session

# Seen so often to be at most so long.
_PROOFS = 5
_SHORT_SECS = 0.002
# Longer than any load of the machine explains: the proof begins anew.
_LONG_SECS = 0.1
# Callers choose the shapes: no flood of them may fill the memory.
_MAX_KEYS = 1000
# Operations whose time does not follow from the shapes of their inputs.
_UNBOUNDED = re.compile(
    "While|Enter$|Dequeue|PyFunc|Iterator|Dataset|Barrier|Unstage|OrderedMap|Recv|CollectiveGather"
)


def has_bounded_time(graph_def: Any) -> bool:
    """Whether how long the operations of a graph take follows from the shapes of its inputs."""
    nodes = [graph_def.node, *(function.node_def for function in graph_def.library.function)]
    return not any(map(_UNBOUNDED.search, {node.op for group in nodes for node in group}))


class SmallRuns:
    """Remembers which runs of one session are short. Methods may be called from several threads."""

    def __init__(self, graph_def: Any) -> None:
        """Knows of no run yet.

        Args:
            graph_def: of the session.
        """
        self._bounded = has_bounded_time(graph_def)
        self._lock = threading.Lock()
        self._missing: dict[Hashable, int] = {}

    def is_small(self, key: Hashable) -> bool:
        """Whether the runs of this key have been seen to be short.

        Args:
            key: what is fed and fetched, with the dtypes and shapes of what is fed.
        """
        return self._missing.get(key) == 0

    def add(self, key: Hashable, secs: float) -> None:
        """Remembers how long a run took that succeeded."""
        if secs > _LONG_SECS:
            self._missing.pop(key, None)
        elif self._bounded and secs <= _SHORT_SECS and self._missing.get(key) != 0:
            with self._lock:
                if len(self._missing) >= _MAX_KEYS:
                    self._missing.clear()
                self._missing[key] = max(self._missing.get(key, _PROOFS) - 1, 0)


def options_buffer(**fields: int) -> Any:
    """The runtime's own buffer of RunOptions with these fields; TF_DeleteBuffer frees it."""
    options = tf.compat.v1.RunOptions(**fields)
    return pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())
