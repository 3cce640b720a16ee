"""Random changes of training images: flips, crops, rotations and colours, another one for each image of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

import numpy as np
import tensorflow as tf

from input_fns import errors
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib

# Weights of red, green and blue in a colour's brightness, as in tf.image.rgb_to_grayscale (ITU-R BT.601).
_LUMA = (0.2989, 0.5870, 0.1140)


def image_features(
    schema: schema_lib.Schema, settings: settings_lib.InputSettings
) -> tuple[str, ...]:
    """The names of the features that the settings ask to augment: float32 of two or three dimensions.

    Raises:
        SchemaError: they ask for augmentation and there is no such feature.
    """
    if not settings.augments:
        return ()
    names = tuple(
        feature.name
        for feature in schema.features
        if feature.dtype == "float32" and len(feature.shape) in (2, 3)
    )
    if not names:
        found = ", ".join(
            f"{feature.name} {feature.dtype} {list(feature.shape)}"
            for feature in schema.features[:3]
        )
        raise errors.SchemaError(
            f"Expected a feature of images, float32 [height, width] or [height, width, channels], for --augment_..., "
            f"found {found}. Leave the --augment_ flags out."
        )
    return names


def apply(
    dataset: tf.data.Dataset,
    names: tuple[str, ...],
    settings: settings_lib.InputSettings,
    start: Sequence[int] = (),
) -> tf.data.Dataset:
    """The dataset of (features, label) batches with images that are augmented, each batch by a seed of its own.

    Args:
        dataset: batches.
        names: which features are images, from `image_features`.
        settings: what may be changed, how far, and the seed; without a seed the changes are others each time.
        start: whole numbers >= 0 that tell where a training that goes on does so: what was drawn from the seed before
            is not drawn again.
    """
    sequence = np.random.SeedSequence(settings.seed, spawn_key=tuple(start))
    key = sequence.generate_state(1).astype(np.int64)[0]

    def change(step: tf.Tensor, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        features, label = batch
        return augment(features, names, settings, tf.stack([key, step])), label

    return dataset.enumerate().map(change).prefetch(1)


def augment(
    features: Mapping[str, tf.Tensor],
    names: tuple[str, ...],
    settings: settings_lib.InputSettings,
    seed: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """The batch with other images.

    Args:
        features: name -> [batch, ...]; images are [batch, height, width] or [batch, height, width, channels] in [0, 1].
        names: which features are images, from `image_features`.
        settings: what may be changed, and how far.
        seed: [2] int64; the same one gives the same changes.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, len(names)))
    changed = {}
    for name, own_seed in zip(names, seeds):
        images = features[name]
        with_channels = images if images.shape.rank == 4 else images[..., tf.newaxis]
        changed[name] = tf.reshape(_augment(with_channels, settings, own_seed), tf.shape(images))
        changed[name].set_shape(images.shape)
    return {**features, **changed}


def _augment(images: tf.Tensor, settings: settings_lib.InputSettings, seed: tf.Tensor) -> tf.Tensor:
    geometry, colour = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    if settings.augment_crop < 1 or settings.augment_rotation:
        images = _transform(images, settings, geometry)
    elif settings.augment_flip:
        images = _flip(images, settings.augment_flip, geometry)
    if settings.augment_color:
        images = _change_colours(images, settings.augment_color, colour)
    return images


def _flip(images: tf.Tensor, flips: str, seed: tf.Tensor) -> tf.Tensor:
    """Flips alone, which need no interpolation."""
    for axis, sign in zip((2, 1), _signs(images, flips, seed)):
        if sign is not None:
            # Unlike tf.where it takes a truth value an image, and copies images as a whole.
            images = tf.raw_ops.Select(condition=sign < 0, x=tf.reverse(images, [axis]), y=images)
    return images


def _signs(
    images: tf.Tensor, flips: str, seed: tf.Tensor
) -> tuple[tf.Tensor | None, tf.Tensor | None]:
    """[batch] each, -1 for an image to be flipped, else 1: left and right, top and bottom; None if not asked for."""
    draws = tf.random.stateless_uniform([2, tf.shape(images)[0]], seed, -1.0, 1.0)
    signs = tf.where(draws < 0, -1.0, 1.0)
    return (
        signs[0] if flips in ("horizontal", "both") else None,
        signs[1] if flips in ("vertical", "both") else None,
    )


def _transform(
    images: tf.Tensor, settings: settings_lib.InputSettings, seed: tf.Tensor
) -> tf.Tensor:
    of_flips, seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    flip_x, flip_y = _signs(images, settings.augment_flip, of_flips)
    draws = tf.random.stateless_uniform([4, tf.shape(images)[0]], seed, -1.0, 1.0)
    share = 1.0 - (1.0 - settings.augment_crop) * (draws[0] + 1.0) / 2.0
    return warp(
        images,
        flip_x=tf.ones_like(share) if flip_x is None else flip_x,
        flip_y=tf.ones_like(share) if flip_y is None else flip_y,
        angle=draws[1] * math.radians(settings.augment_rotation),
        share=share,
        # Whatever place keeps the window, before it is turned, inside the image.
        shift_x=(1.0 - share) * draws[2],
        shift_y=(1.0 - share) * draws[3],
    )


def warp(
    images: tf.Tensor,
    flip_x: tf.Tensor,
    flip_y: tf.Tensor,
    angle: tf.Tensor,
    share: tf.Tensor,
    shift_x: tf.Tensor,
    shift_y: tf.Tensor,
) -> tf.Tensor:
    """A window of each image, mirrored, turned and enlarged to the image's size: pixels are interpolated once.

    What lies outside of an image is its reflection, as in Keras' RandomRotation.

    Args:
        images: [batch, height, width, channels] float32.
        flip_x: [batch], -1 exchanges left and right, 1 does not.
        flip_y: [batch], -1 exchanges top and bottom.
        angle: [batch] radians, anticlockwise.
        share: [batch], the window's sides as shares of the image's.
        shift_x: [batch], where the window's middle lies, from -1 (the left edge) to 1 (the right edge).
        shift_y: [batch], likewise from top to bottom.
    """
    size = tf.cast(tf.shape(images)[1:3], tf.float32)
    middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    # The output's pixel (x, y) is that of the image at x' = a0 x + a1 y + a2, y' = b0 x + b1 y + b2. y points down.
    a0, a1 = share * tf.cos(angle) * flip_x, -share * tf.sin(angle) * flip_y
    b0, b1 = share * tf.sin(angle) * flip_x, share * tf.cos(angle) * flip_y
    a2 = middle_x * (1.0 + shift_x) - a0 * middle_x - a1 * middle_y
    b2 = middle_y * (1.0 + shift_y) - b0 * middle_x - b1 * middle_y
    nothing = tf.zeros_like(a0)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a0, a1, a2, b0, b1, b2, nothing, nothing], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _change_colours(images: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Brightness is moved by up to `strength`, contrast and saturation are scaled by up to 1 -+ `strength`."""
    draws = tf.random.stateless_uniform([3, tf.shape(images)[0], 1, 1], seed, -1.0, 1.0)
    brightness, contrast, saturation = tf.unstack(draws * strength)
    height, width, channels = (tf.shape(images)[axis] for axis in (1, 2, 3))
    pixels = tf.reshape(images, [-1, height * width, channels])
    # Contrast and brightness: c x + (1 - c) mean + b.
    offset = tf.reduce_mean(pixels, axis=1, keepdims=True) * -contrast + brightness
    if images.shape[3] == len(_LUMA):
        # Saturation: s x + (1 - s) grey, all as one product with a matrix an image.
        to_grey = tf.tile(tf.constant(_LUMA)[:, tf.newaxis], [1, len(_LUMA)])
        mix = (1.0 + saturation) * tf.eye(len(_LUMA)) - saturation * to_grey
        pixels = tf.matmul(pixels, (1.0 + contrast) * mix) + tf.matmul(offset, mix)
    else:
        pixels = pixels * (1.0 + contrast) + offset
    return tf.reshape(tf.clip_by_value(pixels, 0.0, 1.0), tf.shape(images))
