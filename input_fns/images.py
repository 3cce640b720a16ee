"""Image files to pixels, many at a time, by TensorFlow's own decoders: JPEG, PNG, GIF (its first picture) and BMP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import functools
import os
from typing import Any

import numpy as np
import tensorflow as tf

_PARALLEL = 32  # images under way at a time


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Some images.

    Attributes:
        pixels: [n, height, width, channels] float32 in [0, 1]; zeros where there is no image.
        faults: index -> what is wrong with that image; empty when all could be read.
    """

    pixels: np.ndarray
    faults: dict[int, str]


@dataclasses.dataclass(frozen=True)
class Decoder:
    """Reads image files as arrays of one shape.

    Attributes:
        height: of what is given; a file of another size is resized to it if `resize`, else it is a fault.
        width: likewise.
        channels: 1 gives grey values, 3 red, green and blue, whatever the file holds.
        resize: whether other sizes are resized: bilinear, antialiased.
    """

    height: int
    width: int
    channels: int
    resize: bool

    def decode(self, paths: Sequence[str]) -> Decoded:
        """The images in those files."""
        try:
            return Decoded(self._read_all(list(paths)), {})
        except tf.errors.OpError:
            return self._decode_each(paths)

    def _decode_each(self, paths: Sequence[str]) -> Decoded:
        """The same, where at least one is at fault: which one, the whole does not tell."""
        pixels = np.zeros((len(paths), self.height, self.width, self.channels), np.float32)
        faults = {}
        for index, path in enumerate(paths):
            try:
                pixels[index] = self._read_any([path])[0]
            except tf.errors.OpError:
                faults[index] = self._find_fault(path)
        return Decoded(pixels, faults)

    def _find_fault(self, path: str) -> str:
        try:
            shape = read_shape(path)
        except ValueError as error:
            return str(error)
        return f"an image of {shape[1]}x{shape[0]} pixels"

    @functools.cached_property
    def _read_all(self) -> Callable[[list[str]], np.ndarray]:
        return self._make_reader(
            lambda data: tf.io.decode_image(data, self.channels, expand_animations=False)
        )

    @functools.cached_property
    def _read_any(self) -> Callable[[list[str]], np.ndarray]:
        """The same for what TensorFlow's decoder does not turn to grey or colour itself: GIF and BMP."""
        return self._make_reader(
            lambda data: _to_channels(
                tf.io.decode_image(data, expand_animations=False), self.channels
            )
        )

    def _make_reader(
        self, decode: Callable[[tf.Tensor], tf.Tensor]
    ) -> Callable[[list[str]], np.ndarray]:
        shape = [self.height, self.width, self.channels]

        def read(path: tf.Tensor) -> tf.Tensor:
            image = decode(tf.io.read_file(path))
            if self.resize:
                image = tf.image.resize(image, shape[:2], antialias=True)
            return tf.ensure_shape(image, shape)

        def build(paths: tf.Tensor) -> tf.Tensor:
            # One loop in the graph: half the time that tf.data takes for as many small images.
            spec = tf.TensorSpec(shape, tf.float32 if self.resize else tf.uint8)
            images = tf.map_fn(read, paths, parallel_iterations=_PARALLEL, fn_output_signature=spec)
            return tf.cast(images, tf.float32) * (1 / 255)

        return _make_callable(build)


def _to_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """[height, width, 1, 2, 3 or 4] uint8 -> [height, width, channels]; an alpha channel is left out."""
    has_colour = tf.shape(image)[2] > 2
    if channels == 1:
        return tf.cond(
            has_colour,
            lambda: tf.image.rgb_to_grayscale(image[:, :, :3]),
            lambda: image[:, :, :1],
        )
    return tf.cond(has_colour, lambda: image[:, :, :3], lambda: tf.repeat(image[:, :, :1], 3, 2))


def read_shape(path: str) -> tuple[int, int, int]:
    """The (height, width, channels) of an image file.

    Raises:
        ValueError: it is not an image that can be decoded; what is wrong.
    """
    try:
        height, width, channels = _shape_reader()(path).tolist()
    except tf.errors.OpError as error:
        raise ValueError(_explain(path, error)) from error
    return height, width, channels


@functools.cache
def _shape_reader() -> Callable[[str], np.ndarray]:
    return _make_callable(
        lambda path: tf.shape(tf.io.decode_image(tf.io.read_file(path), expand_animations=False)),
        shape=[],
    )


def _explain(path: str, error: tf.errors.OpError) -> str:
    if isinstance(error, tf.errors.NotFoundError):
        return "no such file"
    with tf.io.gfile.GFile(path, "rb") as file:
        start = file.read(4)
    return f"a file that starts with the bytes {start.hex(' ')}" if start else "an empty file"


def _make_callable(
    build: Callable[[tf.Tensor], tf.Tensor], shape: Sequence[int | None] = (None,)
) -> Callable[[Any], np.ndarray]:
    """A function of strings that is computed by a session with threads of its own.

    It is called inside an input function's generator, which holds one of TensorFlow's inter-op threads while it waits:
    a `tf.function` would want one of them too, and on two cores there may be none left.
    """
    with tf.Graph().as_default() as graph:
        argument = tf.compat.v1.placeholder(tf.string, list(shape))
        result = build(argument)
        config = tf.compat.v1.ConfigProto(
            use_per_session_threads=True,
            inter_op_parallelism_threads=os.cpu_count() or 1,
            device_count={"GPU": 0},
        )
        session = tf.compat.v1.Session(graph=graph, config=config)
    return lambda value: session.run(result, {argument: value})
