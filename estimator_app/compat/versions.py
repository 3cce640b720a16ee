"""Which TensorFlow releases are supported: one table, read by compat, `scripts/matrix` and the support table in docs.

No other package compares versions; what differs between releases is hidden behind the names of `estimator_app.compat`.
This module imports nothing but the standard library, so that `scripts/matrix` can read it without TensorFlow.
"""

from __future__ import annotations

import dataclasses
import warnings


@dataclasses.dataclass(frozen=True)
class Release:
    """A TensorFlow release that compat is tested on.

    Attributes:
      tensorflow: the exact release.
      python: the interpreter that `scripts/matrix` tests it with; 3.11 to 3.13 are covered between the rows.
      pins: further requirements of the stack: what no package states, or states too late.
      preview: a release candidate. tf-keras, which bounds TensorFlow below the next release, is installed all the
        same, and a failure is reported without failing the matrix.
    """

    tensorflow: str
    python: str
    pins: tuple[str, ...]
    preview: bool = False


# The newest pyarrow needs NumPy 2, which TensorFlow takes from 2.18 on; tensorflow-metadata 1.18 and later need
# protobuf 6, which it takes from 2.20 on.
_NUMPY_1 = ("pyarrow<18", "tensorflow-metadata<1.18")
_PROTOBUF_5 = ("tensorflow-metadata<1.18",)

# A new release is one line here.
RELEASES = (
    Release("2.15.1", "3.11", ("tf-keras==2.15.1", "tensorflow-serving-api==2.15.1", *_NUMPY_1)),
    Release("2.16.2", "3.12", ("tf-keras==2.16.0", "tensorflow-serving-api==2.16.1", *_NUMPY_1)),
    Release("2.17.1", "3.11", ("tf-keras==2.17.0", "tensorflow-serving-api==2.17.1", *_NUMPY_1)),
    Release("2.18.1", "3.12", ("tf-keras==2.18.0", "tensorflow-serving-api==2.18.1", *_PROTOBUF_5)),
    Release("2.19.1", "3.12", ("tf-keras==2.19.0", "tensorflow-serving-api==2.19.1", *_PROTOBUF_5)),
    Release(
        "2.20.0", "3.13", ("tf-keras==2.20.1", "tensorflow-serving-api==2.20.0", "protobuf>=7")
    ),
    Release("2.21.0", "3.12", ("tf-keras==2.21.0", "tensorflow-serving-api==2.21.0", "protobuf<7")),
    Release("2.22.0rc0", "3.13", ("tf-keras", "tensorflow-serving-api"), preview=True),
)


class UnsupportedTensorFlowError(ImportError):
    """This TensorFlow, or the way it was imported, cannot run Estimators."""


class UntestedTensorFlowWarning(UserWarning):
    """This TensorFlow is newer than every release that the project was tested on."""


def parse(version: str) -> tuple[int, int, int]:
    """Returns (major, minor, patch) of a release string such as `"2.21.0"` or `"2.22.0rc0"`."""
    major, minor, patch = version.split(".")[:3]
    digits = "".join(char for char in patch.split("rc")[0].split("-")[0] if char.isdigit())
    return int(major), int(minor), int(digits or 0)


OLDEST = parse(RELEASES[0].tensorflow)
NEWEST = max(parse(release.tensorflow) for release in RELEASES if not release.preview)
_NEWEST_TEXT = "{}.{}".format(*NEWEST)

# tf.estimator left TensorFlow with this release; from here on the wheel and the patches stand in.
_ESTIMATOR_REMOVED = (2, 16)


def check(version: str) -> None:
    """Refuses a TensorFlow that is too old; warns of one that nobody has tested yet.

    Raises:
      UnsupportedTensorFlowError: `version` is older than the oldest supported release.
    """
    if parse(version) < OLDEST:
        raise UnsupportedTensorFlowError(
            f"Expected TensorFlow {RELEASES[0].tensorflow} or later, found {version}. Install a supported one: "
            f"pip install 'tensorflow=={_NEWEST_TEXT}.*' 'tf-keras=={_NEWEST_TEXT}.*'."
        )
    tested = [parse(release.tensorflow)[:2] for release in RELEASES]
    if parse(version)[:2] > max(tested):
        warnings.warn(
            f"TensorFlow {version} is newer than {_NEWEST_TEXT}, the newest that this project was tested on. It may "
            f"work; if something fails, install 'tensorflow=={_NEWEST_TEXT}.*' 'tf-keras=={_NEWEST_TEXT}.*'.",
            UntestedTensorFlowWarning,
            stacklevel=3,
        )


def has_own_estimator(version: str) -> bool:
    """Returns True where TensorFlow still carries `tf.estimator` itself."""
    return parse(version) < _ESTIMATOR_REMOVED
