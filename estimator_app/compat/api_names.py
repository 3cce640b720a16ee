"""`tf_export` knows the API name "estimator", as it did up to 2.15; every public class of the wheel registers under it.

Removed with 2.16 from tensorflow/python/util/tf_export.py: `ESTIMATOR_API_NAME`, its entries in the two attribute
tables, its reserved namespace, and its part in what `get_v1_names`, `get_v2_names`, `get_v1_constants` and
`get_v2_constants` return.
"""

from __future__ import annotations

from typing import Any

from tensorflow.python.util import tf_export

_NAME = "estimator"


def is_missing() -> bool:
    """Returns True if `tf_export` does not know Estimators."""
    return not hasattr(tf_export, "ESTIMATOR_API_NAME")


def supply() -> None:
    """Adds the API name, its attributes and its namespace, and lets the four functions look at them.

    The functions get new code rather than successors: modules that have imported them by name see the change too.
    """
    tf_export.API_ATTRS[_NAME] = tf_export._Attributes(
        "_estimator_api_names", "_estimator_api_constants"
    )
    tf_export.API_ATTRS_V1[_NAME] = tf_export._Attributes(
        "_estimator_api_names_v1", "_estimator_api_constants_v1"
    )
    tf_export.SUBPACKAGE_NAMESPACES.append(_NAME)
    tf_export.get_v1_names.__code__ = _get_v1_names.__code__
    tf_export.get_v2_names.__code__ = _get_v2_names.__code__
    tf_export.get_v1_constants.__code__ = _get_v1_constants.__code__
    tf_export.get_v2_constants.__code__ = _get_v2_constants.__code__
    tf_export.ESTIMATOR_API_NAME = _NAME


def names_of(symbol: Any, tables: dict[str, Any]) -> list[str]:
    """Returns the names that a symbol itself was exported under: TensorFlow's, then Estimator's, then Keras's."""
    own = getattr(symbol, "__dict__", {})
    attributes = [tables[api].names for api in ("tensorflow", _NAME, "keras")]
    return [name for attribute in attributes if attribute in own for name in own[attribute]]


def constants_of(module: Any, tables: dict[str, Any]) -> list[Any]:
    """Returns (names, constant) for what a module exports: TensorFlow's, then Estimator's."""
    attributes = [tables[api].constants for api in ("tensorflow", _NAME)]
    return [entry for attribute in attributes for entry in getattr(module, attribute, ())]


# The next four run with the globals of tf_export, hence what they need is imported inside.


def _get_v1_names(symbol: Any) -> list[str]:
    from estimator_app.compat import api_names

    return api_names.names_of(symbol, api_names.tf_export.API_ATTRS_V1)


def _get_v2_names(symbol: Any) -> list[str]:
    from estimator_app.compat import api_names

    return api_names.names_of(symbol, api_names.tf_export.API_ATTRS)


def _get_v1_constants(module: Any) -> list[Any]:
    from estimator_app.compat import api_names

    return api_names.constants_of(module, api_names.tf_export.API_ATTRS_V1)


def _get_v2_constants(module: Any) -> list[Any]:
    from estimator_app.compat import api_names

    return api_names.constants_of(module, api_names.tf_export.API_ATTRS)
