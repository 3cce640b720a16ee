"""Modules that TensorFlow removed, put back under their old names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types


def is_missing(name: str) -> bool:
    """Returns True if TensorFlow has no module `name` and nobody has supplied one."""
    return name not in sys.modules and importlib.util.find_spec(name) is None


def register(name: str, module: types.ModuleType) -> None:
    """Makes `import name` return `module`, and sets it as an attribute of its parent package."""
    sys.modules[name] = module
    parent, child = name.rsplit(".", 1)
    setattr(importlib.import_module(parent), child, module)
