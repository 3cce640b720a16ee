"""`tf_export` knows the API name "estimator", as it did up to 2.15; every public class of the wheel registers under it.

Removed with 2.16: `ESTIMATOR_API_NAME` and its entries in the two attribute tables.
"""

from __future__ import annotations

from tensorflow.python.util import tf_export


def is_missing() -> bool:
    """Returns True if `tf_export` does not know Estimators."""
    return not hasattr(tf_export, "ESTIMATOR_API_NAME")


def supply() -> None:
    """Adds the API name and its attributes."""
    tf_export.ESTIMATOR_API_NAME = "estimator"
    tf_export.API_ATTRS["estimator"] = tf_export._Attributes(
        "_estimator_api_names", "_estimator_api_constants"
    )
    tf_export.API_ATTRS_V1["estimator"] = tf_export._Attributes(
        "_estimator_api_names_v1", "_estimator_api_constants_v1"
    )
