"""Names of the Estimator era that newer TensorFlow lacks: supplied, or refused by a sentence.

The tables are complete: a walk over `tf`, `tf.compat.v1` and `tf.compat.v2` of 2.15.1, with all their modules, finds
nothing more that the same walk over 2.16.2 to 2.22.0rc0 with legacy Keras does not, apart from `estimator` itself (see
`install`), four parameter classes of `tf.compat.v1.tpu.experimental` (see `tpu`) and names that are no part of the
documented API (`tf.tsl`). What Estimators lost before 2.15 is refused too.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import types

from estimator_app.compat import views
from estimator_app.compat.changes import Changes
from estimator_app.compat.old_imports import API


class RemovedNameError(AttributeError):
    """A name that TensorFlow or Estimators had once, and that has no successor of the same name."""


@dataclasses.dataclass(frozen=True)
class Supplied:
    """A name that is there after `install`.

    Attributes:
      kinds: the views that have it.
      path: the module below the view, such as "data.experimental".
      name: the name.
      since: the TensorFlow release that lacks it first.
      source: module that has the object under the same name.
    """

    kinds: tuple[str, ...]
    path: str
    name: str
    since: str
    source: str


@dataclasses.dataclass(frozen=True)
class Refused:
    """A name whose use raises `RemovedNameError`.

    Attributes:
      modules: names of the modules that had it.
      shown: what people know these modules as.
      name: the name.
      since: what took it away.
      instead: what to do, a whole sentence.
    """

    modules: tuple[str, ...]
    shown: str
    name: str
    since: str
    instead: str


_HOOK = "CheckpointInputPipelineHook"
_HOOK_SOURCE = "estimator_app.compat.input_checkpoint"

SUPPLIED = (
    Supplied((views.V1, views.V2), "data.experimental", _HOOK, "2.16", _HOOK_SOURCE),
    # Beside the other hooks, where people look for it; TensorFlow had it in tf.data.experimental only.
    Supplied((views.V1, views.V2), "train", _HOOK, "never there", _HOOK_SOURCE),
)

_ESTIMATORS = (API[views.V1], API[views.V2], "tensorflow_estimator._api.v1.estimator")

REFUSED = tuple(
    Refused(
        _ESTIMATORS,
        "tf.estimator",
        name,
        "tensorflow-estimator 2.9",
        "Train boosted trees with --model=boosted_trees of estimator-train, or by "
        f"ydf.GradientBoostedTreesLearner of the package ydf that it stands on, or use {instead}.",
    )
    for name, instead in (
        ("BoostedTreesClassifier", "DNNClassifier"),
        ("BoostedTreesRegressor", "DNNRegressor"),
        ("BoostedTreesEstimator", "DNNEstimator"),
    )
) + (
    Refused(
        tuple(views.NAMES),
        "tf",
        "contrib",
        "TensorFlow 2.0",
        "Use what took its place in TensorFlow (https://www.tensorflow.org/guide/migrate), or the package tf-slim.",
    ),
)


def supply(changes: Changes) -> None:
    """Sets every supplied name on every view that had it, and lets the refused ones raise.

    Args:
      changes: receives what to undo.
    """
    for entry in SUPPLIED:
        value = getattr(importlib.import_module(entry.source), entry.name)
        for view, kind in list(views.loaded()):
            module = views.below(view, entry.path)
            if kind in entry.kinds and module is not None and not hasattr(module, entry.name):
                changes.set(module, entry.name, value)
    for name in dict.fromkeys(name for entry in REFUSED for name in entry.modules):
        if name in views.NAMES:
            module = sys.modules.get(name)
        else:
            module = importlib.import_module(name)
        if module is not None:
            _refuse(changes, module, {e.name: e for e in REFUSED if name in e.modules})


def _refuse(changes: Changes, module: types.ModuleType, entries: dict[str, Refused]) -> None:
    # TensorFlow's wrapper of a module asks the module itself for what it does not find.
    module = getattr(module, "_tfmw_wrapped_module", module)
    known = vars(module).get("__getattr__")

    def __getattr__(name: str) -> object:
        if name in entries:
            entry = entries[name]
            raise RemovedNameError(
                f"Expected a name that {entry.shown} has today, found {entry.shown}.{name}, which {entry.since} took "
                f"away. {entry.instead}",
                name=name,
                obj=module,
            )
        if known is not None:
            return known(name)
        raise AttributeError(
            f"module {module.__name__!r} has no attribute {name!r}", name=name, obj=module
        )

    changes.set(module, "__getattr__", __getattr__)
