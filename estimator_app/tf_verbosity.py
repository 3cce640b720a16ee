"""How much of what TensorFlow itself says is heard."""

from __future__ import annotations

from collections.abc import Callable
import logging
from typing import Optional

from absl import flags
from absl import logging as absl_logging


def apply(level: str, quiet: Callable[[Optional[str]], None]) -> None:
    """Sets from which level on TensorFlow speaks; Keras, a part of it, speaks through absl's logger.

    Args:
      level: one of `flags.TF_VERBOSITY`.
      quiet: `compat.quiet`.
    """
    logging.getLogger("tensorflow").setLevel(level.upper())
    if not flags.FLAGS["verbosity"].present:
        absl_logging.set_verbosity(absl_logging.WARNING)
        logging.getLogger("absl").setLevel(level.upper())
    if level in ("error", "warning"):
        quiet("--tf_verbosity=info" if level == "warning" else None)
