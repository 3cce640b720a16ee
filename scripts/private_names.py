"""Lists the names of TensorFlow that the wheel and this project use and that the imported TensorFlow no longer has.

    .venvs/tf-2.21/bin/python scripts/private_names.py          # those that are gone, each with the lines that use it
    .venvs/tf-2.21/bin/python scripts/private_names.py --all    # every private name that is used, gone or not

Exits with 1 if a name is gone that somebody may miss.

Sources are read, not run: imports from TensorFlow, and what is then asked of the imported names (`ops.name_scope`,
`tf.compat.v1.train.Saver`). What code asks of objects at run time cannot be seen so. Private are `tensorflow.python`,
`tensorflow.core`, everything else outside the documented `tf`, and names that begin with an underscore.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
import dataclasses
import importlib
import importlib.util
import os
import pathlib
import sys
import types
from typing import Any

_ROOT = pathlib.Path(__file__).parents[1]
_OURS = ("estimator_app", "export", "input_fns", "serving_client")

# What may be gone, by the beginning of the name, and why nobody misses it.
HARMLESS = {
    "tensorflow.estimator": "read on 2.15 alone",
    "tensorflow.compat.v1.estimator": "read on 2.15 alone",
    "tensorflow.python.tpu.session_support.": "run on a TPU alone, which compat refuses",
    "tensorflow.python.tpu.tpu_embedding_gradient.": "run on a TPU alone, which compat refuses",
    "tensorflow.python.tpu.tpu_embedding.AdagradSlotVariableNames": "named on a TPU alone",
    "tensorflow.python.tpu.tpu_embedding.AdamSlotVariableNames": "named on a TPU alone",
    "tensorflow.python.tpu.tpu_embedding.EnqueueData": "run on a TPU alone",
    "tensorflow.python.tpu.tpu_embedding.FtrlSlotVariableNames": "named on a TPU alone",
    "tensorflow.python.tpu.tpu_embedding.INFERENCE": "run on a TPU alone",
    "tensorflow.python.tpu.tpu_embedding.MomentumSlotVariableNames": "named on a TPU alone",
    "tensorflow.python.tpu.tpu_embedding.ProximalAdagradSlotVariableNames": "named on a TPU alone",
    "tensorflow.python.tpu.tpu_embedding.RMSPropSlotVariableNames": "named on a TPU alone",
    "tensorflow.python.tpu.tpu_embedding.TPUEmbedding": "run on a TPU alone",
    "tensorflow.python.tpu.tpu_embedding.TRAINING": "run on a TPU alone",
    # The wheel's helpers of its own tests, of which it ships two that never ran on 2.15 either.
    "tensorflow.python.feature_column.feature_column.categorical_column_with_": "tests of the wheel",
    "tensorflow.python.feature_column.feature_column.embedding_column": "tests of the wheel",
    "tensorflow.python.feature_column.feature_column.numeric_column": "tests of the wheel",
    "tensorflow.python.feature_column.feature_column_v2.LinearModel": "tests of the wheel",
}


@dataclasses.dataclass(frozen=True, order=True)
class Use:
    """A name of TensorFlow, and the line that uses it.

    Attributes:
      name: full name, such as "tensorflow.python.framework.ops.name_scope".
      file: path of the source file.
      line: counted from 1.
    """

    name: str
    file: str
    line: int

    @property
    def is_private(self) -> bool:
        """Whether TensorFlow does not document the name."""
        parts = self.name.split(".")[1:]
        undocumented = parts[:1] in (["python"], ["core"], ["tools"])
        return undocumented or any(part.startswith("_") for part in parts)


def sources() -> list[pathlib.Path]:
    """Returns the source files of the wheel and of this project."""
    spec = importlib.util.find_spec("tensorflow_estimator")
    assert spec and spec.origin
    folders = [pathlib.Path(spec.origin).parent, *(_ROOT / name for name in _OURS)]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def uses(paths: Iterable[pathlib.Path]) -> list[Use]:
    """Returns every name of TensorFlow that the files use."""
    found: set[Use] = set()
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        shown = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path
        found.update(Use(name, str(shown), line) for name, line in _Scan(tree).found())
    return sorted(found)


def gone(used: Iterable[Use]) -> list[Use]:
    """Returns those that the imported TensorFlow does not have."""
    there: dict[str, bool] = {}
    for use in used:
        if use.name not in there:
            there[use.name] = _exists(use.name)
    return [use for use in used if not there[use.name]]


def text(listed: Iterable[Use]) -> str:
    """Returns a line for each name, and under it one for each place that uses it."""
    lines: list[str] = []
    name = ""
    for use in sorted(listed):
        if use.name != name:
            name = use.name
            lines.append(name)
        lines.append(f"    {use.file}:{use.line}")
    return "\n".join(lines)


class _Scan:
    """The names of TensorFlow in one file."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._full_names: dict[str, str] = {}  # name in the file -> full name in TensorFlow
        self._found: list[tuple[str, int]] = []

    def found(self) -> Iterator[tuple[str, int]]:
        """Yields full name and line."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)
        self._visit(self._tree, frozenset())
        yield from self._found

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] == "tensorflow":
                self._found.append((alias.name, node.lineno))
                self._full_names[alias.asname or "tensorflow"] = (
                    alias.name if alias.asname else "tensorflow"
                )

    def _import_from(self, node: ast.ImportFrom) -> None:
        if node.module and not node.level and node.module.split(".")[0] == "tensorflow":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                self._found.append((name, node.lineno))
                self._full_names[alias.asname or alias.name] = name

    def _visit(self, node: ast.AST, shadowed: frozenset[str]) -> None:
        """Looks for `name.a.b`, where `name` was imported and is no variable of a function around."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            shadowed |= _own_variables(node)
        if isinstance(node, ast.Attribute):
            chain = _chain(node)
            if chain and chain[0] in self._full_names and chain[0] not in shadowed:
                self._found.append(
                    (".".join([self._full_names[chain[0]], *chain[1:]]), node.lineno)
                )
                return
        for child in ast.iter_child_nodes(node):
            self._visit(child, shadowed)


def _own_variables(function: ast.AST) -> frozenset[str]:
    arguments = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    stored = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return frozenset(arguments | stored)


def _chain(node: ast.expr) -> list[str]:
    """Returns ["a", "b", "c"] for `a.b.c`, and nothing for an attribute of anything but a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _exists(name: str) -> bool:
    """Follows the name through modules and classes, as far as they go: objects may get attributes at run time."""
    first, *rest = name.split(".")
    value: Any = importlib.import_module(first)
    path = first
    for part in rest:
        if not isinstance(value, (types.ModuleType, type)):
            return True
        path = f"{path}.{part}"
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = importlib.import_module(path)
            except ImportError:
                return False
    return True


def main(args: list[str]) -> int:
    """Prints the list; returns 1 if a name is gone."""
    used = uses(sources())
    if args == ["--all"]:
        print(text(use for use in used if use.is_private))
        return 0
    # Puts back what compat is there to put back.
    importlib.import_module("estimator_app.compat")
    missed = [use for use in gone(used) if not use.name.startswith(tuple(HARMLESS))]
    if missed:
        print(text(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main(sys.argv[1:]))
