"""The image models that people start with, as Keras models turned into Estimators.

Images arrive as one feature, `[batch, height, width]` or `[batch, height, width, channels]`, float32 in [0, 1] where
their files hold bytes. Parameters are counted for 28 x 28 x 1 and ten classes.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from estimator_app.compat import keras
from estimator_app.models import keras_estimator
from estimator_app.models.problem import Problem
from input_fns import schema as schema_lib

_TUTORIAL_DROPOUT = 0.2
_WIDE_DROPOUT = 0.5


def mnist_mlp(problem: Problem) -> Any:
    """Flatten, Dense 128 relu, dropout as asked for, softmax: 101,770 parameters."""
    return _mnist_mlp(problem, problem.settings.dropout)


def mnist_mlp_dropout(problem: Problem) -> Any:
    """`mnist_mlp` with a dropout of 0.2."""
    return _mnist_mlp(problem, _TUTORIAL_DROPOUT)


def mlp_300_100(problem: Problem) -> Any:
    """Flatten, Dense 300 relu, Dense 100 relu, softmax: 266,610 parameters."""
    image = image_input(problem)
    hidden = keras.layers.Flatten()(image)
    for units in (300, 100):
        hidden = keras.layers.Dense(units, "relu")(hidden)
    return to_estimator(problem, image, hidden)


def cnn_functional(problem: Problem) -> Any:
    """Six convolutions 3 x 3, two of them with stride 2, global average pooling, Dense 32: 141,258 parameters."""
    image = image_input(problem)
    hidden = with_channels(image)
    for filters, strides in ((32, 1), (32, 2), (64, 1), (64, 2), (64, 1), (64, 1)):
        hidden = keras.layers.Conv2D(filters, 3, strides, "same", activation="relu")(hidden)
    hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    return to_estimator(problem, image, keras.layers.Dense(32, "relu")(hidden))


def cnn_small(problem: Problem) -> Any:
    """Convolutions 3 x 3 of 32, 64 and 64 filters with pooling between them, Dense 64; images of any size."""
    image = image_input(problem)
    # "same" throughout: an image of a few pixels is not used up.
    hidden = keras.layers.Conv2D(32, 3, padding="same", activation="relu")(with_channels(image))
    for filters in (64, 64):
        hidden = keras.layers.MaxPooling2D(2, padding="same")(hidden)
        hidden = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(hidden)
    hidden = keras.layers.Flatten()(hidden)
    return to_estimator(problem, image, keras.layers.Dense(64, "relu")(hidden))


def cnn_dropout(problem: Problem) -> Any:
    """Convolutions 5 x 5 of 32 and 64 filters, each pooled, Dense 1024, a dropout of 0.5: 3,274,634 parameters."""
    image = image_input(problem)
    hidden = with_channels(image)
    for filters in (32, 64):
        hidden = keras.layers.Conv2D(filters, 5, padding="same", activation="relu")(hidden)
        hidden = keras.layers.MaxPooling2D(2, padding="same")(hidden)
    hidden = keras.layers.Dense(1024, "relu")(keras.layers.Flatten()(hidden))
    return to_estimator(problem, image, keras.layers.Dropout(_WIDE_DROPOUT)(hidden))


class ConvolutionalClassifier(keras.Model):
    """`{feature: images}` -> `[batch, classes]`: Conv 32, max-pool 2 x 2, Dense 256, Dense 128, relu each; softmax."""

    def __init__(self, feature: str, image_shape: Any, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._config = {
            "feature": feature,
            "image_shape": tuple(image_shape),
            "num_classes": num_classes,
        }
        self.convolution = keras.layers.Conv2D(32, 3, padding="same", activation="relu")
        self.pooling = keras.layers.MaxPooling2D(2, padding="same")
        self.flatten = keras.layers.Flatten()
        self.first = keras.layers.Dense(256, "relu")
        self.second = keras.layers.Dense(128, "relu")
        self.probabilities = keras.layers.Dense(num_classes, "softmax")

    def call(self, inputs: Any) -> Any:
        images = tf.reshape(
            inputs[self._config["feature"]],
            [-1, *_shape_with_channels(self._config["image_shape"])],
        )
        hidden = self.flatten(self.pooling(self.convolution(images)))
        return self.probabilities(self.second(self.first(hidden)))

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)


def cnn_subclassed(problem: Problem) -> Any:
    """ConvolutionalClassifier, a subclass of `keras.Model`: 1,640,394 parameters."""
    feature = problem.schema.features[0]
    keras.utils.set_random_seed(problem.config.tf_random_seed)
    model = ConvolutionalClassifier(feature.name, feature.shape, problem.schema.num_classes)
    return keras_estimator.compile_to_estimator(model, problem)


def is_image(schema: schema_lib.Schema) -> bool:
    """Returns whether the data is one image feature with a label of classes, as these models take it."""
    return (
        len(schema.features) == 1
        and len(schema.features[0].shape) in (2, 3)
        and schema.features[0].dtype != "string"
        and schema.task == "classification"
    )


def _mnist_mlp(problem: Problem, dropout: float) -> Any:
    image = image_input(problem)
    hidden = keras.layers.Dense(128, "relu")(keras.layers.Flatten()(image))
    if dropout:
        hidden = keras.layers.Dropout(dropout)(hidden)
    return to_estimator(problem, image, hidden)


def image_input(problem: Problem) -> Any:
    """Seeds Keras and returns the model's one input."""
    keras.utils.set_random_seed(problem.config.tf_random_seed)
    feature = problem.schema.features[0]
    return keras.Input(feature.shape, name=feature.name, dtype=feature.dtype)


def with_channels(image: Any) -> Any:
    """Returns the images as `[batch, height, width, channels]`."""
    return keras.layers.Reshape(_shape_with_channels(image.shape[1:]))(image)


def _shape_with_channels(shape: Any) -> tuple[int, ...]:
    return tuple(shape) if len(shape) == 3 else (*shape, 1)


def to_estimator(
    problem: Problem,
    image: Any,
    hidden: Any,
    learning_rate: float = keras_estimator.DEFAULT_LEARNING_RATE,
) -> Any:
    """Returns the Estimator of a softmax on `hidden`; the rate is that of the model's own optimizer."""
    feature = problem.schema.features[0].name
    model = keras.Model({feature: image}, keras_estimator.output(hidden, problem.schema))
    return keras_estimator.compile_to_estimator(model, problem, learning_rate=learning_rate)
