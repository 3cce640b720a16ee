from collections.abc import Callable, Sequence
import dataclasses
import gzip
import itertools
import pathlib
import struct
from typing import Any
import zlib

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from estimator_app.compat import estimator
from input_fns import bad_rows as bad_rows_lib
from input_fns import blocks, conversion, errors, example_columns, formats, inference, pipeline
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources, tfrecord_files
from input_fns import tfrecord_frames as frames

WriteRecords = Callable[..., str]


def to_feature(values: Any) -> tf.train.Feature:
    """A feature of the values' kind; of none, an empty list of whole numbers."""
    values = values if isinstance(values, list) else [values]
    if not values or isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def to_example(features: dict[str, Any]) -> bytes:
    made = {name: to_feature(values) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def to_records(lines: Sequence[str]) -> list[bytes]:
    """The rows of CSV as Examples: text as bytes, numbers as int64."""
    header = lines[0].split(",")
    rows = [line.split(",") for line in lines[1:]]
    return [
        to_example(
            {
                name: int(cell) if cell.isdigit() else cell.encode()
                for name, cell in zip(header, row, strict=True)
            }
        )
        for row in rows
    ]


@pytest.fixture(scope="module")
def census_records(census_lines: list[str]) -> list[bytes]:
    return to_records(census_lines)


@pytest.fixture
def write_records(tmp_path: pathlib.Path) -> WriteRecords:
    """Writes records, or dicts of features, with TensorFlow's writer and gives the path."""

    def write(
        records: Sequence[bytes | dict[str, Any]],
        name: str = "data.tfrecord",
        compression: str | None = None,
        remote: bool = False,
    ) -> str:
        path = f"ram://{tmp_path}/{name}" if remote else str(tmp_path / name)
        with tf.io.TFRecordWriter(path, compression) as writer:
            for record in records:
                writer.write(to_example(record) if isinstance(record, dict) else record)
        return path

    return write


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of about 2,000 bytes."""
    monkeypatch.setattr(frames, "_BLOCK_BYTES", 2000)


def read_all(path: str) -> list[blocks.RawBlock]:
    reader = tfrecord_files.TfRecordFormat()
    (shard,) = reader.shards(path)
    return list(reader.read(shard, reader.columns(path)))


def column(read: list[blocks.RawBlock], name: str) -> list[Any]:
    return [
        value
        for block in read
        for value in (
            block.cells[name].tolist()
            if isinstance(block.cells[name], np.ndarray)
            else block.cells[name].to_pylist()
        )
    ]


def raw_record(payload: bytes) -> bytes:
    """A record with its frame."""
    data = np.frombuffer(bytes(8) + payload + bytes(8), np.uint8)
    (checksum,) = frames.masked_checksums(data, np.array([8]), np.array([8 + len(payload)]))
    length = struct.pack("<Q", len(payload))
    (own,) = frames.masked_checksums(
        np.frombuffer(length + bytes(8), np.uint8), np.array([0]), np.array([8])
    )
    return length + struct.pack("<I", own) + payload + struct.pack("<I", checksum)


# The file as a whole.


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"", "is empty. Remove the file or give it records."),
        (gzip.compress(b"", mtime=0), "is empty. Remove the file or give it records."),
        (
            b"age,job\n39,Clerk\n",
            "is no TFRecord file: it starts with b'age,job\\n39,C', which is not a record's length with its checksum. "
            "Expected a TFRecord file, plain or compressed; correct the path, or pass --format.",
        ),
        (
            gzip.compress(b"age,job\n39,Clerk\n", mtime=0),
            "is no TFRecord file: it starts with b'age,job",
        ),
        (zlib.compress(b"age,job\n39,Clerk\n"), "is no TFRecord file: it starts with b'age,job"),
        (b"x,y\n1,2\n", "is no TFRecord file: it starts with b'x,y\\n1,2\\n'"),
        (
            raw_record(b"plain text"),
            "holds no tf.train.Example with a feature in its first records; record 1 is b'plain text'. Expected a "
            "TFRecord file of serialised Examples.",
        ),
        (raw_record(b""), "holds no tf.train.Example with a feature in its first records"),
    ],
)
def test_an_unusable_file_is_refused_with_its_name(
    tmp_path: pathlib.Path, data: bytes, sentence: str
) -> None:
    path = tmp_path / "data.tfrecord"
    path.write_bytes(data)
    with pytest.raises(errors.FileError) as caught:
        tfrecord_files.TfRecordFormat().columns(str(path))
    assert str(caught.value).startswith(f"{path} {sentence}")


def test_what_is_not_there_or_no_file_is_refused(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "x.tfrecord")
    with pytest.raises(errors.FileError, match="Cannot read .*x.tfrecord: No such file"):
        tfrecord_files.TfRecordFormat().columns(path)
    with pytest.raises(errors.FileError, match="Cannot read ram://no/x.tfrecord: No such file"):
        tfrecord_files.TfRecordFormat().columns("ram://no/x.tfrecord")
    with pytest.raises(errors.FileError, match=f"Cannot read {tmp_path}: Is a directory"):
        tfrecord_files.TfRecordFormat().columns(str(tmp_path))


def test_columns_are_the_features_of_the_first_records_by_name(
    write_records: WriteRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_records([{"b": 1}, b"no example", {"c": 1.0, "a": b"x"}, {"d": 1}])
    reader = tfrecord_files.TfRecordFormat()
    assert reader.columns(path) == ("a", "b", "c", "d")
    monkeypatch.setattr(tfrecord_files, "_FIRST_RECORDS", 3)
    assert reader.columns(path) == ("a", "b", "c")
    monkeypatch.setattr(tfrecord_files, "_FIRST_BYTES", 30)
    assert reader.columns(path) == ("b",)


@pytest.mark.parametrize("compression", [None, "GZIP", "ZLIB"])
@pytest.mark.parametrize("remote", [False, True])
def test_plain_and_compressed_files_give_the_same_wherever_they_are(
    write_records: WriteRecords,
    census_lines: list[str],
    census_records: list[bytes],
    remote: bool,
    compression: str | None,
) -> None:
    read = read_all(write_records(census_records, compression=compression, remote=remote))
    rows = [line.split(",") for line in census_lines[1:]]
    assert [number for block in read for number in block.rows] == list(range(1, 1001))
    assert column(read, "age") == [int(row[0]) for row in rows]
    assert column(read, "income") == [row[-1].encode() for row in rows]


def test_a_plain_file_whose_first_bytes_are_those_of_gzip_is_plain(
    write_records: WriteRecords,
) -> None:
    for start in (0x8B1F, 0x9C78):  # of gzip, and of zlib
        size = next(
            size
            for size in range(start - 99, start)
            if len(to_example({"a": bytes(size)})) == start
        )
        path = write_records([{"a": b"x" * size}])
        assert pathlib.Path(path).read_bytes()[:2] == struct.pack("<H", start)
        assert column(read_all(path), "a") == [b"x" * size]


@pytest.mark.parametrize(
    "path",
    [
        "a.tfrecord",
        "A.TFRecords.gz",
        "a.tfr",
        "a.tfrec",
        "a.tfrecord.zlib",
        "train.tfrecord-00000-of-00010",
        "train.tfrecord-00000-of-00010.gz",
        "train.tfrecord.gz-00000-of-00010",
        "train-00000-of-00010.tfrecord.gz",
        "train.tfrecord-*",
        "train.tfrecord*",
        "train.tfrecord-?????-of-00010",
        "train.tfrecord-0000[0-7]-of-00010",
        "gs://bucket/train.tfrecord-*-of-*",
    ],
)
def test_names_tell_the_format(path: str) -> None:
    assert formats.tell(path) == "tfrecord"


@pytest.mark.parametrize("path", ["a.tfrecord.txt", "tfrecord", "a-00000-of-00010", "a*"])
def test_other_names_do_not(path: str) -> None:
    with pytest.raises(errors.SettingsError, match=r"tfrecord \(.tfrecord, .tfrecords, .tfr, "):
        formats.tell(path)


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_record_that_is_damaged_far_into_a_file_is_a_bad_row(
    write_records: WriteRecords,
    census_records: list[bytes],
    make_settings: Callable[..., settings_lib.InputSettings],
    monkeypatch: pytest.MonkeyPatch,
    is_cut: bool,
) -> None:
    monkeypatch.setattr(tfrecord_files, "_FIRST_BYTES", 2000)
    path = pathlib.Path(write_records(census_records))
    changed = bytearray(path.read_bytes())
    changed[-30] ^= 1
    path.write_bytes(changed[:-1] if is_cut else changed)
    settings = make_settings(str(path), label_column="income")
    source = sources.open_source(settings, "train")
    found = "the end of the file" if is_cut else "bytes with a wrong checksum"
    with pytest.raises(errors.BadRowError) as caught:
        inference.scan(source, settings)
    assert str(caught.value).startswith(
        f"{path}, row 1000: expected a whole record with its checksum, found '{found}'. Correct the row, or pass "
        "--bad_rows=skip"
    )
    settings = dataclasses.replace(settings, bad_rows="skip")
    result = inference.scan(source, settings)
    assert (result.num_rows, result.bad_rows) == (999, 1)


# Examples as columns.


def decode_slowly(records: list[bytes]) -> dict[str, list[list[Any]]]:
    """Feature -> the values in each record, by protobuf."""
    examples = [tf.train.Example.FromString(record) for record in records]
    names = {name for example in examples for name in example.features.feature}
    kinds = ("bytes_list", "float_list", "int64_list")
    return {
        name: [
            [
                value
                for kind in kinds
                if name in example.features.feature
                for value in getattr(example.features.feature[name], kind).value
            ]
            for example in examples
        ]
        for name in names
    }


@pytest.mark.parametrize("seed", range(5))
def test_examples_are_understood_as_protobuf_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = [b"", b"x", b"\xff\x00", b"y" * 127, b"z" * 128, b"w" * 40_000]
    whole = [0, 1, 127, 128, -1, 2**63 - 1, -(2**63), 300, 2**32]
    drawn: dict[str, Callable[[], Any]] = {
        "text": lambda: texts[rng.integers(len(texts))],
        "whole": lambda: whole[rng.integers(len(whole))],
        "": lambda: float(np.float32(rng.normal())),
        "many" * 40: lambda: [whole[i] for i in rng.integers(0, 9, rng.integers(0, 40))],
        "floats": lambda: rng.normal(size=rng.integers(0, 40)).astype(np.float32).tolist(),
        "texts": lambda: [texts[i] for i in rng.integers(0, 5, rng.integers(1, 4))],
        "über": lambda: 7,
    }
    records = []
    for _ in range(200):
        names = [name for name in rng.permutation(list(drawn)).tolist() if rng.random() < 0.8]
        entries = [bytes_of_entry(name, to_feature(drawn[name]())) for name in names]
        records.append(tag(1, b"".join(entries)) if entries else b"")
    expected = decode_slowly(records)
    decoded = example_columns.decode(frames.join(records), list(drawn), {})
    assert set(decoded) == set(expected) == set(drawn)
    for name, lists in decoded.items():
        counts = np.zeros(200, np.int64)
        counts[lists.records] = lists.counts
        assert counts.tolist() == [len(values) for values in expected[name]]
        flat = [value for values in expected[name] for value in values]
        assert lists.values.tolist() == flat
    kinds = {name: lists.kind for name, lists in decoded.items()}
    assert (kinds["text"], kinds["whole"], kinds[""]) == ("bytes_list", "int64_list", "float_list")


def test_long_values_are_understood() -> None:
    text = b"x" * (1 << 21)
    decoded = example_columns.decode(frames.join([to_example({"a": text}), b""]), ["a"], {})
    assert decoded["a"].values.tolist() == [text]


def tag(number: int, payload: bytes) -> bytes:
    """A field of length and bytes, as it is on the wire."""
    size, length = len(payload), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def bytes_of_entry(name: str, feature: tf.train.Feature) -> bytes:
    return tag(1, tag(1, name.encode()) + tag(2, feature.SerializeToString()))


FIVE = to_feature(5).SerializeToString()


@pytest.mark.parametrize(
    "record, expected",
    [
        (tag(1, tag(1, tag(1, b"a") + tag(2, tag(3, b"\x08\x05")))), 5),  # not packed
        (tag(1, tag(1, tag(1, b"a") + tag(2, tag(3, tag(1, b"") + tag(1, b"\x05"))))), 5),
        (tag(1, tag(1, tag(2, tag(3, tag(1, b"\x05"))) + tag(1, b"a"))), 5),  # value before key
        (tag(1, bytes_of_entry("a", to_feature(4)) + bytes_of_entry("a", to_feature(5))), 5),
        (tag(1, bytes_of_entry("a", to_feature(b"x")) + bytes_of_entry("a", to_feature(5))), 5),
        (tag(1, tag(1, tag(1, b"a") + tag(2, b"") + tag(2, FIVE))), 5),
        (tag(1, b"") + tag(1, bytes_of_entry("a", to_feature(5))), 5),  # in two pieces
        (tag(1, tag(1, tag(1, b"a"))), None),  # no value
        (tag(1, tag(1, tag(1, b"a") + tag(2, b""))), None),
        (tag(1, tag(1, tag(1, b"a") + tag(2, tag(2, b"")))), None),  # an empty list of floats
        (tag(1, tag(1, tag(1, b"a") + tag(2, tag(2, tag(1, b""))))), None),
        (tag(1, b""), None),
        (b"", None),
        (tag(1, tag(1, tag(1, b"a") + tag(2, tag(3, tag(1, b"\x85\x80\x00"))))), 5),  # zeros before
    ],
)
def test_what_protobuf_reads_is_read_in_whatever_form_it_is(
    write_records: WriteRecords, record: bytes, expected: int | None
) -> None:
    read = read_all(write_records([{"a": 1}, record, {}, {"a": 3}]))
    assert column(read, "a") == [1, expected, None, 3]
    assert read[0].rows.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "record",
    [
        b"plain text",
        b"\x0a",
        b"\x0a\x05",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        tag(1, b"\x0a"),
        tag(1, tag(1, tag(1, b"a") + tag(2, FIVE)[:-1])),
        tag(1, tag(1, tag(1, b"a") + tag(2, FIVE + b"\x1a"))),
        tag(1, tag(1, tag(1, b"\xff") + tag(2, FIVE))),  # a name that is not UTF-8
        tag(1, tag(1, tag(1, b"a") + tag(2, tag(3, tag(1, b"\x85"))))),  # ends within a number
        tag(1, tag(1, tag(1, b"a") + tag(2, tag(3, tag(1, b"\x85" * 10 + b"\x00"))))),
        tag(1, bytes_of_entry("a", to_feature(1))) + tag(2, b""),  # a SequenceExample
        tag(3, b"what Example does not have"),
    ],
)
def test_a_record_that_is_no_example_is_a_bad_row(
    write_records: WriteRecords, record: bytes
) -> None:
    (block,) = read_all(write_records([{"a": 1}, record, {"a": 3}]))
    text = record.decode("utf-8", "backslashreplace")
    assert block.misshapen == (
        blocks.BadRow(block.path, 2, "", text, "a serialised tf.train.Example", text),
    )
    assert (block.rows.tolist(), block.cells["a"].to_pylist()) == ([1, 3], [1, 3])


def test_floats_cut_within_a_number_are_no_example(write_records: WriteRecords) -> None:
    record = tag(1, tag(1, tag(1, b"a") + tag(2, tag(2, tag(1, bytes(7))))))
    (block,) = read_all(write_records([{"a": 1.0}, record, {"a": 3.0}]))
    assert [bad.expected for bad in block.misshapen] == ["a serialised tf.train.Example"]
    assert block.cells["a"].to_pylist() == [1.0, 3.0]


# Rows, missing values and vectors.


@pytest.mark.usefixtures("small_blocks")
def test_numbers_go_on_across_blocks(
    write_records: WriteRecords,
) -> None:
    records: list[Any] = [{"n": i, "x": i / 4} for i in range(1, 1001)]
    records[400] = b"no example"
    records[700]["n"] = b"text"
    read = read_all(write_records(records))
    assert len(read) > 5
    for block in read:
        assert block.cells["n"].to_pylist() == block.rows.tolist()
        assert block.cells["x"].to_pylist() == [row / 4 for row in block.rows.tolist()]
    assert [bad.row for block in read for bad in block.misshapen] == [401, 701]


def test_another_kind_and_an_unknown_feature_are_bad_rows(
    write_records: WriteRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    records: list[dict[str, Any]] = [{"a": i, "y": b"yes"} for i in range(6)]
    records[2]["a"] = 2.5
    records[4] |= {"d": 1, "c": 1, "b": b"new", "e": 1}  # the first by name is told
    path = write_records(records)
    monkeypatch.setattr(tfrecord_files, "_FIRST_RECORDS", 2)
    (block,) = read_all(path)
    assert block.rows.tolist() == [1, 2, 4, 6]
    assert block.cells["a"].to_pylist() == [0, 1, 3, 5]
    first, second = block.misshapen
    assert (first.path, first.row, first.column) == (path, 3, "a")
    assert first.value == "float_list { value: 2.5 }"
    assert first.expected == "int64_list, as in the file's first records"
    assert 'key: "y"' in first.raw
    assert "yes" in first.raw
    assert (second.row, second.column) == (5, "b")
    assert second.value == 'bytes_list { value: "new" }'
    assert second.expected == "one of the features a, y"


def test_most_of_the_first_records_tell_the_kind(write_records: WriteRecords) -> None:
    (block,) = read_all(write_records([{"a": 1.5}, {"a": 2}, {"a": 3}]))
    assert block.rows.tolist() == [2, 3]
    assert block.misshapen[0].expected == "int64_list, as in the file's first records"


@pytest.mark.usefixtures("small_blocks")
def test_a_kind_is_kept_in_later_blocks(write_records: WriteRecords) -> None:
    read = read_all(write_records([{"a": 1, "b": b"x" * 900}] * 4 + [{"a": 1.5}, {"b": b"y"}] * 9))
    assert len(read) == 3
    assert [bad.row for block in read for bad in block.misshapen] == list(range(5, 22, 2))
    assert read[-1].cells["a"].type == "int64"
    assert column(read[-1:], "a") == [None] * len(read[-1].rows)


def test_a_feature_that_is_absent_or_empty_is_a_missing_value(write_records: WriteRecords) -> None:
    rows = [{"i": 1, "f": 0.5, "t": b"x"}, {}, {"i": [], "f": 2.5}, {"t": b""}, {"i": -4}]
    (block,) = read_all(write_records(rows))
    assert block.cells["i"].to_pylist() == [1, None, None, None, -4]
    assert block.cells["f"].to_pylist() == [0.5, None, 2.5, None, None]
    assert block.cells["t"].to_pylist() == [b"x", None, None, b"", None]
    assert [str(block.cells[name].type) for name in "ift"] == ["int64", "float", "large_binary"]


def test_a_feature_that_never_has_a_value_is_all_missing(write_records: WriteRecords) -> None:
    (block,) = read_all(write_records([{"a": 1, "b": []}, {"a": 2, "b": []}]))
    assert block.cells["b"].to_pylist() == [None, None]


def test_lists_of_one_length_are_arrays(write_records: WriteRecords) -> None:
    rows = [{"i": [i, -i, 300], "f": [i / 2, 1.5], "one": [i]} for i in range(5)]
    (block,) = read_all(write_records(rows))
    whole, fractions = block.cells["i"], block.cells["f"]
    assert (whole.dtype, whole.tolist()) == (np.int64, [[i, -i, 300] for i in range(5)])
    assert (fractions.dtype, fractions.tolist()) == (np.float32, [[i / 2, 1.5] for i in range(5)])
    assert block.cells["one"].to_pylist() == list(range(5))


@pytest.mark.parametrize(
    "lists",
    [
        [[1], [1, 2]],
        [[1, 2, 3], [], [1, 2, 300]],
        [[1.5, 2.5], []],
        [[b"x"], [b"x", b"", b"yyy"] * 70, [], [b"z", b"x"]],
        [[b"x", b"y"]] * 2,
    ],
)
def test_lists_of_other_lengths_and_of_text_stay_lists(
    write_records: WriteRecords, lists: list[list[Any]]
) -> None:
    (block,) = read_all(write_records([{"a": values, "b": [7]} for values in lists]))
    assert block.cells["a"].to_pylist() == lists
    assert block.cells["b"].to_pylist() == [7] * len(lists)


@pytest.mark.parametrize("later", [[1], [1, 2], []])
def test_a_column_of_lists_stays_one_across_blocks(
    write_records: WriteRecords, monkeypatch: pytest.MonkeyPatch, later: list[int]
) -> None:
    monkeypatch.setattr(frames, "_BLOCK_BYTES", 1)  # a block a record
    path = write_records([{"a": [1, 2, 3]}, {"a": [4, 5, 6]}, {"a": later}])
    assert column(read_all(path), "a")[:2] == [[1, 2, 3], [4, 5, 6]]
    assert column(read_all(path), "a")[2] == (later or None)


@pytest.mark.usefixtures("small_blocks")
def test_a_block_without_a_good_row_has_no_list(write_records: WriteRecords) -> None:
    read = read_all(write_records([{"a": [1, 2, 3]}] * 50 + [b"no example"] * 200))
    assert not len(read[-1].rows)
    assert read[-1].cells["a"].type == pa.large_list(pa.int64())


# With the rest of the package.


def take(dataset: tf.data.Dataset, count: int) -> list[Any]:
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


@pytest.mark.parametrize("compression", [None, "GZIP"])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_schema_and_batches_are_those_of_csv(
    write_records: WriteRecords,
    write_csv: Callable[..., str],
    make_settings: Callable[..., settings_lib.InputSettings],
    census_lines: list[str],
    census_records: list[bytes],
    compression: str | None,
    mode: str,
) -> None:
    # In CSV the columns are in the order of the header, here by name.
    header = census_lines[0].split(",")
    order = sorted(range(len(header)), key=header.__getitem__)
    rows = [line.split(",") for line in census_lines]
    lines = [",".join(row[i] for i in order) for row in rows]
    found, batches = [], []
    for path in (write_csv(lines), write_records(census_records, compression=compression)):
        settings = make_settings(path, label_column="income", weight_column="fnlwgt", seed=3)
        source = sources.open_source(settings, "train")
        found.append(inference.scan(source, settings))
        input_fn = pipeline.make_input_fn(source, found[-1].schema, settings, mode)
        batches.append(take(input_fn(), 9))
    assert found[0] == found[1]
    assert len(batches[0]) == (8 if mode == "eval" else 9)
    for (features, label), (expected, expected_label) in zip(*batches, strict=True):
        np.testing.assert_array_equal(label, expected_label)
        assert features.keys() == expected.keys()
        for name, values in features.items():
            assert values.dtype == expected[name].dtype
            np.testing.assert_array_equal(values, expected[name])


def test_a_premade_estimator_trains_from_it(
    write_records: WriteRecords,
    make_settings: Callable[..., settings_lib.InputSettings],
    census_records: list[bytes],
    tmp_path: pathlib.Path,
) -> None:
    # A row is unusual, so that protobuf too is used within the graph's input thread.
    records = [*census_records[:500], b"no example", *census_records[500:]]
    path = write_records(records, "train.tfrecord-00000-of-00001.gz", "GZIP")
    settings = make_settings(
        path, label_column="income", batch_size=100, seed=1, bad_rows="skip", shuffle_buffer=300
    )
    source = sources.open_source(settings, "train")
    schema = inference.scan(source, settings).schema
    assert schema.label is not None
    classifier = estimator.LinearClassifier(
        [
            tf.feature_column.numeric_column("age"),
            tf.feature_column.categorical_column_with_hash_bucket("education", 20),
        ],
        label_vocabulary=schema.label.vocabulary,
        config=estimator.RunConfig(str(tmp_path / "model"), tf_random_seed=1),
    )
    classifier.train(pipeline.make_input_fn(source, schema, settings, "train"), steps=10)
    assert classifier.get_variable_value("global_step") == 10
    assert np.any(classifier.get_variable_value("linear/linear_model/education/weights"))


def test_bad_rows_are_refused_or_kept_by_number_and_column(
    write_records: WriteRecords,
    make_settings: Callable[..., settings_lib.InputSettings],
    tmp_path: pathlib.Path,
) -> None:
    rows: list[Any] = [{"a": i, "t": b"text", "y": b"ny"[i % 2 : i % 2 + 1]} for i in range(10)]
    rows[1]["a"] = 0.5
    rows[3]["t"] = b"caf\xe9"
    rows[5] = b"no example"
    path = write_records(rows)
    settings = make_settings(path)
    source = sources.open_source(settings, "train")
    with pytest.raises(errors.BadRowError) as caught:
        inference.scan(source, settings)
    assert str(caught.value) == (
        f"{path}, row 2, column 'a': expected int64_list, as in the file's first records, found 'float_list {{ value: "
        "0.5 }'. Correct the row, or pass --bad_rows=skip to leave such rows out and keep them in bad_rows.csv."
    )
    with bad_rows_lib.Writer(tmp_path / "bad_rows.csv") as writer:
        result = inference.scan(source, make_settings(path, bad_rows="skip"), bad_rows=writer)
    assert (result.num_rows, result.bad_rows) == (7, 3)
    assert [
        (bad.row, bad.column, bad.value, bad.expected) for bad in result.first_bad_rows[1:]
    ] == [
        (4, "t", r"caf\xe9", "text in UTF-8"),
        (6, "", "no example", "a serialised tf.train.Example"),
    ]
    assert len((tmp_path / "bad_rows.csv").read_text().splitlines()) == 4
    assert [feature.dtype for feature in result.schema.features] == ["int64", "string"]


def test_missing_values_get_defaults(
    write_records: WriteRecords, make_settings: Callable[..., settings_lib.InputSettings]
) -> None:
    rows = [{"a": 2, "t": b"x", "v": [1.0, 2.0], "y": 0}, {"v": [3.0, 4.0], "y": 1}] * 3
    path = write_records(rows)
    settings = make_settings(path, batch_size=2)
    source = sources.open_source(settings, "train")
    schema = inference.scan(source, settings).schema
    assert schema.features == (
        schema_lib.Feature("a", "int64", (), 2, None, 2, 2),
        schema_lib.Feature("t", "string", (), b"", ("x",)),
        schema_lib.Feature("v", "float32", (2,), None, None, 1.0, 4.0),
    )
    ((features, label),) = take(pipeline.make_input_fn(source, schema, settings, "eval")(), 1)
    assert features["a"].tolist() == [2, 2]
    assert features["t"].tolist() == [b"x", b""]
    assert features["v"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert label.tolist() == [0, 1]


def test_text_that_is_not_utf_8_is_a_bad_row_where_numbers_are_declared_too(
    write_records: WriteRecords,
) -> None:
    path = write_records([{"a": b"7"}, {"a": b"\xff"}, {"a": b"x"}, {}, {"a": b" 8 "}])
    feature = schema_lib.Feature("a", "int64", (), 5)
    converter = conversion.Converter(schema_lib.Schema((feature,)), with_label=False)
    block, bad = converter.convert(read_all(path)[0])
    assert block.columns["a"].tolist() == [7, 5, 8]
    assert [(row.row, row.value) for row in bad] == [(2, r"\xff"), (3, "x")]
