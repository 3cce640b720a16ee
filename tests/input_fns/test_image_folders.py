import pathlib

import numpy as np
import pytest
import tensorflow as tf

from input_fns import bad_rows as bad_rows_lib
from input_fns import (
    blocks,
    errors,
    idx_files,
    image_folders,
    inference,
    packaged,
    pipeline,
    row_order,
)
from input_fns import settings as settings_lib
from input_fns import sources


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The first 60 packaged evaluation digits: [60, 28, 28, 1] uint8, and their labels."""
    (path,) = packaged.find("mnist").eval_files
    reader = idx_files.IdxFormat()
    block = next(reader.read(blocks.Shard(path), reader.columns(path)))
    pixels, labels = block.cells["image"][:60], block.cells["label"][:60]
    return np.round(pixels[..., None] * 255).astype(np.uint8), np.asarray(labels)


@pytest.fixture
def folder(tmp_path: pathlib.Path, digits: tuple[np.ndarray, np.ndarray]) -> pathlib.Path:
    """40 digits to train on and 20 to evaluate, a folder a class."""
    for number, (pixels, label) in enumerate(zip(*digits, strict=True)):
        part = "train" if number < 40 else "test"
        path = tmp_path / "digits" / part / f"digit {label}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_png(pixels).numpy())
    return tmp_path / "digits"


def _settings(path: pathlib.Path, **changes: object) -> settings_lib.InputSettings:
    fields = {"train_data": str(path), "batch_size": 8, "seed": 1, **changes}
    return settings_lib.InputSettings(**fields)  # type: ignore[arg-type]


def _rows(settings: settings_lib.InputSettings, role: str, mode: str, batches: int) -> list:
    source = sources.open_source(settings, role)
    schema = inference.scan(sources.open_source(settings, "train"), settings).schema
    dataset = pipeline.make_input_fn(source, schema, settings, mode)()
    return [
        (image, label)
        for features, labels in dataset.take(batches).as_numpy_iterator()
        for image, label in zip(features["image"], labels, strict=True)
    ]


def test_each_part_is_taken_by_its_role(
    folder: pathlib.Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    rows = _rows(_settings(folder), "eval", "eval", 9)
    assert len(rows) == 20
    expected = sorted(zip(digits[1][40:], range(40, 60), strict=True))  # by class, then by name
    assert [label for _, label in rows] == [f"digit {label}".encode() for label, _ in expected]
    for (image, _), (_, number) in zip(rows, expected, strict=True):
        np.testing.assert_allclose(image * 255, digits[0][number], atol=1e-4)


@pytest.mark.parametrize("held_bytes", [1 << 30, 1])
def test_an_epoch_of_training_has_each_image_once_in_random_order(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, held_bytes: int
) -> None:
    monkeypatch.setattr(row_order, "HELD_BYTES", held_bytes)
    monkeypatch.setattr(image_folders, "_BLOCK_BYTES", 5 * 28 * 28 * 4)
    rows = _rows(_settings(folder), "train", "train", 15)
    epochs = [[image.tobytes() for image, _ in rows[start : start + 40]] for start in (0, 40, 80)]
    assert len(set(epochs[0])) == 40
    assert set(epochs[0]) == set(epochs[1]) == set(epochs[2])
    assert epochs[0] != epochs[1]
    labels = [label for _, label in rows[:40]]
    assert labels != sorted(labels)


def test_workers_share_the_images(folder: pathlib.Path) -> None:
    settings = _settings(folder)
    source = sources.open_source(settings, "train")
    rng = np.random.default_rng(0)
    seen = [
        row
        for part in range(3)
        for block in source.read_permuted(rng, (part, 3))
        for row in block.rows.tolist()
    ]
    assert sorted(seen) == list(range(1, 41))


def test_one_folder_is_split_by_the_files_names(folder: pathlib.Path) -> None:
    settings = _settings(folder / "train", validation_share=0.3)
    parts = {
        role: {
            path.name
            for path in folder.glob("train/*/*.png")
            if str(path) in image_folders.make(settings, role)._files(settings.train_data)[0]
        }
        for role in sources.ROLES
    }
    assert not parts["train"] & parts["eval"]
    assert len(parts["train"] | parts["eval"]) == 40
    assert 5 <= len(parts["eval"]) <= 20
    (folder / "train" / "digit 7" / "new.png").write_bytes(b"")
    again = image_folders.make(settings, "eval")._files(settings.train_data)[0]
    assert {pathlib.Path(name).name for name in again} - {"new.png"} == parts["eval"]


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "gif"])
def test_formats_sizes_and_channels(tmp_path: pathlib.Path, ending: str) -> None:
    from PIL import Image

    colours = {"red": (250, 0, 0), "blue": (0, 0, 250)}
    for name, colour in colours.items():
        (tmp_path / name).mkdir()
        Image.new("RGB", (30, 20), colour).save(tmp_path / name / f"1.{ending}")
    settings = _settings(tmp_path, eval_data=str(tmp_path), image_size=(8, 10))
    rows = _rows(settings, "eval", "eval", 9)
    assert [label for _, label in rows] == [b"blue", b"red"]
    for image, label in rows:
        assert image.shape == (8, 10, 3)
        expected = np.broadcast_to(np.divide(colours[label.decode()], 255), image.shape)
        np.testing.assert_allclose(image, expected, atol=0.02)
    grey = _rows(_settings(tmp_path, eval_data=str(tmp_path), image_channels=1), "eval", "eval", 9)
    assert grey[0][0].shape == (20, 30, 1)


def test_files_that_are_no_images_are_refused_or_kept_apart(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    bad = folder / "train" / "digit 7" / "00.png"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    other = folder / "train" / "digit 2" / "a.png"
    other.write_bytes(tf.io.encode_png(np.zeros((5, 9, 1), np.uint8)).numpy())
    source = sources.open_source(_settings(folder), "train")
    with pytest.raises(
        errors.BadRowError,
        match="digit 2/a.png, row .*, column 'image': expected an image of 28x28 pixels as the "
        r"first \(or --image_size\), found 'an image of 9x5 pixels'",
    ):
        inference.scan(source, _settings(folder))
    settings = _settings(folder, bad_rows="skip")
    with bad_rows_lib.Writer(tmp_path / "bad_rows.csv") as writer:
        scanned = inference.scan(source, settings, bad_rows=writer)
    assert (scanned.num_rows, scanned.bad_rows) == (39, 2)
    kept = (tmp_path / "bad_rows.csv").read_text()
    assert "digit 7/00.png" in kept and "a PNG file that is cut off or damaged" in kept
    rows = _rows(settings, "train", "train", 15)
    assert len({image.tobytes() for image, _ in rows}) == 39


def test_a_folder_without_images_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "1.jpg").write_bytes(b"")
    with pytest.raises(
        errors.FileError, match="flat holds no image. Expected a folder for each cl"
    ):
        sources.open_source(_settings(tmp_path / "flat"), "train")


def test_a_folder_without_a_part_for_evaluation_says_so(folder: pathlib.Path) -> None:
    with pytest.raises(
        errors.SettingsError, match="none. Give the rows to evaluate on, or a share .* --validation"
    ):
        sources.open_source(_settings(folder / "train"), "eval")


def test_the_images_of_a_remote_folder_are_read(digits: tuple[np.ndarray, np.ndarray]) -> None:
    for number in range(6):
        path = f"ram://photos/{'ab'[number % 2]}/{number}.png"
        tf.io.gfile.makedirs(path.rsplit("/", 1)[0])
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(tf.io.encode_png(digits[0][number]).numpy())
    settings = settings_lib.InputSettings(train_data="ram://photos", format="images")
    source = sources.open_source(settings, "train")
    assert inference.scan(source, settings).num_rows == 6
