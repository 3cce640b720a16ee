"""Input alone: batches/s of this project's input functions, by format, against what people use, each side in turn.

    python -m benchmarks.formats_speed [csv] [tfrecord] [images] [first]

* csv: census repeated 20 times (976,840 rows), batch 128, against TextLineDataset with decode_csv line by line,
  tf.data.experimental.make_csv_dataset with its defaults, and, as the limit, pyarrow reading the file and cutting it
  into the same NumPy batches; Parquet of the same rows.
* tfrecord: the same rows as tf.Example, against TFRecordDataset with parse_single_example before batching.
* images: 70,000 PNGs of 28x28 in a folder a class, against ImageDataGenerator.flow_from_directory and
  image_dataset_from_directory; decoded in each epoch, and held, as is the default. ImageDataGenerator needs SciPy,
  which nothing else here does: pip install scipy.
* first: seconds from the call of the input function to the first batch of a CSV file of 1 GB.

Ours shuffles as in training; so do make_csv_dataset, ImageDataGenerator and image_dataset_from_directory.
Datasets are read by tf.data itself, which hands one batch in 256 over to be counted, generators of Python by a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import csv
import gzip
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from typing import Any

from benchmarks import sides

BATCH_SIZE = 128
TURNS = 3
_WARM_UP_SECS, _SECS = 2.0, 6.0
_SEEN = 256  # one batch in so many is handed over to Python, which has to wait for the interpreter's lock
_REPEAT = 20
_IMAGES = 70_000


def main() -> None:
    """Prints batches/s of every side and the ratios with their targets."""
    wanted = sys.argv[1:] or ["csv", "tfrecord", "images", "first"]
    with tempfile.TemporaryDirectory() as directory:
        if "csv" in wanted or "tfrecord" in wanted:
            _write_tables(directory)
        if "csv" in wanted:
            figures = _measure(directory, "line", "make_csv", "csv", "pyarrow", "parquet")
            _print_ratio(figures, "csv", "line", "at least 16")
            _print_ratio(figures, "csv", "make_csv", "at least 8")
            _print_ratio(figures, "csv", "pyarrow", "at least 0.3")
            _print_ratio(figures, "parquet", "csv", "at least 2")
        if "tfrecord" in wanted:
            figures = _measure(directory, "parse_single", "tfrecord")
            _print_ratio(figures, "tfrecord", "parse_single", "at least 4")
        if "images" in wanted:
            _write_images(directory)
            if importlib.util.find_spec("scipy"):
                figures = _measure(directory, "generator", "from_directory", "images", "held")
                _print_ratio(figures, "images", "generator", "at least 3")
            else:
                print("ImageDataGenerator is left out: it needs SciPy. pip install scipy")
                figures = _measure(directory, "from_directory", "images", "held")
            _print_ratio(figures, "images", "from_directory", "at least 1.5")
        if "first" in wanted:
            _write_large(directory)
            sides.heading("first batch of a CSV file of 1 GB")
            run = {"first": lambda: sides.measure("benchmarks.formats_speed", ["first", directory])}
            seconds = sides.measure_in_turn(TURNS, run, "seconds")["first"]
            print(f"   first batch after {statistics.median(seconds):.2f} s   (target: at most 1)")


def _measure(directory: str, *names: str) -> dict[str, list[float]]:
    sides.heading(f"{', '.join(names)}: batches/s of {BATCH_SIZE}")

    def run(name: str) -> Callable[[], dict[str, Any]]:
        return lambda: sides.measure("benchmarks.formats_speed", ["side", name, directory])

    figures = sides.measure_in_turn(TURNS, {name: run(name) for name in names}, "batches/s")
    for name, values in figures.items():
        print(f"   {name:<16} {statistics.median(values):10,.0f} batches/s")
    return figures


def _print_ratio(figures: dict[str, list[float]], ours: str, other: str, target: str) -> None:
    value = sides.ratio(figures[ours], figures[other])
    print(f"   {ours + ' / ' + other:<28} {value:7.2f}   (target: {target})")


def _write_tables(directory: str) -> None:
    """Census, both parts, `_REPEAT` times, as CSV, Parquet and TFRecord."""
    import pyarrow.csv
    import pyarrow.parquet
    import tensorflow as tf

    from input_fns import packaged

    data = packaged.find("census")
    with open(f"{directory}/census.csv", "wb") as out:
        for number in range(_REPEAT):
            for part in (*data.train_files, *data.eval_files):
                with gzip.open(part) as packed:
                    header = packed.readline()
                    if not out.tell():
                        out.write(header)
                    out.write(packed.read())
    table = pyarrow.csv.read_csv(f"{directory}/census.csv")
    pyarrow.parquet.write_table(table, f"{directory}/census.parquet", row_group_size=100_000)
    with tf.io.TFRecordWriter(f"{directory}/census.tfrecord") as writer:
        for row in table.slice(0, 200_000).to_pylist():
            writer.write(_example(row).SerializeToString())


def _write_large(directory: str) -> None:
    """Census's training rows, over and over, up to 1 GB."""
    from input_fns import packaged

    with gzip.open(packaged.find("census").train_files[0]) as packed:
        header, rows = packed.readline(), packed.read()
    with open(f"{directory}/large.csv", "wb") as out:
        out.write(header)
        while out.tell() < 1e9:
            out.write(rows)


def _run_first(directory: str) -> None:
    from input_fns import inference, pipeline
    from input_fns import settings as settings_lib
    from input_fns import sources

    known = settings_lib.InputSettings(data="census")
    schema = inference.scan(sources.open_source(known, "train"), known).schema
    settings = settings_lib.InputSettings(
        train_data=f"{directory}/large.csv", label_column="income", batch_size=BATCH_SIZE
    )
    start = time.perf_counter()
    source = sources.open_source(settings, "train")
    next(iter(pipeline.make_input_fn(source, schema, settings, "train")()))
    sides.report({"seconds": time.perf_counter() - start})


def _example(row: dict[str, Any]) -> Any:
    import tensorflow as tf

    features = {
        name: (
            tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
            if isinstance(value, int)
            else tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        )
        for name, value in row.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def _write_images(directory: str) -> None:
    """The packaged digits as PNG files, over and over, `_IMAGES` of them."""
    import numpy as np
    import tensorflow as tf

    from input_fns import settings as settings_lib
    from input_fns import sources

    source = sources.open_source(settings_lib.InputSettings(data="mnist"), "train")
    block = [raw for shard in source.shards for raw in source.read(shard)]
    images = np.concatenate([raw.cells["image"] for raw in block])
    labels = np.concatenate([raw.cells["label"] for raw in block])
    files = [
        tf.io.encode_png(np.round(image[..., None] * 255).astype(np.uint8)).numpy()
        for image in images
    ]
    for number in range(_IMAGES):
        folder = f"{directory}/digits/{labels[number % len(files)]}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{number:05d}.png", "wb") as out:
            out.write(files[number % len(files)])


def _run_side(name: str, directory: str) -> None:
    import tensorflow as tf

    batches = _SIDES[name](directory)
    count = _count_in_tensorflow if isinstance(batches, tf.data.Dataset) else _count_in_python
    sides.report({"batches/s": count(batches) / _SECS})


def _count_in_tensorflow(batches: Any) -> int:
    """Batches after the warm-up, most of them skipped by tf.data itself, which makes them all the same: to hand one
    over to Python, or to a function that counts, costs as much as to make one."""
    seen = iter(batches.prefetch(1).shard(_SEEN, _SEEN - 1))
    start = time.perf_counter() + _WARM_UP_SECS
    while time.perf_counter() < start:
        next(seen)
    start, count = time.perf_counter(), 0
    while time.perf_counter() < start + _SECS:
        next(seen)
        count += _SEEN
    return round(count * _SECS / (time.perf_counter() - start))


def _count_in_python(batches: Iterator[Any]) -> int:
    start = time.perf_counter() + _WARM_UP_SECS
    count = 0
    for _ in batches:
        now = time.perf_counter()
        count += now > start
        if now > start + _SECS:
            break
    return count


def _ours(path: str, **fields: Any) -> Any:
    from input_fns import inference, pipeline
    from input_fns import settings as settings_lib
    from input_fns import sources

    settings = settings_lib.InputSettings(train_data=path, batch_size=BATCH_SIZE, seed=1, **fields)
    source = sources.open_source(settings, "train")
    schema = inference.scan(source, settings).schema
    return pipeline.make_input_fn(source, schema, settings, "train")()


def _census_columns(directory: str) -> list[tuple[str, bool]]:
    """(name, whether it is a number) of each column, in the file's order."""
    with open(f"{directory}/census.csv", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        header, first = next(rows), next(rows)
    return [(name, cell.strip().isdigit()) for name, cell in zip(header, first, strict=True)]


def _line(directory: str) -> Any:
    import tensorflow as tf

    columns = _census_columns(directory)
    defaults = [0 if number else "" for _, number in columns]

    def parse(line: Any) -> Any:
        values = tf.io.decode_csv(line, defaults)
        features = {name: value for (name, _), value in zip(columns, values, strict=True)}
        return features, features.pop("income")

    lines = tf.data.TextLineDataset(f"{directory}/census.csv").skip(1)
    return lines.map(parse).repeat().batch(BATCH_SIZE).prefetch(1)


def _make_csv(directory: str) -> Any:
    import tensorflow as tf

    return tf.data.experimental.make_csv_dataset(
        f"{directory}/census.csv", BATCH_SIZE, label_name="income"
    )


def _pyarrow(directory: str) -> Iterator[Any]:
    import pyarrow.csv

    while True:
        reader = pyarrow.csv.open_csv(f"{directory}/census.csv")
        for block in reader:
            columns = {
                name: column.to_numpy(zero_copy_only=False)
                for name, column in zip(block.schema.names, block.columns, strict=True)
            }
            for start in range(0, block.num_rows - BATCH_SIZE + 1, BATCH_SIZE):
                yield {name: values[start : start + BATCH_SIZE] for name, values in columns.items()}


def _parse_single(directory: str) -> Any:
    import tensorflow as tf

    spec = {
        name: tf.io.FixedLenFeature([], tf.int64 if number else tf.string)
        for name, number in _census_columns(directory)
    }
    records = tf.data.TFRecordDataset(f"{directory}/census.tfrecord")
    parsed = records.map(lambda record: tf.io.parse_single_example(record, spec))
    return parsed.repeat().batch(BATCH_SIZE).prefetch(1)


def _generator(directory: str) -> Iterator[Any]:
    from estimator_app.compat import keras

    generator = keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255)
    return iter(
        generator.flow_from_directory(
            f"{directory}/digits",
            target_size=(28, 28),
            color_mode="grayscale",
            class_mode="sparse",
            batch_size=BATCH_SIZE,
        )
    )


def _from_directory(directory: str) -> Any:
    from estimator_app.compat import keras

    dataset = keras.utils.image_dataset_from_directory(
        f"{directory}/digits",
        image_size=(28, 28),
        color_mode="grayscale",
        batch_size=BATCH_SIZE,
    )
    return dataset.repeat()


_SIDES: dict[str, Callable[[str], Any]] = {
    "line": _line,
    "make_csv": _make_csv,
    "csv": lambda directory: _ours(f"{directory}/census.csv", label_column="income"),
    "pyarrow": _pyarrow,
    "parquet": lambda directory: _ours(f"{directory}/census.parquet", label_column="income"),
    "parse_single": _parse_single,
    "tfrecord": lambda directory: _ours(f"{directory}/census.tfrecord", label_column="income"),
    "generator": _generator,
    "from_directory": _from_directory,
    # By default 70,000 small images are decoded once and held: "held". The other decodes them in every epoch.
    "images": lambda directory: _ours(f"{directory}/digits", shuffle_buffer=1000),
    "held": lambda directory: _ours(f"{directory}/digits"),
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["side"]:
        _run_side(sys.argv[2], sys.argv[3])
    elif sys.argv[1:2] == ["first"] and len(sys.argv) == 3:
        _run_first(sys.argv[2])
    else:
        main()
