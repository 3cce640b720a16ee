"""An image classifier on a feature extractor that was trained before: a new head; the extractor is frozen or not."""

from __future__ import annotations

from typing import Any

from estimator_app import settings as settings_lib
from estimator_app.compat import keras
from estimator_app.models import extractors, keras_images
from estimator_app.models.problem import Problem
from input_fns import errors

# On fixed features the head is a linear model: there is nothing behind it that large steps could spoil.
_FROZEN_RATE = 0.005
# A trained extractor is changed by small steps only, or its knowledge is gone before the head knows anything.
_FINE_TUNING_RATE = 0.0001


def transfer(problem: Problem) -> Any:
    """Extractor of `--extractor`, global average pooling if it gives a map, dropout, softmax.

    Raises:
      SettingsError: the extractor is none of images.
      SchemaError: it does not take such images.
    """
    settings = problem.settings
    image = keras_images.image_input(problem)
    hidden = keras_images.with_channels(image)
    if settings.extractor == extractors.MOBILENET_V2:
        hidden = fit(hidden, (*extractors.mobilenet_size(*hidden.shape[1:3]), 3), problem)
        hidden = extractors.mobilenet_v2(hidden, settings.extractor_weights, settings.fine_tune)
    else:
        extractor = extractors.SavedExtractor(
            extractors.find(settings.extractor), trainable=settings.fine_tune, name="extractor"
        )
        hidden = extractor(fit(hidden, extractor.image_shape, problem))
    if len(hidden.shape) == 4:
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    if settings.dropout:
        hidden = keras.layers.Dropout(settings.dropout)(hidden)
    rate = _FINE_TUNING_RATE if settings.fine_tune else _FROZEN_RATE
    return keras_images.to_estimator(problem, image, hidden, rate)


def check(settings: settings_lib.ModelSettings) -> None:
    """Refuses settings with which there is no extractor, before any data is read.

    Raises:
      SettingsError: one is missing, or does not go with another.
    """
    if not settings.extractor:
        raise errors.SettingsError(
            f"Expected --extractor with --model=transfer, found none. Name the directory of a SavedModel, a handle of "
            f"TensorFlow Hub, or {extractors.MOBILENET_V2}."
        )
    if settings.extractor != extractors.MOBILENET_V2:
        if settings.extractor_weights:
            raise errors.SettingsError(
                f"Expected --extractor_weights with --extractor={extractors.MOBILENET_V2}, found it with "
                f"{settings.extractor}, which has its own. Leave it out."
            )
        extractors.find(settings.extractor)
    elif not settings.extractor_weights and not settings.fine_tune:
        raise errors.SettingsError(
            f"Expected --extractor_weights or --fine_tune with --extractor={extractors.MOBILENET_V2}, found neither: "
            f"random weights would stay as they are. Name a file of weights, or train them with --fine_tune."
        )


def fit(images: Any, wanted: tuple[Any, ...], problem: Problem) -> Any:
    """Returns the images in the size and with the channels that the extractor wants; grey is repeated.

    Raises:
      SchemaError: it wants fewer channels than they have, or another number than 3.
    """
    height, width, channels = images.shape[1:]
    wanted_height, wanted_width, wanted_channels = wanted
    if wanted_channels not in (None, channels):
        if channels != 1:
            raise errors.SchemaError(
                f"Expected images with {wanted_channels} channels for --extractor={problem.settings.extractor}, found "
                f"{channels}. Give --image_channels={wanted_channels}, or another extractor."
            )
        images = keras.layers.Concatenate()([images] * wanted_channels)
    size = (wanted_height or height, wanted_width or width)
    return images if size == (height, width) else keras.layers.Resizing(*size)(images)
