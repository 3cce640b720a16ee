"""`import tensorflow.estimator` and `import tensorflow.python.estimator`: old paths that lead to the wheel's own
modules.

TensorFlow 2.15 had copies: `tensorflow/python/estimator/` (the file of every module said `from ... import *`), five
such files in `tensorflow/python/tpu/`, and the wheel's API on the search path of each view. An import of one of the old
names now gives the module of the wheel itself, so that classes are the same whichever way they are imported.

Parts of the public API that `missing_names` adds names to have such paths as well: `import tensorflow.data` would make
a second module from the file of `tf.data`, without the added name, and put it in place of the first (see `views`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types

from estimator_app.compat import views
from estimator_app.compat.changes import Changes

API = {
    views.V1: "tensorflow_estimator.python.estimator.api._v1.estimator",
    views.V2: "tensorflow_estimator.python.estimator.api._v2.estimator",
}

_WHEEL = "tensorflow_estimator.python.estimator"
_REMOVED = {
    "tensorflow.python.estimator": _WHEEL,
    "tensorflow.python.estimator.keras": f"{_WHEEL}.keras_lib",
    # What `from tensorflow.python.estimator import keras` looks for, as the package is the wheel's.
    f"{_WHEEL}.keras": f"{_WHEEL}.keras_lib",
    **{
        f"tensorflow.python.tpu.{name}": f"{_WHEEL}.tpu.{name}"
        for name in ("error_handling", "tpu_config", "tpu_context", "tpu_estimator", "util")
    },
}


def install(changes: Changes, parts: Iterable[str]) -> None:
    """Makes the old paths importable until `changes` is undone.

    Args:
      changes: receives what to undo.
      parts: parts of the public API ("data") that must stay one module each.
    """
    paths = dict(_REMOVED)
    for view, kind in views.NAMES.items():
        paths[f"{view}.estimator"] = API[kind]
    for part in parts:
        for below in ("", ".compat.v1", ".compat.v2"):
            paths[f"tensorflow{below}.{part}"] = f"tensorflow._api.v2{below}.{part}"
    finder = _Finder(paths)
    sys.meta_path.insert(0, finder)
    changes.on_undo(finder.remove)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a module under an old name by its new one; what lies below an old package is found below the new one."""

    def __init__(self, paths: dict[str, str]) -> None:
        self._paths = paths
        self._loaded: dict[str, types.ModuleType | None] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns a spec whose loader gives the module that has the new name; None for any other name."""
        new = self._new_name(fullname)
        try:
            if new is None or importlib.util.find_spec(new) is None:
                return None
        except ModuleNotFoundError:
            return None
        return importlib.machinery.ModuleSpec(fullname, _Loader(new, self))

    def loaded(self, name: str) -> None:
        """Notes what the parent of an old name has under it now, before the import sets it."""
        parent, _, child = name.rpartition(".")
        self._loaded[name] = vars(sys.modules[parent]).get(child)

    def remove(self) -> None:
        """Forgets the old names: in sys.modules, and where an import set them on their parents."""
        sys.meta_path.remove(self)
        for name, before in reversed(self._loaded.items()):
            module = sys.modules.pop(name, None)
            parent_name, _, child = name.rpartition(".")
            parent = sys.modules.get(parent_name)
            if parent is not None and before is None and vars(parent).get(child) is module:
                delattr(parent, child)

    def _new_name(self, name: str) -> str | None:
        best = max(
            (old for old in self._paths if f"{name}.".startswith(f"{old}.")), key=len, default=None
        )
        return None if best is None else self._paths[best] + name.removeprefix(best)


class _Loader(importlib.abc.Loader):
    """Puts the module that has the new name into sys.modules under the old one."""

    def __init__(self, new: str, finder: _Finder) -> None:
        self._new = new
        self._finder = finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Leaves it to Python: `exec_module` replaces what it makes."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Replaces the empty module; the import system returns what then stands in sys.modules."""
        sys.modules[module.__name__] = importlib.import_module(self._new)
        self._finder.loaded(module.__name__)
