"""Keras models can be built after `keras.utils.set_random_seed` on Python 3.12 and 3.13 with tf-keras 2.16 to 2.18 too.

There `RandomGenerator._create_seed` draws the seed of every initializer with `randint(1, 1e9)`, and from Python 3.12 on
`randint` refuses a float: "TypeError: 'float' object cannot be interpreted as an integer". tf-keras 2.19 draws with
`int(1e9)`, as is done here; the seeds are the same.
"""

from __future__ import annotations

import importlib
import inspect
import random
from typing import Any, Optional

_FLOAT_LIMIT = "randint(1, 1e9)"


def _backend() -> Any:
    # Not imported at the top: tf_keras has to be loaded by lazy_modules, in its order.
    return importlib.import_module("tf_keras.src.backend")


def is_missing() -> bool:
    """Returns True if tf-keras draws its seeds with a float as limit."""
    return _FLOAT_LIMIT in inspect.getsource(_backend().RandomGenerator._create_seed)


def supply() -> None:
    """Draws the seeds with a whole number as limit."""
    _backend().RandomGenerator._create_seed = _create_seed


def _create_seed(unused_self: Any, user_specified_seed: Optional[int]) -> int:
    """Returns the given seed, or the next of the generator that `set_random_seed` has made in this thread, or any."""
    if user_specified_seed is not None:
        return user_specified_seed
    generator = getattr(_backend()._SEED_GENERATOR, "generator", None) or random
    return generator.randint(1, int(1e9))
