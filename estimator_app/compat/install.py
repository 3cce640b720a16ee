"""Puts `tf.estimator` back for code that is not ours: `compat.install()`, and `compat.uninstall()` to undo it.

`compat.estimator` and `compat.keras` never need it.
"""

from __future__ import annotations

import importlib
import threading

import tensorflow as tf

from estimator_app.compat import missing_names, old_imports, versions, views
from estimator_app.compat.changes import Changes

_LOCK = threading.RLock()
_installed: Changes | None = None


def install() -> None:
    """Makes code of the Estimator era run unchanged on TensorFlow 2.16 and later.

    Afterwards there are

    - `estimator` on `tf`, `tf.compat.v1`, `tf.compat.v2` and the views inside them: the V1 API on V1 views, the V2 API
      on the others, as up to 2.15;
    - imports of `tensorflow.estimator`, `tensorflow.python.estimator` and the like (see `old_imports`);
    - the names that newer TensorFlow lacks, or an error that says what to use (see `missing_names`).

    Safe to call twice and from several threads. Does nothing on 2.15, which has all of it.
    """
    global _installed
    if versions.has_own_estimator(tf.__version__):
        return
    with _LOCK:
        if _installed is not None:
            return
        changes = Changes()
        try:
            for view, kind in list(views.loaded()):
                changes.set(view, "estimator", importlib.import_module(old_imports.API[kind]))
            missing_names.supply(changes)
            parts = {entry.path.split(".")[0] for entry in missing_names.SUPPLIED}
            old_imports.install(changes, sorted(parts))
        except BaseException:
            changes.undo()
            raise
        _installed = changes


def uninstall() -> None:
    """Takes everything away that `install` has added; does nothing if there is nothing."""
    global _installed
    with _LOCK:
        if _installed is not None:
            _installed.undo()
            _installed = None
