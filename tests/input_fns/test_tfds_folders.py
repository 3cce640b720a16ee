"""Folders of TensorFlow Datasets, made by hand as version 4.9.10 of the package makes them: it is not needed."""

from __future__ import annotations

import io
import json
import pathlib
from typing import Any

import PIL.Image
import numpy as np
import pytest
import tensorflow as tf

from input_fns import errors, formats, images, inference, pipeline
from input_fns import settings as settings_lib
from input_fns import sources

CLASS = {"classLabel": {"numClasses": "3"}, "pythonClassName": "...ClassLabel"}
TEXT = {"text": {}, "pythonClassName": "...Text"}
NAMES = ("cat", "dog", "eel")


def tensor(dtype: str, *sizes: int, **more: str) -> dict[str, Any]:
    shape = {"dimensions": [str(size) for size in sizes]} if sizes else {}
    return {"pythonClassName": "...Tensor", "tensor": {"dtype": dtype, "shape": shape, **more}}


def image(*sizes: int) -> dict[str, Any]:
    shape = {"dimensions": [str(size) for size in sizes]}
    return {"pythonClassName": "...Image", "image": {"dtype": "uint8", "shape": shape}}


def of_dict(**features: dict[str, Any]) -> dict[str, Any]:
    return {"pythonClassName": "...FeaturesDict", "featuresDict": {"features": features}}


def sequence(feature: dict[str, Any]) -> dict[str, Any]:
    return {"pythonClassName": "...Sequence", "sequence": {"feature": feature, "length": "-1"}}


FEATURES = {
    "age": tensor("int32", encoding="none"),
    "image": image(4, 5, 3),
    "label": CLASS,
    "matrix": tensor("float32", 2, 2, encoding="none"),
    "more": of_dict(text=TEXT),
    "words": sequence(TEXT),
}


def pixels_of(row: int) -> np.ndarray:
    return np.random.default_rng(row).integers(0, 256, (4, 5, 3), np.uint8)


def record(row: int, **changes: Any) -> bytes:
    values = {
        "age": [20 + row],
        "image": [tf.io.encode_png(pixels_of(row)).numpy()],
        "label": [row % 3],
        "matrix": [float(row), 1.0, 2.0, 3.0],
        "more/text": [b"row %d" % row],
        "words": [b"w"] * (row % 3 + 1),
        **changes,
    }
    made = {}
    for name, of_row in values.items():
        if isinstance(of_row[0], bytes):
            made[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=of_row))
        elif isinstance(of_row[0], float):
            made[name] = tf.train.Feature(float_list=tf.train.FloatList(value=of_row))
        else:
            made[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=of_row))
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def write(path: pathlib.Path, records: list[bytes]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for each in records:
            writer.write(each)


def prepare(
    folder: pathlib.Path,
    features: dict[str, Any] | None = None,
    splits: dict[str, list[list[bytes]]] | None = None,
) -> str:
    """What `download_and_prepare` leaves: 12 rows to train on in two files, 6 to test on."""
    folder.mkdir(parents=True)
    if splits is None:
        rows = [record(row) for row in range(18)]
        splits = {"test": [rows[12:]], "train": [rows[:7], rows[7:12]]}
    info = {
        "fileFormat": "tfrecord",
        "name": "pets",
        "splits": [
            {
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "name": name,
                "shardLengths": [str(len(part)) for part in parts],
            }
            for name, parts in splits.items()
        ],
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "version": "1.0.0",
    }
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(of_dict(**(features or FEATURES))))
    (folder / "label.labels.txt").write_text("".join(f"{name}\n" for name in NAMES))
    for name, parts in splits.items():
        for part, records in enumerate(parts):
            write(folder / f"pets-{name}.tfrecord-{part:05d}-of-{len(parts):05d}", records)
    return str(folder)


def read(path: str, role: str, **changes: Any) -> dict[str, np.ndarray]:
    settings = settings_lib.InputSettings(train_data=path, batch_size=100, **changes)
    source = sources.open_source(settings, role)
    schema = inference.scan(source, settings).schema
    assert schema.label is not None
    features, label = next(iter(pipeline.make_input_fn(source, schema, settings, "eval")()))
    dense = {
        name: tf.sparse.to_dense(value) if isinstance(value, tf.SparseTensor) else value
        for name, value in features.items()
    }
    return {name: value.numpy() for name, value in {**dense, schema.label.name: label}.items()}


@pytest.mark.parametrize(("role", "rows"), [("train", range(12)), ("eval", range(12, 18))])
def test_each_split_is_taken_by_its_role(tmp_path: pathlib.Path, role: str, rows: range) -> None:
    path = prepare(tmp_path / "pets" / "1.0.0")
    assert formats.tell(path) == "tfds"
    found = read(path, role)
    np.testing.assert_array_equal(found["age"], [20 + row for row in rows])
    np.testing.assert_array_equal(found["label"], [NAMES[row % 3].encode() for row in rows])
    np.testing.assert_array_equal(found["matrix"], [[[row, 1], [2, 3]] for row in rows])
    np.testing.assert_array_equal(found["more/text"], [b"row %d" % row for row in rows])
    assert [[w for w in words if w] for words in found["words"]] == [
        [b"w"] * (row % 3 + 1) for row in rows
    ]
    expected = np.stack([pixels_of(row) for row in rows])
    np.testing.assert_allclose(found["image"] * 255, expected, atol=1e-4)


def test_images_are_resized_and_turned_to_grey(tmp_path: pathlib.Path) -> None:
    path = prepare(tmp_path / "pets", {**FEATURES, "image": image(-1, -1, 3)})
    found = read(path, "train", image_size=(8, 10), image_channels=1)
    assert found["image"].shape == (12, 8, 10, 1)


def test_images_of_any_size_need_one(tmp_path: pathlib.Path) -> None:
    path = prepare(tmp_path / "pets", {**FEATURES, "image": image(-1, -1, 3)})
    with pytest.raises(
        errors.SettingsError, match="The images 'image' of .* may have any size. Pass --image_size"
    ):
        read(path, "train")


def test_classes_without_names_stay_ids(tmp_path: pathlib.Path) -> None:
    path = prepare(tmp_path / "pets")
    (tmp_path / "pets" / "label.labels.txt").unlink()
    np.testing.assert_array_equal(read(path, "eval")["label"], [row % 3 for row in range(12, 18)])


def test_rows_without_a_class_or_an_image_are_bad_rows(tmp_path: pathlib.Path) -> None:
    rows = [record(0), record(1, image=[b"no image"]), record(2), record(3, label=[-1]), record(4)]
    path = prepare(tmp_path / "pets", splits={"train": [rows]})
    file = f"{path}/pets-train.tfrecord-00000-of-00001"
    with pytest.raises(
        errors.InputError,
        match=f"{file}, row 2, column 'image': expected an image of 5x4 pixels, found 'a file that",
    ):
        read(path, "train")
    np.testing.assert_array_equal(read(path, "train", bad_rows="skip")["age"], [20, 22, 24])


@pytest.mark.parametrize(
    ("feature", "found"),
    [
        ({"pythonClassName": "a.b.Video", "video": {}}, r"'odd' is Video \{\"video\": \{\}\}"),
        (tensor("float32", -1, 2), "'odd' is Tensor"),
        (tensor("float32", 2, encoding="zlib"), "'odd' is Tensor"),
        (sequence(of_dict(a=TEXT)), "'odd' is Sequence"),
        ({"pythonClassName": "a.Image", "image": {"dtype": "uint16"}}, "'odd' is Image"),
    ],
)
def test_feature_that_no_column_holds_is_refused(
    tmp_path: pathlib.Path, feature: dict[str, Any], found: str
) -> None:
    path = prepare(tmp_path / "pets", {**FEATURES, "odd": feature}, splits={"train": [[b""]]})
    with pytest.raises(errors.FileError, match=f"{found}.* Prepare the data without it"):
        read(path, "train")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fileFormat": "array_record"}, "of the format array_record. Expected tfrecord; prepare"),
        ({"splits": []}, "holds the splits none. Expected one of train, training; name the"),
        (
            {"splits": [{"name": "train", "filepathTemplate": "{ODD}", "shardLengths": ["1"]}]},
            "names the files '{ODD}', of which 'ODD' is not known",
        ),
        ({"splits": [{"name": "train", "shardLengths": []}]}, "holds no row"),
    ],
)
def test_folder_that_cannot_be_read_is_refused(
    tmp_path: pathlib.Path, changes: dict[str, Any], sentence: str
) -> None:
    path = prepare(tmp_path / "pets", splits={"train": [[record(0)]]})
    info = json.loads((tmp_path / "pets" / "dataset_info.json").read_text())
    (tmp_path / "pets" / "dataset_info.json").write_text(json.dumps({**info, **changes}))
    with pytest.raises(errors.FileError, match=sentence):
        read(path, "train")


def test_folder_without_its_description_is_refused(tmp_path: pathlib.Path) -> None:
    path = prepare(tmp_path / "pets", splits={"train": [[record(0)]]})
    (tmp_path / "pets" / "dataset_info.json").write_text("{")
    with pytest.raises(
        errors.FileError, match="dataset_info.json is damaged: .* as TensorFlow Datasets prepares"
    ):
        read(path, "train")


def test_encoded_images_keep_zeros_at_their_end() -> None:
    file = io.BytesIO()
    PIL.Image.new("RGB", (5, 4)).save(file, "BMP")  # black: it ends with zeros
    decoded = images.Decoder(4, 5, 3, resize=False, encoded=True).decode([file.getvalue()])
    assert not decoded.faults and decoded.pixels.shape == (1, 4, 5, 3)
