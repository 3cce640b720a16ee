"""Feature extractors that were trained before: a SavedModel, a handle of TensorFlow Hub, or Keras' MobileNetV2."""

from __future__ import annotations

import importlib
import os
from typing import Any
import warnings

import tensorflow as tf

from estimator_app.compat import keras
from input_fns import errors

MOBILENET_V2 = "mobilenet_v2"

_SIGNATURE = "serving_default"
_HANDLE_PREFIXES = ("https://", "http://")

# The smallest size that MobileNetV2's published weights were trained on.
_MOBILENET_SIZE = 96


class SavedExtractor(keras.layers.Layer):
    """`[batch, height, width, channels]` float32 -> what a SavedModel makes of such images.

    It computes what the SavedModel computes for inference, whether its variables are trained on or not: batch
    normalisation keeps its moments, as Keras' guide to transfer learning recommends for fine-tuning. The variables are
    the layer's own, so that checkpoints and exports hold them.

    Attributes:
      path: directory of the SavedModel.
      image_shape: (height, width, channels) that it takes; None for each that may be any.
    """

    def __init__(self, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        known = _graph_variables()
        loaded = _load(path)  # its variables live no longer than it does
        function = _inference(loaded, path)
        image = _image(function, path)
        self.image_shape = tuple(image.shape[1:])
        # Keras finds variables in attributes, and would take TensorFlow's function for a part of the model.
        self.loaded_variables = list(function.variables)
        _forget(known, self.loaded_variables)
        positional, _ = function.structured_input_signature
        self._compute = (
            (lambda images: function(images))
            if positional
            else (lambda images: function(**{image.name: images}))
        )

    def call(self, images: Any) -> Any:
        (features,) = tf.nest.flatten(self._compute(images))
        return features

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "path": self.path}


def find(extractor: str) -> str:
    """Returns the directory of a SavedModel, for a handle of TensorFlow Hub the one that it is fetched to.

    Raises:
      SettingsError: there is no such directory, or no package to fetch it.
    """
    if not extractor.startswith(_HANDLE_PREFIXES):
        if not tf.saved_model.contains_saved_model(extractor):
            raise errors.SettingsError(
                f"Expected --extractor={extractor} to be the directory of a SavedModel, a handle of TensorFlow Hub "
                f"(https://...) or {MOBILENET_V2}, found no saved_model.pb in it. Correct the path."
            )
        return os.fspath(extractor)
    try:
        with warnings.catch_warnings():
            # Its last release imports pkg_resources, which says that it will be removed.
            warnings.simplefilter("ignore")
            hub = importlib.import_module("tensorflow_hub")
    except ImportError as error:
        raise errors.SettingsError(
            f"Expected the package tensorflow_hub for --extractor={extractor}, found {error}. pip install "
            f"'estimator-service[hub]', or name the directory of a SavedModel."
        ) from error
    try:
        return str(hub.resolve(extractor))
    except (OSError, tf.errors.OpError, ValueError) as error:
        raise errors.SettingsError(
            f"Expected TensorFlow Hub to have --extractor={extractor}, found {error}. Correct the handle, or name the "
            f"directory of a SavedModel."
        ) from error


def mobilenet_v2(images: Any, weights: str, trainable: bool) -> Any:
    """Returns `[batch, 1280]`: MobileNetV2 without its top, averaged over the image.

    Args:
      images: `[batch, height, width, 3]` in [0, 1], no smaller than `mobilenet_size` gives.
      weights: a file of weights without top, as Keras publishes them; empty for random ones.
      trainable: whether its convolutions are; batch normalisation never is.

    Raises:
      SettingsError: the file holds no such weights.
    """
    # It was trained on [-1, 1].
    scaled = keras.layers.Rescaling(2.0, offset=-1.0)(images)
    network = keras.applications.MobileNetV2(
        input_tensor=scaled, include_top=False, weights=None, pooling="avg"
    )
    if weights:
        try:
            network.load_weights(weights)
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            raise errors.SettingsError(
                f"Expected --extractor_weights={weights} to hold the weights of MobileNetV2 without its top, found: "
                f"{error}. Take a file such as mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5."
            ) from error
    for layer in network.layers:
        layer.trainable = trainable and not isinstance(layer, keras.layers.BatchNormalization)
    return network.output


def mobilenet_size(height: int, width: int) -> tuple[int, int]:
    """Returns the size at which MobileNetV2 sees images of that one: their own, unless it is too small."""
    return max(height, _MOBILENET_SIZE), max(width, _MOBILENET_SIZE)


def _load(path: str) -> Any:
    try:
        return tf.saved_model.load(path)
    except (OSError, tf.errors.OpError, ValueError) as error:
        raise errors.SettingsError(
            f"Expected --extractor={path} to be a SavedModel, found: {error}. Save it again."
        ) from error


def _graph_variables() -> list[Any]:
    """Returns the list of the variables that an Estimator's graph has; in eager mode there is none."""
    if tf.executing_eagerly():
        return []
    return list(tf.compat.v1.global_variables())


def _forget(known: list[Any], used: list[Any]) -> None:
    """Takes out of the graph what a SavedModel brought with it and the function does not use, such as its old head.

    Nobody would restore it, and a session refuses to start with it.
    """
    if tf.executing_eagerly():
        return
    kept = {id(variable) for variable in (*known, *used)}
    for name in (
        tf.compat.v1.GraphKeys.GLOBAL_VARIABLES,
        tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES,
    ):
        collection = tf.compat.v1.get_collection_ref(name)
        collection[:] = [variable for variable in collection if id(variable) in kept]


def _inference(loaded: Any, path: str) -> Any:
    """Returns the function of a SavedModel for inference: its default signature, else its `__call__`.

    Raises:
      SettingsError: it has neither.
    """
    if _SIGNATURE in loaded.signatures:
        return loaded.signatures[_SIGNATURE]
    functions = loaded.__call__.concrete_functions if callable(loaded) else []
    if not functions:
        raise errors.SettingsError(
            f"Expected the SavedModel of --extractor={path} to have a signature {_SIGNATURE!r} or to be callable, "
            f"found signatures {sorted(loaded.signatures)}. Export it with tf.saved_model.save."
        )
    # Of `training=True` and `training=False` the latter, if it was traced for both.
    return min(functions, key=lambda f: True in tf.nest.flatten(f.structured_input_signature))


def _image(function: Any, path: str) -> tf.TensorSpec:
    """Returns what the one argument of the function, `[batch, height, width, channels]`, is.

    Raises:
      SettingsError: it takes or gives something else.
    """
    taken = [
        spec
        for spec in tf.nest.flatten(function.structured_input_signature)
        if isinstance(spec, tf.TensorSpec)
    ]
    given = tf.nest.flatten(function.structured_outputs)
    if len(taken) == 1 and taken[0].shape.rank == 4 and taken[0].dtype.is_floating:
        if len(given) == 1 and given[0].shape.rank in (2, 4) and given[0].shape[-1]:
            return taken[0]
    raise errors.SettingsError(
        f"Expected the SavedModel of --extractor={path} to take [batch, height, width, channels] of float32 and to "
        f"give [batch, size] or [batch, height, width, size], found {[_say(s) for s in taken]} and "
        f"{[_say(s) for s in given]}. Export the part of the model that extracts features."
    )


def _say(spec: tf.TensorSpec) -> str:
    shape = "?" if spec.shape.rank is None else spec.shape.as_list()
    return f"{spec.dtype.name} {shape}"
