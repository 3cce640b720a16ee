"""Every module object that plays the part of `tf`, `tf.compat.v1` or `tf.compat.v2` in this process.

There are more of them than names. TensorFlow imports its views as `tensorflow._api.v2.compat.v1`; the first
`import tensorflow.compat.v1`, which legacy Keras does, finds the same file through `tensorflow.__path__` and runs it
again as a second module, which takes the place of the first under `tf.compat`. Whoever asked earlier keeps the first.
Each view carries views of its own (`tf.compat.v1.compat.v2`), to which the same happens.
"""

from __future__ import annotations

from collections.abc import Iterator
import importlib
import itertools
import sys
import types

V1 = "v1"
V2 = "v2"

# `tensorflow` is the V2 view itself; below it, one level of views inside views.
_BELOW = (
    ("",)
    + tuple(f".compat.{view}" for view in (V1, V2))
    + tuple(f".compat.{a}.compat.{b}" for a, b in itertools.product((V1, V2), repeat=2))
)
NAMES = {
    root + below: V1 if below.endswith(V1) else V2
    for root in ("tensorflow", "tensorflow._api.v2")
    for below in _BELOW
    if root + below != "tensorflow._api.v2"
}


def load() -> None:
    """Imports every view under the names that a user can write, so that no second module of any is made later.

    Some milliseconds: the views' parts are loaded, only their tables of names are run again.
    """
    for below in _BELOW:
        importlib.import_module("tensorflow" + below)


def loaded() -> Iterator[tuple[types.ModuleType, str]]:
    """Yields each view that is loaded, with `V1` or `V2`; every module object once."""
    for name, kind in NAMES.items():
        if name in sys.modules:
            yield sys.modules[name], kind


def below(view: types.ModuleType, path: str) -> types.ModuleType | None:
    """Returns the module at a dotted path below a view, such as "data.experimental"; None if there is none."""
    module: types.ModuleType | None = view
    for name in path.split(".") if path else ():
        module = getattr(module, name, None)
    return module
