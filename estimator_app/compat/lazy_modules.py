"""Loads the parts of TensorFlow that it would load at first use, in an order and a thread that are safe.

Two traps are behind this, both there from 2.16 to 2.22:

- The first load of tf_keras imports `tensorflow.compat.v1`, which takes the place of `tf.compat.v1` (see `views`). What
  was put on the first is missing on the second, so nothing may be put on either before tf_keras is loaded.
- `KerasLazyLoader` (tensorflow/python/util/lazy_loader.py) says that it is initialized before it knows which Keras it
  has. A second thread that touches the same loader meanwhile asks for `_tfll_keras_version`, is sent to `__getattr__`,
  which asks for `_tfll_keras_version`: RecursionError. Estimators touch `tf.keras` from threads of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
import importlib
import types
from typing import NamedTuple

from estimator_app.compat import views

_V1_API = "tf_keras.api._v1.keras"
_V2_API = "tf_keras.api._v2.keras"
_KERAS_PARTS = ("losses", "metrics", "optimizers", "initializers")


class _Part(NamedTuple):
    """A lazily loaded module: attribute `name` of the module at `path` below a view stands for module `target`."""

    path: str
    name: str
    target: str


_PARTS = {
    views.V1: (
        _Part("", "keras", _V1_API),
        _Part("", "layers", f"{_V1_API}.__internal__.legacy.layers"),
        _Part("nn", "rnn_cell", f"{_V1_API}.__internal__.legacy.rnn_cell"),
    ),
    views.V2: (_Part("", "keras", _V2_API),)
    + tuple(_Part("", name, f"{_V2_API}.{name}") for name in _KERAS_PARTS),
}


def resolve() -> None:
    """Loads tf_keras and every view of TensorFlow, and puts the loaded modules where lazy loaders were.

    Call it before anything is set on a view. The environment must choose legacy Keras (`legacy_keras.choose`).
    """
    for target in (_V2_API, _V1_API):
        importlib.import_module(target)
    views.load()
    for owner, part in _parts():
        module = importlib.import_module(part.target)
        _settle(vars(owner).get(part.name), module)
        setattr(owner, part.name, module)


def uses_keras_3() -> bool:
    """Returns True if a lazily loaded part of a view was touched and resolved to Keras 3."""
    return any(_is_keras_3(vars(owner).get(part.name)) for owner, part in _parts())


def _parts() -> Iterator[tuple[types.ModuleType, _Part]]:
    for view, kind in list(views.loaded()):
        for part in _PARTS[kind]:
            owner = views.below(view, part.path)
            if owner is not None:
                yield owner, part


def _is_keras_3(value: object) -> bool:
    state = getattr(value, "__dict__", {})
    if "_tfll_initialized" in state:
        return state.get("_tfll_keras_version") == "keras_3"
    return str(state.get("__name__")).startswith("keras.")


def _settle(loader: object, module: types.ModuleType) -> None:
    """Lets a loader that somebody holds (`keras = tf.keras`) answer without loading, from any thread.

    A loader that resolved to Keras 3 is left as it is: whoever holds it made objects with it.
    """
    state = getattr(loader, "__dict__", {})
    if "_tfll_initialized" not in state or state["_tfll_initialized"]:
        return
    state.update(
        {name: value for name, value in vars(module).items() if not name.startswith("_tfll_")}
    )
    state.update(_tfll_local_name=state["_tfll_name"], _tfll_warning=None)
    state["_tfll_keras_version"] = "tf_keras"
    state["_tfll_initialized"] = True  # last: from here on another thread relies on the rest
