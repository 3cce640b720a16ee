"""Legacy Keras (tf-keras) is what `tf.keras` means, whether TensorFlow was imported before this package or after.

Estimators are written against Keras 2. From 2.16 on TensorFlow decides between Keras 3 and tf-keras by the environment
variable `TF_USE_LEGACY_KERAS`, which it reads in two places: when it is imported, to say where
`import tensorflow.keras` finds its files (`tensorflow/__init__.py`, `_api/v2/compat/*/__init__.py`), and at the first
touch of `tf.keras` (`KerasLazyLoader` in `python/util/lazy_loader.py`). `import estimator_app` sets the variable ahead
of both; `choose` makes up for what was missed if TensorFlow came first. Keras 3 itself never looks at `tf.keras`, so
objects made with it before go on working.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
import importlib.metadata
import importlib.util
import os
import sys
import warnings

from estimator_app.compat import lazy_modules, versions, views

SWITCH = "TF_USE_LEGACY_KERAS"
_ON = ("1", "true", "True")

# Directories below tf_keras, by the module below a view whose search path has them; the last comes first in the path.
_LEGACY_V1 = "api/_v1/keras/__internal__/legacy"
_DIRECTORIES: dict[str, dict[str, tuple[str, ...]]] = {
    views.V1: {"": ("api/_v1", _LEGACY_V1), "nn": (_LEGACY_V1,)},
    views.V2: {"": ("api/_v2",)},
}


class KerasSwitchedWarning(UserWarning):
    """`tf.keras` was Keras 3 until now."""


def check_switch(environ: Mapping[str, str]) -> None:
    """Raises UnsupportedTensorFlowError if the user has asked for Keras 3."""
    value = environ.get(SWITCH)
    if value is not None and value not in _ON:
        raise versions.UnsupportedTensorFlowError(
            f"Expected {SWITCH}=1 or no such variable, found {SWITCH}={value}: it makes tf.keras Keras 3, which "
            f"Estimators cannot use. Unset it, then start the process again."
        )


def check_package(tensorflow_version: str, keras_version: str | None) -> None:
    """Raises UnsupportedTensorFlowError if tf-keras is not there, or belongs to another TensorFlow.

    Args:
      tensorflow_version: such as "2.21.0"; beside one that the table of releases pins no tf-keras to, the newest pinned
        one or a later one will do.
      keras_version: version of tf-keras, None if it is not installed.
    """
    pins = _pinned_keras()
    own = pins.get(versions.parse(tensorflow_version)[:2])
    oldest = own or max(pins.values())
    wanted = "{}.{}".format(*oldest)
    package = f"tf-keras=={wanted}.*" if own else f"tf-keras>={wanted}"
    fix = f"Install the one that belongs to it: pip install '{package}'."
    if keras_version is None:
        raise versions.UnsupportedTensorFlowError(
            f"Expected the package tf-keras beside TensorFlow {tensorflow_version}, found none. {fix}"
        )
    found = versions.parse(keras_version)[:2]
    if found < oldest or (own and found != own):
        raise versions.UnsupportedTensorFlowError(
            f"Expected tf-keras {wanted}{'' if own else ' or later'} beside TensorFlow {tensorflow_version}, found "
            f"tf-keras {keras_version}. {fix}"
        )


def installed_version() -> str | None:
    """Returns the version of tf-keras, None if it is not installed."""
    if importlib.util.find_spec("tf_keras") is None:
        return None
    try:
        return importlib.metadata.version("tf-keras")
    except importlib.metadata.PackageNotFoundError:  # a source tree on the path, a nightly build
        return str(importlib.import_module("tf_keras").__version__)


def choose(tensorflow_version: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Makes legacy Keras the Keras of this process, on TensorFlow 2.16 and later.

    `lazy_modules.resolve` must follow: it puts tf-keras in place of what `tf.keras` was.

    Raises:
      UnsupportedTensorFlowError: the user has switched it off, or tf-keras is missing or belongs to another release.
    """
    check_switch(environ)
    check_package(tensorflow_version, installed_version())
    environ[SWITCH] = "1"
    forgotten = _forget_keras_3_imports()
    if forgotten or lazy_modules.uses_keras_3():
        warnings.warn(
            "tf.keras was Keras 3 until now and is legacy Keras (tf-keras) from here on, as Estimators need. What was "
            "made or imported from it before stays Keras 3: import it again, or import estimator_app before "
            "tensorflow.",
            KerasSwitchedWarning,
            stacklevel=3,
        )
    _point_paths_at_tf_keras()


def _point_paths_at_tf_keras() -> None:
    """Makes `import tensorflow.keras`, and the like on each view, find the files of tf-keras."""
    root = _package_root()
    for view, kind in list(views.loaded()):
        for path, directories in _DIRECTORIES[kind].items():
            module = views.below(view, path)
            for directory in (os.path.join(root, *part.split("/")) for part in directories):
                if module is not None and directory not in module.__path__:
                    module.__path__ = [directory, *module.__path__]


def _forget_keras_3_imports() -> list[str]:
    """Drops modules that `import tensorflow.keras` made from the files of Keras 3; the next import makes others.

    Returns:
      Their names.
    """
    prefixes = tuple(f"{name}.keras." for name in views.NAMES)
    root = _package_root()
    names = [
        name
        for name, module in sys.modules.items()
        if f"{name}.".startswith(prefixes)
        and not str(getattr(module, "__file__", None)).startswith(root)
    ]
    for name in names:
        del sys.modules[name]
    return names


def _package_root() -> str:
    """Returns the directory of tf_keras, without importing it."""
    spec = importlib.util.find_spec("tf_keras")
    assert spec is not None and spec.origin is not None  # check_package has found it
    return os.path.dirname(spec.origin)


def _pinned_keras() -> dict[tuple[int, ...], tuple[int, ...]]:
    """Returns (major, minor) of the tf-keras that the table of releases pins, by (major, minor) of TensorFlow."""
    name = "tf-keras=="
    return {
        versions.parse(release.tensorflow)[:2]: versions.parse(pin.removeprefix(name))[:2]
        for release in versions.RELEASES
        for pin in release.pins
        if pin.startswith(name)
    }
