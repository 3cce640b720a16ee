"""Optimizers by name, of the kind that Estimators take."""

from __future__ import annotations

from typing import Any

from estimator_app import settings as settings_lib
from estimator_app.compat import keras
from input_fns import errors

_DEFAULT_MOMENTUM = 0.9
_DEFAULT_SGD_RATE = 0.01


def make(settings: settings_lib.ModelSettings, default: str, default_rate: float) -> Any:
    """Returns the optimizer that the settings ask for.

    Args:
      settings: optimizer (another than sdca, see `sdca.py`), learning rate, penalties.
      default: the model's own optimizer, if they name none.
      default_rate: step size of `default`; another optimizer has its own.

    Raises:
      SettingsError: a setting that the optimizer has no use for.
    """
    name = settings.optimizer or default
    if settings.example_id_column:
        raise errors.SettingsError(
            f"Expected --example_id_column with --optimizer=sdca only, found it with {name}. Leave it out."
        )
    if name != "ftrl" and (settings.l1 or settings.l2):
        raise errors.SettingsError(
            f"Expected --l1 and --l2 with an optimizer that has these penalties (ftrl, sdca), found {name}. "
            f"Choose --optimizer=ftrl, or leave them out."
        )
    rate = settings.learning_rate or (None if settings.optimizer else default_rate)
    # Estimators apply gradients to graph variables, which only the optimizers of before Keras 2.11 do.
    legacy = keras.optimizers.legacy
    if name == "momentum":
        return legacy.SGD(rate or _DEFAULT_SGD_RATE, momentum=_DEFAULT_MOMENTUM)
    given: dict[str, Any] = {"learning_rate": rate} if rate else {}
    if name == "ftrl":
        given["l1_regularization_strength"] = settings.l1
        given["l2_regularization_strength"] = settings.l2 or 0.0
    cls = {
        "adagrad": legacy.Adagrad,
        "adam": legacy.Adam,
        "ftrl": legacy.Ftrl,
        "rmsprop": legacy.RMSprop,
        "sgd": legacy.SGD,
    }[name]
    return cls(**given)
