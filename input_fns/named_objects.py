"""What `package.module:name` on the command line names: a function or an object of the user's."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any


def find(name: str, flag: str, error_class: type[ValueError]) -> Any:
    """The object of that name.

    Args:
        name: `package.module:name`.
        flag: the flag that gave it, without its dashes.
        error_class: what to raise.

    Raises:
        ValueError: of `error_class`; no such module or no such name in it. An error inside the user's module comes as
            it is.
    """
    module_name, _, object_name = name.partition(":")
    if not module_name or not object_name:
        raise error_class(
            f"Expected --{flag}=package.module:function, found --{flag}={name}. Give both halves."
        )
    # A console script does not have the directory it is started from on its path, `python -m` does.
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # An import that fails inside the user's module is the user's to see, untouched.
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise error_class(
            f"Expected --{flag}={name} to name a module on the Python path, found no module {error.name!r}. Run from "
            "the directory that holds it, or set PYTHONPATH."
        ) from None
    if not hasattr(module, object_name):
        raise error_class(
            f"Expected --{flag}={name} to name a function or an object, found no {object_name!r} in "
            f"{getattr(module, '__file__', module_name)}."
        )
    return getattr(module, object_name)
