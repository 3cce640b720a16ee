"""Which runs of a session are so short that the calling thread does them by itself.

TensorFlow hands the operations of a run to a pool of threads. For a small model that costs more than the operations
do, and RunOptions with `inter_op_thread_pool = -1` spares it. Such a run has no time limit, since nobody waits for it
beside the thread that does it: so it is only for what has been seen to be short and cannot become long, operations
without loops, without waits and without results whose size is a value that was fed, and inputs of the same shapes.
"""

import functools
import re
import threading
from typing import Any, Hashable, Iterable, NamedTuple

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


# Operations that make as much as the values of some inputs say, and which inputs these are: every one, the first, ...
_SIZED = (
    (re.compile("Range$|LinSpace|Stateful(Uniform|Standard|Truncated|Random)"), slice(None)),
    (re.compile("Fill$|^Empty$|Random|Truncated|Decode"), slice(0, 1)),
    (re.compile("^Tile$|BroadcastTo|OneHot|Pad(V2)?$|Resize|Multinomial|Bincount"), slice(1, 2)),
    (re.compile("UnsortedSegment|^ScatterNd$"), slice(2, 3)),
)
# What they give follows from the shapes of their inputs.
_SHAPES = frozenset(["Shape", "ShapeN", "Size", "Rank"])


class _Node(NamedTuple):
    """An operation of a graph or a function.

    Attributes:
        op: its type.
        inputs: the operations, or arguments of the function, whose values it takes, in order.
        before: the operations that it waits for.
        functions: that it calls.
    """

    op: str
    inputs: tuple[str, ...]
    before: tuple[str, ...]
    functions: tuple[str, ...]


class BoundedTime:
    """Knows for which fetches of a graph the time of a run follows from the shapes of what is fed."""

    def __init__(self, graph_def: Any) -> None:
        """Reads the graph.

        Args:
            graph_def: a `tf.compat.v1.GraphDef`, with its library.
        """
        library = {function.signature.name: function for function in graph_def.library.function}
        self._nodes = {node.name: _read(node, library) for node in graph_def.node}
        self._functions = {
            name: (
                [argument.name for argument in function.signature.input_arg],
                {node.name: _read(node, library) for node in function.node_def},
            )
            for name, function in library.items()
        }

    def holds(self, feeds: Iterable[str], fetches: Iterable[str]) -> bool:
        """Whether it is so for a run.

        Args:
            feeds: names of the tensors that are fed.
            fetches: names of the tensors that are fetched.
        """
        nodes: dict[str, _Node] = {}
        names = [fetch.split(":")[0] for fetch in fetches]
        while names:
            name = names.pop()
            if name not in nodes and name in self._nodes:
                nodes[name] = self._nodes[name]
                names += [*nodes[name].inputs, *nodes[name].before]
        return self._is_bounded(nodes, {feed.split(":")[0] for feed in feeds}, {})

    def _is_bounded(
        self, nodes: dict[str, _Node], fed: set[str], known: dict[tuple[str, bool], bool]
    ) -> bool:
        """Whether it is so for the operations of a graph or function.

        Args:
            nodes: the operations by their names.
            fed: those, or the arguments, whose values the caller chooses.
            known: the answers for functions, by whether the caller chooses what they are called with.
        """
        if any(_UNBOUNDED.search(node.op) for node in nodes.values()):
            return False
        chosen = _reached(nodes, fed)
        for node in nodes.values():
            for pattern, sizes in _SIZED:
                if pattern.search(node.op):
                    if not chosen.isdisjoint(node.inputs[sizes]):
                        return False
                    break
            called_with_chosen = not chosen.isdisjoint(node.inputs)
            for name in node.functions:
                key = (name, called_with_chosen)
                if key not in known:
                    known[key] = False  # of a function that calls itself
                    arguments, inner = self._functions[name]
                    inner_fed = set(arguments) if called_with_chosen else set()
                    known[key] = self._is_bounded(inner, inner_fed, known)
                if not known[key]:
                    return False
        return True


def _read(node: Any, library: Iterable[str]) -> _Node:
    """What counts of a NodeDef."""
    functions = [node.op]
    for value in node.attr.values():
        functions += [function.name for function in (value.func, *value.list.func)]
    return _Node(
        node.op,
        tuple(name.split(":")[0] for name in node.input if name[0] != "^"),
        tuple(name[1:] for name in node.input if name[0] == "^"),
        tuple(name for name in functions if name in library),
    )


def _reached(nodes: dict[str, _Node], fed: set[str]) -> set[str]:
    """Names of the operations whose values follow from fed values, and not from their shapes alone."""
    readers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        if node.op not in _SHAPES:
            for source in node.inputs:
                readers.setdefault(source, []).append(name)
    reached = set(fed)
    names = list(fed)
    while names:
        for reader in readers.get(names.pop(), ()):
            if reader not in reached:
                reached.add(reader)
                names.append(reader)
    return reached


class SmallRuns:
    """Remembers which runs of one session are short. Methods may be called from several threads."""

    def __init__(self) -> None:
        """Knows of no run yet."""
        self._lock = threading.Lock()
        self._missing: dict[Hashable, int] = {}

    def is_small(self, key: Hashable) -> bool:
        """Whether the runs of this key have been seen to be short.

        Args:
            key: what is fed and fetched, for which BoundedTime holds, with the dtypes and shapes of
                what is fed.
        """
        return self._missing.get(key) == 0

    def add(self, key: Hashable, secs: float) -> None:
        """Remembers how long a run took that succeeded."""
        if secs > _LONG_SECS:
            self._missing.pop(key, None)
        elif secs <= _SHORT_SECS and self._missing.get(key) != 0:
            with self._lock:
                if len(self._missing) >= _MAX_KEYS:
                    self._missing.clear()
                self._missing[key] = max(self._missing.get(key, _PROOFS) - 1, 0)


@functools.lru_cache(maxsize=1024)
def _serialized_options(**fields: int) -> bytes:
    return tf.compat.v1.RunOptions(**fields).SerializeToString()


def options_buffer(**fields: int) -> Any:
    """The runtime's own buffer of RunOptions with these fields; TF_DeleteBuffer frees it."""
    return pywrap_tf_session.TF_NewBufferFromString(_serialized_options(**fields))
