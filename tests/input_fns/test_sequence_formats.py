"""Lists of different lengths in every format that has them give the batches that the same rows in memory give."""

from __future__ import annotations

from collections.abc import Callable
import itertools
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from input_fns import errors, file_conversion, inference, output_files, pipeline, python_objects
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources
from tests.input_fns.test_formats import unwatched

ROWS, BATCH = 120, 16
FILES = {
    "parquet": "rows.parquet",
    "arrow": "rows.feather",
    "jsonl": "rows.jsonl.gz",
    "tfrecord": "rows.tfrecord",
    "sequence_example": "rows.tfrecord.gz",
    "huggingface": "rows",
}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows(census_lines: list[str]) -> list[Row]:
    """Of census: words of a person's answers, and numbers, as many as there are; a person may have no number."""
    header, *lines = (line.split(",") for line in census_lines[: ROWS + 1])
    found = []
    for i, line in enumerate(lines):
        person = dict(zip(header, line, strict=True))
        words = f"{person['occupation']}-{person['education']}".replace("?", "").split("-")
        numbers = [int(person["age"]), int(person["hours-per-week"]), i][: i % 4]
        found.append(
            {
                "words": [word for word in words if word],
                "ids": numbers,
                "gains": [number / 8 for number in numbers],
                "pair": [i / 4, 1.5],
                "age": int(person["age"]),
                "income": person["income"],
            }
        )
    return found


def write_sequence_examples(path: pathlib.Path, rows: list[Row]) -> None:
    """Scalars and `pair` in the context, lists a value a step; the kind of an empty list is not told."""

    def to_feature(value: Any) -> tf.train.Feature:
        values = value if isinstance(value, list) else [value]
        if isinstance(values[0], str):
            texts = [text.encode() for text in values]
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
        if isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            lists = {
                name: tf.train.FeatureList(feature=map(to_feature, row[name]))
                for name in ("words", "ids", "gains")
            }
            context = {name: to_feature(row[name]) for name in ("pair", "age", "income")}
            sequence = tf.train.SequenceExample(
                context=tf.train.Features(feature=context),
                feature_lists=tf.train.FeatureLists(feature_list=lists),
            )
            writer.write(sequence.SerializeToString())


def in_memory(rows: list[Row]) -> tuple[sources.Source, settings_lib.InputSettings]:
    """The rows as they are."""
    source = python_objects.from_object(rows, "income", name="rows")
    return source, settings_lib.InputSettings(
        train_data="rows", label_column="income", batch_size=BATCH, seed=1
    )


@pytest.fixture(scope="module")
def write(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Returns a function that writes the rows in a format, and gives the path."""

    def run(name: str) -> str:
        path = tmp_path_factory.mktemp(name) / FILES[name]
        if name == "sequence_example":
            write_sequence_examples(path, rows)
            return str(path)
        if name == "huggingface":
            path.mkdir()
            (path / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
            write_stream(path / "data.arrow", rows)
            return str(path)
        output = output_files.OutputSettings(str(path))
        file_conversion.convert(*in_memory(rows), None, output, unwatched)
        return str(path)

    return run


def write_stream(path: pathlib.Path, rows: list[Row]) -> None:
    """An Arrow stream, as `save_to_disk` writes it."""
    import pyarrow as pa

    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)


def read(
    source: sources.Source, settings: settings_lib.InputSettings, mode: str
) -> tuple[schema_lib.Schema, list[Any]]:
    """The schema and the batches; of training those of more than one epoch."""
    schema = inference.scan(source, settings).schema
    dataset = pipeline.make_input_fn(source, schema, settings, mode)()
    count = ROWS * 3 // 2 // BATCH if mode == "train" else None
    return schema, list(itertools.islice(dataset, count))


def to_lists(batch: Any) -> dict[str, Any]:
    """A batch as Python has it, by name; the label as `y`."""
    features, label = batch if isinstance(batch, tuple) else (batch, None)
    found = {
        name: (
            tf.RaggedTensor.from_sparse(values).to_list()
            if isinstance(values, tf.SparseTensor)
            else values.numpy().tolist()
        )
        for name, values in features.items()
    }
    return found if label is None else {**found, "y": label.numpy().tolist()}


@pytest.fixture(scope="module")
def expected(rows: list[Row]) -> dict[str, tuple[schema_lib.Schema, list[Any]]]:
    """Of each mode the schema and the batches of the rows as they are."""
    found = {mode: read(*in_memory(rows), mode) for mode in pipeline.MODES}
    return {mode: (schema, list(map(to_lists, b))) for mode, (schema, b) in found.items()}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_lists_in_every_mode(
    write: Callable[[str], str],
    expected: dict[str, tuple[schema_lib.Schema, list[Any]]],
    name: str,
) -> None:
    path = write(name)
    for mode, (expected_schema, batches) in expected.items():
        settings = settings_lib.InputSettings(
            train_data=path, label_column="income", batch_size=BATCH, seed=1
        )
        schema, found = read(sources.open_source(settings, "train"), settings, mode)
        assert {f.name: f for f in schema.columns} == {f.name: f for f in expected_schema.columns}
        assert list(map(to_lists, found)) == batches
    assert schema.feature("words").value_count == (1, 5)
    assert schema.feature("ids").value_count == schema.feature("gains").value_count == (0, 3)
    assert schema.feature("pair").shape == (2,)


def test_batches_are_those_of_parse_example(write: Callable[[str], str], rows: list[Row]) -> None:
    path = write("tfrecord")
    schema, batches = read(*in_memory(rows), "eval")
    spec = schema_lib.parse_spec(schema)
    examples = tf.data.TFRecordDataset(path).batch(BATCH)
    for batch, wanted in zip(batches, examples, strict=True):
        parsed = tf.io.parse_example(wanted, spec)
        for name, values in parsed.items():
            given = batch[0][name]
            if isinstance(values, tf.SparseTensor):
                np.testing.assert_array_equal(given.indices, values.indices)
                np.testing.assert_array_equal(given.dense_shape, values.dense_shape)
                given, values = given.values, values.values
            np.testing.assert_array_equal(given, values)


@pytest.mark.parametrize("name", ["rows.csv", "rows.npz", "rows.libsvm"])
def test_formats_without_lists_refuse_them(
    tmp_path: pathlib.Path, rows: list[Row], name: str
) -> None:
    rows = [{"ids": row["ids"], "income": int(row["income"] == ">50K")} for row in rows]
    output = output_files.OutputSettings(str(tmp_path / name))
    with pytest.raises(errors.SchemaError) as caught:
        file_conversion.convert(*in_memory(rows), None, output, unwatched)
    assert "cannot hold column 'ids': it holds lists of different lengths. Choose" in str(
        caught.value
    )
    assert not list(tmp_path.iterdir())


def test_what_is_no_list_in_a_sequence_example_is_a_bad_row(tmp_path: pathlib.Path) -> None:
    def steps(*features: tf.train.Feature) -> tf.train.FeatureList:
        return tf.train.FeatureList(feature=features)

    def whole(*values: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    text = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x"]))
    path = str(tmp_path / "a.tfrecord")
    lists = [
        {"a": steps(whole(1), whole(2))},
        {"a": steps(whole(1, 2))},
        {"a": steps(whole(1), text)},
        {"a": steps(text)},
        {"y": steps(whole(1))},
        {"a": steps()},
        {},
    ]
    with tf.io.TFRecordWriter(path) as writer:
        for i, feature_list in enumerate(lists):
            sequence = tf.train.SequenceExample(
                context=tf.train.Features(feature={"y": whole(i % 2)}),
                feature_lists=tf.train.FeatureLists(feature_list=feature_list),
            )
            writer.write(sequence.SerializeToString())
        writer.write(b"no example")
    settings = settings_lib.InputSettings(train_data=path, label_column="y", bad_rows="skip")
    found = inference.scan(sources.open_source(settings, "train"), settings)
    assert found.num_rows == 3
    one = "one value a step, of one kind"
    assert [(row.row, row.column, row.expected) for row in found.first_bad_rows] == [
        (2, "a", one),
        (3, "a", one),
        (4, "a", "int64_list, as in the file's first records"),
        (5, "y", "a feature of the context or of the steps, not of both"),
        (8, "", "a serialised tf.train.SequenceExample"),
    ]
    assert found.first_bad_rows[0].value.startswith("feature { int64_list { value: 1 value: 2 } }")


def test_a_cut_file_of_lists_is_refused(
    write: Callable[[str], str], tmp_path: pathlib.Path
) -> None:
    for name in ("parquet", "arrow", "jsonl", "sequence_example"):
        data = pathlib.Path(write(name)).read_bytes()
        path = tmp_path / FILES[name]
        path.write_bytes(data[: len(data) * 2 // 3])
        settings = settings_lib.InputSettings(train_data=str(path), label_column="income")
        # A TFRecord tells which record is cut, so that the others can be read.
        error = errors.BadRowError if name == "sequence_example" else errors.FileError
        with pytest.raises(error, match=FILES[name]):
            inference.scan(sources.open_source(settings, "train"), settings)
