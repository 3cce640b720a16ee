"""Every format in every mode: the batches are those of CSV, or of NumPy's arrays of images, with the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import importlib
import itertools
import pathlib
import sqlite3
from typing import Any

import numpy as np
import pyarrow.csv as pacsv
import pytest
import tensorflow as tf

from input_fns import file_conversion, formats, inference, output_files, pipeline
from input_fns import settings as settings_lib
from input_fns import sources, writers
from tests.input_fns import test_huggingface_folders, test_idx_files, test_tfds_folders

ROWS = 300
DIGITS = 64
BATCH = 32
NUMBERS = ("age", "educational-num", "hours-per-week")

Fields = dict[str, Any]


def converted(file_name: str) -> Callable[[pathlib.Path], Fields]:
    """What converts census to a file of that name."""

    def convert(census: pathlib.Path) -> Fields:
        original = settings_for(train_data=str(census), label_column="income")
        output = output_files.OutputSettings(str(census.parent / file_name))
        source = sources.open_source(original, "train")
        file_conversion.convert(source, original, None, output, unwatched)
        return {"train_data": output.path, "label_column": "income"}

    return convert


def to_libsvm(census: pathlib.Path) -> Fields:
    return {**converted("rows.libsvm")(census), "label_column": "label"}


def to_database(census: pathlib.Path) -> Fields:
    table = pacsv.read_csv(census)
    path = census.parent / "rows.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        columns = ", ".join(f'"{name}"' for name in table.column_names)
        database.execute(f"CREATE TABLE census ({columns})")
        places = ", ".join("?" * table.num_columns)
        rows = zip(*(column.to_pylist() for column in table.columns))
        database.executemany(f"INSERT INTO census VALUES ({places})", rows)
    query = "SELECT * FROM census ORDER BY rowid"
    return {"train_data": f"sqlite:///{path}", "train_query": query, "label_column": "income"}


def to_data_frame(census: pathlib.Path) -> Fields:
    name = f"rows_{abs(hash(census)):x}"
    source = f"import pandas\nROWS = pandas.read_csv({str(census)!r})\n"
    (census.parent / f"{name}.py").write_text(source)
    importlib.invalidate_caches()
    return {"train_data": f"{name}:ROWS", "label_column": "income"}


def to_saved_dataset(census: pathlib.Path) -> Fields:
    path = test_huggingface_folders.save(census.parent / "saved", pacsv.read_csv(census))
    return {"train_data": path, "label_column": "income"}


# A new format of tables takes a line here: what makes it of census as CSV, giving the settings that name it.
TABLES = {
    "csv": converted("rows.csv.gz"),
    "tsv": converted("rows.tsv"),
    "parquet": converted("rows.parquet"),
    "arrow": converted("rows.feather"),
    "jsonl": converted("rows.jsonl.zst"),
    "numpy": converted("rows.npz"),
    "tfrecord": converted("rows.tfrecord.gz"),
    "libsvm": to_libsvm,
    "sql": to_database,
    "python": to_data_frame,
    "huggingface": to_saved_dataset,
}


def to_idx(directory: pathlib.Path, pixels: np.ndarray, labels: np.ndarray) -> Fields:
    test_idx_files.write_idx(directory / "d-labels-idx1-ubyte.gz", labels)
    path = test_idx_files.write_idx(directory / "d-images-idx3-ubyte.gz", pixels[..., 0])
    return {"train_data": path}


def to_folders(directory: pathlib.Path, pixels: np.ndarray, labels: np.ndarray) -> Fields:
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        path = directory / "digits" / str(label) / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_png(image).numpy())
    return {"train_data": str(directory / "digits"), "validation_share": 0.0}


def to_prepared(directory: pathlib.Path, pixels: np.ndarray, labels: np.ndarray) -> Fields:
    records = []
    for image, label in zip(pixels, labels, strict=True):
        png = tf.train.BytesList(value=[tf.io.encode_png(image).numpy()])
        ids = tf.train.Int64List(value=[label])
        made = {
            "image": tf.train.Feature(bytes_list=png),
            "label": tf.train.Feature(int64_list=ids),
        }
        features = tf.train.Features(feature=made)
        records.append(tf.train.Example(features=features).SerializeToString())
    features = {
        "image": test_tfds_folders.image(28, 28, 1),
        "label": test_tfds_folders.tensor("int64"),
    }
    path = test_tfds_folders.prepare(directory / "prepared", features, {"train": [records]})
    return {"train_data": path}


# A new format of images takes a line here: what makes it of digits.
IMAGES = {"idx": to_idx, "images": to_folders, "tfds": to_prepared}


@contextlib.contextmanager
def unwatched(title: str, total: int | None) -> Iterator[Any]:
    """Tells nobody of the progress."""
    yield lambda rows: None


def settings_for(**fields: Any) -> settings_lib.InputSettings:
    """Settings to read rows in small batches."""
    return settings_lib.InputSettings(batch_size=BATCH, seed=1, **fields)


def write_census(path: pathlib.Path, lines: list[str], numbers_only: bool) -> None:
    """Writes the first rows of census as CSV; of numbers only, whether one earns more is told as 0 or 1."""
    rows = [line.split(",") for line in lines[: ROWS + 1]]
    if numbers_only:
        kept = [rows[0].index(name) for name in NUMBERS]
        label = rows[0].index("income")
        rows = [[*(row[i] for i in kept), str(int(row[label] == ">50K"))] for row in rows]
        rows[0] = [*NUMBERS, "income"]
    path.write_text("".join(f"{','.join(row)}\n" for row in rows))


def read_batches(fields: Fields, mode: str, in_training: int) -> list[Any]:
    """All batches; of training so many."""
    settings = settings_for(**fields)
    source = sources.open_source(settings, "train")
    schema = inference.scan(source, settings).schema
    dataset = pipeline.make_input_fn(source, schema, settings, mode)()
    count = in_training if mode == "train" else None
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def stack(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of numbers as the one column that LIBSVM has."""
    return {"features": np.stack([features[n].astype(np.float32) for n in NUMBERS], axis=1)}


@pytest.mark.parametrize("mode", pipeline.MODES)
@pytest.mark.parametrize("name", TABLES)
def test_the_batches_are_those_of_csv(
    tmp_path: pathlib.Path,
    census_lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    mode: str,
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    is_libsvm = name == "libsvm"
    census = tmp_path / "census.csv"
    write_census(census, census_lines, numbers_only=is_libsvm)
    count = ROWS * 5 // 2 // BATCH
    expected = read_batches({"train_data": str(census), "label_column": "income"}, mode, count)
    found = read_batches(TABLES[name](census), mode, count)
    assert len(found) == len(expected) >= ROWS // BATCH
    for batch, expected_batch in zip(found, expected, strict=True):
        if mode == "predict":
            batch, expected_batch = (batch, ()), (expected_batch, ())
        features, expected_features = batch[0], expected_batch[0]
        if is_libsvm:
            expected_features = stack(expected_features)
        assert features.keys() == expected_features.keys()
        for column, values in expected_features.items():
            assert features[column].dtype == values.dtype
            np.testing.assert_array_equal(features[column], values)
        np.testing.assert_array_equal(batch[1], expected_batch[1])


@pytest.fixture(name="digits", scope="module")
def digits_fixture() -> tuple[np.ndarray, np.ndarray]:
    """[64, 28, 28, 1] uint8 digits, and [64] which ones they are, in order."""
    settings = settings_lib.InputSettings(data="mnist")
    source = sources.open_source(settings, "eval")
    block = next(source.read(source.shards[0]))
    pixels, labels = block.cells["image"][:DIGITS], np.asarray(block.cells["label"][:DIGITS])
    order = np.argsort(labels, kind="stable")
    return np.round(pixels[order][..., None] * 255).astype(np.uint8), labels[order]


@pytest.mark.parametrize("mode", pipeline.MODES)
@pytest.mark.parametrize("name", IMAGES)
def test_the_batches_are_those_of_arrays(
    tmp_path: pathlib.Path, digits: tuple[np.ndarray, np.ndarray], name: str, mode: str
) -> None:
    pixels, labels = digits
    batches = read_batches(IMAGES[name](tmp_path, pixels, labels), mode, DIGITS // BATCH)
    if mode == "predict":
        batches = [(features, labels[:BATCH]) for features in batches]
    found = np.concatenate([features["image"] for features, _ in batches])
    found = found.reshape(DIGITS, 28, 28).astype(np.float64)
    expected = pixels[..., 0] / 255
    if (
        mode == "train"
    ):  # an epoch, in an order that depends on whether the format can be entered anywhere
        known = np.concatenate([label for _, label in batches]).astype(np.int64)
        orders = [
            np.lexsort((values.reshape(DIGITS, -1).sum(axis=1), ids))
            for values, ids in ((found, known), (expected, labels))
        ]
        assert found.tolist() != expected.tolist()
        np.testing.assert_array_equal(known[orders[0]], labels)
        found, expected = found[orders[0]], expected[orders[1]]
    elif mode == "eval":
        known = np.concatenate([label for _, label in batches]).astype(np.int64)
        np.testing.assert_array_equal(known, labels)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_every_format_stands_in_these_tables() -> None:
    assert set(TABLES) - {"tsv"} | set(IMAGES) == set(formats.FORMATS)
    assert set(writers.WRITERS) <= set(TABLES)
