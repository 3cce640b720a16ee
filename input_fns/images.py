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
_KINDS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP"}


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
        encoded: whether images are given as the bytes of their files, not as the files' paths.
    """

    height: int
    width: int
    channels: int
    resize: bool
    encoded: bool = False

    def decode(self, files: Sequence[str | bytes]) -> Decoded:
        """The images in those files."""
        try:
            return Decoded(self._read_all(_to_array(files)), {})
        except tf.errors.OpError:
            return self._decode_each(files)

    def _decode_each(self, files: Sequence[str | bytes]) -> Decoded:
        """The same, where at least one is at fault: which one, the whole does not tell."""
        pixels = np.zeros((len(files), self.height, self.width, self.channels), np.float32)
        faults = {}
        for index, file in enumerate(files):
            try:
                pixels[index] = self._read_any(_to_array([file]))[0]
            except tf.errors.OpError:
                faults[index] = self._find_fault(file)
        return Decoded(pixels, faults)

    def _find_fault(self, file: str | bytes) -> str:
        try:
            shape = read_shape(file)
        except ValueError as error:
            return str(error)
        return f"an image of {shape[1]}x{shape[0]} pixels"

    @functools.cached_property
    def _read_all(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._make_reader(
            lambda data: tf.io.decode_image(data, self.channels, expand_animations=False)
        )

    @functools.cached_property
    def _read_any(self) -> Callable[[np.ndarray], np.ndarray]:
        """The same for what TensorFlow's decoder does not turn to grey or colour itself: GIF and BMP."""
        return self._make_reader(
            lambda data: _to_channels(
                tf.io.decode_image(data, expand_animations=False), self.channels
            )
        )

    def _make_reader(
        self, decode: Callable[[tf.Tensor], tf.Tensor]
    ) -> Callable[[np.ndarray], np.ndarray]:
        shape = [self.height, self.width, self.channels]

        def read(file: tf.Tensor) -> tf.Tensor:
            image = decode(file if self.encoded else tf.io.read_file(file))
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


def _to_array(files: Sequence[str | bytes]) -> np.ndarray:
    # NumPy's own choice for bytes drops zeros at their end.
    return np.array(files, dtype=object)


def read_shape(file: str | bytes) -> tuple[int, int, int]:
    """The (height, width, channels) of an image file: of its path, or of its bytes.

    Raises:
        ValueError: it is not an image that can be decoded; what is wrong.
    """
    try:
        height, width, channels = _shape_reader(isinstance(file, bytes))(file).tolist()
    except tf.errors.OpError as error:
        raise ValueError(_explain(file, error)) from error
    return height, width, channels


@functools.cache
def _shape_reader(encoded: bool) -> Callable[[str | bytes], np.ndarray]:
    def read(file: tf.Tensor) -> tf.Tensor:
        data = file if encoded else tf.io.read_file(file)
        return tf.shape(tf.io.decode_image(data, expand_animations=False))

    return _make_callable(read, shape=[])


def _explain(file: str | bytes, error: tf.errors.OpError) -> str:
    if isinstance(error, tf.errors.NotFoundError):
        return "no such file"
    if isinstance(file, bytes):
        start = file[:4]
    else:
        with tf.io.gfile.GFile(file, "rb") as opened:
            start = opened.read(4)
    kind = next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), "")
    if kind:
        return f"a {kind} file that is cut off or damaged"
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
