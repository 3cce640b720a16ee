"""Which TensorFlow releases are supported: decided here and nowhere else.

No other package compares versions; what differs between releases is hidden behind the names of `estimator_app.compat`.
"""

from __future__ import annotations

OLDEST = (2, 15, 1)
NEWEST = (2, 21)

# tf.estimator left TensorFlow with this release; from here on the wheel and the patches stand in.
_ESTIMATOR_REMOVED = (2, 16)


class UnsupportedTensorFlowError(ImportError):
    """This TensorFlow, or the way it was imported, cannot run Estimators."""


def parse(version: str) -> tuple[int, int, int]:
    """Returns (major, minor, patch) of a release string such as `"2.21.0"` or `"2.22.0rc0"`."""
    major, minor, patch = version.split(".")[:3]
    digits = "".join(char for char in patch.split("rc")[0].split("-")[0] if char.isdigit())
    return int(major), int(minor), int(digits or 0)


def check(version: str) -> None:
    """Raises UnsupportedTensorFlowError unless `version` is a release that the tests run on."""
    if not OLDEST <= parse(version) or parse(version)[:2] > NEWEST:
        raise UnsupportedTensorFlowError(
            f"Expected TensorFlow {_text(OLDEST)} to {_text(NEWEST)}, found {version}. Install a supported one: "
            f"pip install 'tensorflow=={_text(NEWEST)}.*' 'tf-keras=={_text(NEWEST)}.*'."
        )


def has_own_estimator(version: str) -> bool:
    """Returns True where TensorFlow still carries `tf.estimator` itself."""
    return parse(version) < _ESTIMATOR_REMOVED


def _text(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
