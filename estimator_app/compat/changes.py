"""A record of attributes that were set on modules, from which they are put back exactly."""

from __future__ import annotations

from collections.abc import Callable
import types
from typing import Any

_ABSENT: Any = object()


class Changes:
    """Sets attributes, and undoes that; not safe to share between threads."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def set(self, module: types.ModuleType, name: str, value: object) -> None:
        """Sets an attribute of a module; a public one also joins the module's `__all__`, if it has one."""
        before = vars(module).get(name, _ABSENT)
        setattr(module, name, value)
        # TensorFlow's own wrapper of a module (TFModuleWrapper) has already put the name there.
        listed: Any = getattr(module, "__all__", ())
        joins = isinstance(listed, list) and not name.startswith("_") and name not in listed
        if joins:
            listed.append(name)

        def undo() -> None:
            if before is not _ABSENT:
                setattr(module, name, before)
            elif name in vars(module):
                delattr(module, name)
            if joins and name in listed:
                listed.remove(name)

        self._undo.append(undo)

    def on_undo(self, action: Callable[[], None]) -> None:
        """Calls `action` at `undo`, before what was set earlier is put back."""
        self._undo.append(action)

    def undo(self) -> None:
        """Puts everything back, the latest first."""
        while self._undo:
            self._undo.pop()()
