"""Training images are changed at random, each in another way; what an operation does is held against NumPy."""

from __future__ import annotations

from collections.abc import Callable
import itertools
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from input_fns import augmentation, errors, inference, pipeline
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

EVERYTHING = {
    "augment_flip": "both",
    "augment_crop": 0.8,
    "augment_rotation": 20.0,
    "augment_color": 0.3,
}


def images_of(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).random(shape, np.float32)


def augmented(images: np.ndarray, seed: int = 1, **asked: Any) -> np.ndarray:
    settings = settings_lib.InputSettings(train_data="digits.npz", **asked)
    seeds = tf.constant([seed, 5], tf.int64)
    return augmentation.augment({"image": tf.constant(images)}, ("image",), settings, seeds)[
        "image"
    ].numpy()


def warped(image: np.ndarray, **given: float) -> np.ndarray:
    """One image `[height, width]`, changed in the way that is given."""
    same = {"flip_x": 1, "flip_y": 1, "angle": 0, "share": 1, "shift_x": 0, "shift_y": 0}
    arguments = {
        name: tf.constant([value], tf.float32) for name, value in {**same, **given}.items()
    }
    return augmentation.warp(tf.constant(image[None, ..., None]), **arguments)[0, ..., 0].numpy()


@pytest.mark.parametrize("shape", [(6, 9, 12), (6, 9, 12, 1), (6, 9, 12, 3)])
def test_shape_and_range_stay(shape: tuple[int, ...]) -> None:
    images = images_of(*shape)
    changed = augmented(images, **EVERYTHING)
    assert changed.shape == shape and changed.dtype == np.float32
    assert changed.min() >= 0.0 and changed.max() <= 1.0
    assert all(np.abs(one - other).max() > 0.1 for one, other in zip(images, changed))


def test_the_seed_decides() -> None:
    same = np.repeat(images_of(1, 8, 8, 3), 5, axis=0)
    changed = augmented(same, **EVERYTHING)
    np.testing.assert_array_equal(changed, augmented(same, **EVERYTHING))
    others = [*changed, *augmented(same, seed=2, **EVERYTHING)]
    for one, other in itertools.combinations(others, 2):
        assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize(
    ("flip", "possible"),
    [
        ("horizontal", [np.array, np.fliplr]),
        ("vertical", [np.array, np.flipud]),
        ("both", [np.array, np.fliplr, np.flipud, lambda image: image[::-1, ::-1]]),
    ],
)
def test_flips_are_exact_and_all_occur(flip: str, possible: list[Callable[..., Any]]) -> None:
    image = images_of(5, 8, 3)
    changed = augmented(np.repeat(image[None], 40, axis=0), augment_flip=flip)
    found = [[np.array_equal(one, make(image)) for make in possible] for one in changed]
    assert all(sum(matches) == 1 for matches in found)
    assert all(any(matches) for matches in zip(*found))


def test_a_quarter_turn_is_anticlockwise() -> None:
    image = images_of(7, 7)
    np.testing.assert_allclose(warped(image, angle=np.pi / 2), np.rot90(image), atol=1e-5)


def test_any_turn_is_what_bilinear_interpolation_says() -> None:
    image, angle = images_of(15, 15), np.radians(25.0)
    changed = warped(image, angle=angle)
    # Inside the circle that stays in the image; the middle is (7, 7).
    for y, x in itertools.product(range(4, 11), range(4, 11)):
        from_x = 7 + np.cos(angle) * (x - 7) - np.sin(angle) * (y - 7)
        from_y = 7 + np.sin(angle) * (x - 7) + np.cos(angle) * (y - 7)
        left, top = int(from_x), int(from_y)
        right, down = from_x - left, from_y - top
        expected = (
            image[top, left] * (1 - right) * (1 - down)
            + image[top, left + 1] * right * (1 - down)
            + image[top + 1, left] * (1 - right) * down
            + image[top + 1, left + 1] * right * down
        )
        assert changed[y, x] == pytest.approx(expected, abs=1e-4)


def test_a_window_is_enlarged_to_the_whole() -> None:
    image = images_of(9, 9)
    changed = warped(image, share=0.5, shift_x=-0.5, shift_y=0.5)  # the corner at bottom left
    rows = np.stack([np.interp(np.linspace(0, 4, 9), range(5), row[:5]) for row in image])
    expected = np.stack([np.interp(np.linspace(4, 8, 9), range(9), column) for column in rows.T]).T
    np.testing.assert_allclose(changed, expected, atol=1e-5)


def test_windows_stay_inside_the_image() -> None:
    ramp = np.tile(np.linspace(0.2, 0.8, 16, dtype=np.float32), (40, 16, 1))
    changed = augmented(ramp, augment_crop=0.5)
    shown = changed.max(axis=(1, 2)) - changed.min(axis=(1, 2))
    # Nothing is reflected: every row still rises, by at least half of what it rose.
    assert np.diff(changed, axis=2).min() > 0
    assert 0.3 < shown.min() < 0.4 and 0.5 < shown.max() <= 0.6


def test_colours_change_and_geometry_does_not() -> None:
    images = np.full((50, 4, 4, 3), 0.5, np.float32)
    images[:, :2] = 0.6
    changed = augmented(images, augment_color=0.2)
    difference = changed[:, 0, 0, 0] - changed[:, 3, 0, 0]
    assert 0.08 <= difference.min() < 0.09 and 0.11 < difference.max() <= 0.121  # contrast
    level = changed.mean(axis=(1, 2, 3))
    assert 0.35 <= level.min() < 0.40 and 0.70 < level.max() <= 0.75  # brightness
    # A grey image has no colours to saturate.
    np.testing.assert_allclose(changed[..., 0], changed[..., 2], atol=1e-3)

    reds = np.zeros((50, 2, 2, 3), np.float32) + np.float32([0.6, 0.4, 0.4])
    changed = augmented(reds, augment_color=0.2)
    saturation = changed[:, 0, 0, 0] - changed[:, 0, 0, 1]
    assert 0.16 <= saturation.min() < 0.18 and 0.22 < saturation.max() <= 0.241


@pytest.fixture
def digits(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "digits.npz"
    pixels = np.random.default_rng(1).integers(0, 256, (20, 8, 8), np.uint8)
    np.savez(path, image=pixels, y=np.arange(20) % 2)
    return str(path)


def read(path: str, mode: str, count: int, **changes: Any) -> list[np.ndarray]:
    settings = settings_lib.InputSettings(
        train_data=path, label_column="y", batch_size=5, shuffle_buffer=0, **changes
    )
    source = sources.open_source(settings, "train")
    schema = inference.scan(source, settings).schema
    dataset = pipeline.make_input_fn(source, schema, settings, mode)()
    batches = itertools.islice(dataset.as_numpy_iterator(), count)
    return [(batch if mode == "predict" else batch[0])["image"] for batch in batches]


def test_only_training_images_are_augmented(digits: str) -> None:
    for mode in ("eval", "predict"):
        plain = np.concatenate(read(digits, mode, 4))
        np.testing.assert_array_equal(
            plain, np.concatenate(read(digits, mode, 4, seed=3, **EVERYTHING))
        )
    changed = np.concatenate(read(digits, "train", 4, seed=3, **EVERYTHING))
    assert np.abs(changed - plain).max(axis=(1, 2)).min() > 0.1


def test_augmented_training_repeats_with_the_seed(digits: str) -> None:
    first, again = (np.stack(read(digits, "train", 8, seed=3, **EVERYTHING)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    # The second pass over the rows sees other images than the first.
    assert np.abs(first[:4] - first[4:]).max(axis=(2, 3)).min() > 0.01
    other = np.stack(read(digits, "train", 8, seed=4, **EVERYTHING))
    assert np.abs(first - other).max(axis=(2, 3)).min() > 0.01


def test_training_that_goes_on_does_not_draw_the_same_again() -> None:
    settings = settings_lib.InputSettings(data="mnist", seed=3, **EVERYTHING)
    batch = ({"image": images_of(2, 8, 8)}, np.zeros(2))
    dataset = tf.data.Dataset.from_tensors(batch)
    first, later = (
        next(iter(augmentation.apply(dataset, ("image",), settings, start)))[0]["image"].numpy()
        for start in ((), (0, 2))
    )
    assert np.abs(first - later).max(axis=(1, 2)).min() > 0.01


def test_augmenting_what_is_no_image_is_refused() -> None:
    settings = settings_lib.InputSettings(data="census", augment_flip="both")
    schema = schema_lib.Schema((schema_lib.Feature("age", "int64"),))
    with pytest.raises(
        errors.SchemaError,
        match=r"for --augment_..., found age int64 \[\]. Leave the --augment_ flags out",
    ):
        augmentation.image_features(schema, settings)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "augment_flip",
            "up",
            "--augment_flip must be one of horizontal, vertical, both, not 'up'",
        ),
        ("augment_crop", 0.0, r"--augment_crop must be a share of the image's sides in \(0, 1\]"),
        ("augment_rotation", 181.0, r"--augment_rotation must be degrees in \[0, 180\], not 181.0"),
        ("augment_color", 1.0, r"--augment_color must be in \[0, 1\), not 1.0"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(errors.SettingsError, match=sentence):
        settings_lib.InputSettings(data="mnist", **{name: value})
