"""What is converted reads back as the same rows and the same schema, whatever the two formats."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import csv
import gzip
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from input_fns import csv_files, errors, file_conversion, inference, output_files
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources, statistics, writers, writers_columnar, writers_rows

TEXT = [
    "plain",
    " spaced ",
    'a "quote"',
    "a,b",
    "tab\there",
    "line\nbreak",
    "cr\rhere",
    "ü漢\U0001f600",
]
TEXT += ["null", "NaN", "true", "2020-01-02", "{}", "'", '"', "\\", "x" * 3000]

# Columns as they stand in a CSV file, each with a filled label `y`.
TABLES: dict[str, dict[str, list[object]]] = {
    "text": {"s": TEXT},
    "numbers_as_text": {"s": ["1", "2", "drei"]},
    "integers": {"i": [0, -1, 2**63 - 1, -(2**63), 7]},
    "floats": {"f": ["0.1", "3", "-0.0", "1e-30", "3.4e38", "16777217", "0.333333343"]},
    "whole_floats": {"f": ["1.0", "2.0", "-300.0"]},
    "missing_text": {"s": ["", "a", "", "b", ""]},
    "missing_floats": {"f": ["", "0.25", "0.5", "", "1.75"]},
    "missing_integers": {"i": ["", 1, 3, "", 8]},
    "empty_column": {"e": ["", "", ""], "i": [1, 2, 3]},
    "names": {"a b": [1, 2], "ü,ñ": [3, 4], 'q"': [5, 6], "naïve/path": ["x", "y"]},
    "ids": {"x": [1, 2, 3], "y": [0, 2, 1]},
    "numbered_classes": {"x": [1, 2, 3], "y": [1, 10, 2]},
    "signs": {"x": [1, 2, 3], "y": [-1, 1, 1]},
    "amounts": {"x": [1, 2, 3], "y": ["1.5", "2.0", "-3"]},
    "whole_amounts": {"x": list(range(30)), "y": list(range(100, 130))},
}
CANNOT = {
    (
        "numpy",
        "missing_integers",
    ): "NumPy cannot hold column 'i': 2 of its 5 whole numbers are missi",
}
TABULAR = [name for name, entry in writers.WRITERS.items() if entry.text]


@contextlib.contextmanager
def unwatched(title: str, total: int | None) -> Iterator[object]:
    """Tells nobody of the progress."""
    yield lambda rows: None


def write_table(path: pathlib.Path, columns: dict[str, list[object]]) -> str:
    """Writes a CSV file, with the labels a, b, a ... if there are none."""
    count = len(next(iter(columns.values())))
    columns = {**columns, "y": columns.get("y", ["ab"[i % 2] for i in range(count)])}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


def settings_for(path: str, **changes: object) -> settings_lib.InputSettings:
    """Settings to read a file whose label is `y`."""
    changes = {"train_data": path, "label_column": "y", **changes}
    return settings_lib.InputSettings(**changes)  # type: ignore[arg-type]


def convert(
    settings: settings_lib.InputSettings, path: pathlib.Path, **output: object
) -> file_conversion.Conversion:
    """Converts what the settings name to that path."""
    known = schema_lib.read(settings.schema) if settings.schema else None
    source = sources.open_source(settings, "train", known, needs_label=False)
    target = output_files.OutputSettings(str(path), **output)  # type: ignore[arg-type]
    return file_conversion.convert(source, settings, known, target, unwatched)  # type: ignore[arg-type]


def read(settings: settings_lib.InputSettings) -> tuple[schema_lib.Schema, pa.Table]:
    """The schema and the rows, by column in the schema's order; TFRecord has none, so there by name."""
    source = sources.open_source(settings, "train", needs_label=False)
    schema = inference.scan(source, settings).schema
    table = pa.Table.from_batches(writers_rows.read(source, schema, settings))
    features = tuple(sorted(schema.features, key=lambda feature: feature.name))
    schema = schema_lib.Schema(features, schema.labels, schema.weight)
    return schema, table.select(sorted(table.column_names)).combine_chunks()


def ending_of(name: str) -> str:
    """A file ending of the format."""
    return writers.WRITERS[name].endings[0]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", TABULAR)
def test_a_table_reads_back_as_it_was(tmp_path: pathlib.Path, name: str, table: str) -> None:
    settings = settings_for(write_table(tmp_path / "in.csv", TABLES[table]))
    out = tmp_path / f"out{ending_of(name)}"
    if (name, table) in CANNOT:
        with pytest.raises(errors.SchemaError, match=CANNOT[name, table]):
            convert(settings, out)
        assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
        return
    convert(settings, out)
    schema, rows = read(settings)
    schema_again, rows_again = read(settings_for(str(out)))
    assert schema_lib.describe_difference(schema, schema_again) == []
    assert rows_again.equals(rows)
    # And from that format to CSV.
    convert(settings_for(str(out)), tmp_path / "back.csv")
    schema_back, rows_back = read(settings_for(str(tmp_path / "back.csv")))
    assert schema_lib.describe_difference(schema, schema_back) == []
    assert rows_back.equals(rows)


@pytest.fixture
def arrays(tmp_path: pathlib.Path) -> str:
    """Vectors, a matrix and an image, in an .npz file."""
    rng = np.random.default_rng(1)
    np.savez(
        tmp_path / "in.npz",
        floats=rng.normal(size=(50, 3)).astype(np.float32),
        integers=rng.integers(-(2**62), 2**62, size=(50, 4)),
        image=rng.integers(0, 255, size=(50, 4, 5), dtype=np.uint8),
        y=rng.integers(0, 3, size=50),
    )
    return str(tmp_path / "in.npz")


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("name", ["parquet", "arrow", "numpy"])
def test_arrays_keep_their_shape(
    tmp_path: pathlib.Path, arrays: str, name: str, shards: int
) -> None:
    convert(settings_for(arrays), tmp_path / f"out{ending_of(name)}", shards=shards)
    schema, rows = read(settings_for(arrays))
    again, rows_again = read(settings_for(f"{tmp_path}/out*{ending_of(name)}"))
    assert [feature.shape for feature in again.features] == [(3,), (4, 5), (4,)]
    assert schema_lib.describe_difference(schema, again) == []
    assert rows_again.equals(rows)


def test_of_arrays_in_tfrecord_the_schema_knows_the_shape(
    tmp_path: pathlib.Path, arrays: str
) -> None:
    result = convert(settings_for(arrays), tmp_path / "out.tfrecord")
    settings = settings_for(str(tmp_path / "out.tfrecord"), schema=result.schema_path)
    source = sources.open_source(settings, "train")
    found = inference.scan(source, settings, schema_lib.read(result.schema_path)).schema
    assert schema_lib.describe_difference(result.schema, found) == []
    table = pa.Table.from_batches(writers_rows.read(source, found, settings))
    _, rows = read(settings_for(arrays))
    assert table.select(rows.column_names).combine_chunks().equals(rows)


def test_lists_in_json_lines(tmp_path: pathlib.Path) -> None:
    np.savez(tmp_path / "in.npz", v=np.array([[0.1, 2], [3, 4]], np.float32), y=[0, 1])
    convert(settings_for(str(tmp_path / "in.npz")), tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert lines == ['{"v": [0.1, 2.0], "y": 0}', '{"v": [3.0, 4.0], "y": 1}']
    assert read(settings_for(str(tmp_path / "out.jsonl"))) == read(
        settings_for(str(tmp_path / "in.npz"))
    )


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("csv", r"CSV cannot hold column 'floats': its values have the shape \(3,\). Choose anoth"),
        ("jsonl", r"JSON lines cannot hold column 'image': its values have the shape \(4, 5\)"),
        ("libsvm", r"LIBSVM cannot hold column 'image': its values have the shape \(4, 5\)"),
    ],
)
def test_arrays_are_refused_where_a_cell_is_one_value(
    tmp_path: pathlib.Path, arrays: str, name: str, sentence: str
) -> None:
    with pytest.raises(errors.SchemaError, match=sentence):
        convert(settings_for(arrays), tmp_path / f"out{ending_of(name)}")
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


def test_libsvm_holds_numbers_and_a_label(tmp_path: pathlib.Path) -> None:
    table: dict[str, list[object]] = {"a": [0, 3, 0], "b": ["0.1", "0.0", "2.0"], "y": [1, 0, 2]}
    convert(
        settings_for(write_table(tmp_path / "in.csv", {**table, "z": [0, 0, 5]})),
        tmp_path / "out.libsvm",
    )
    assert (tmp_path / "out.libsvm").read_text() == "1 2:0.1 3:0\n0 1:3\n2 2:2 3:5\n"
    settings = settings_for(str(tmp_path / "out.libsvm"), label_column="label")
    again = tmp_path / "again.svm"
    convert(settings, again)
    assert again.read_bytes() == (tmp_path / "out.libsvm").read_bytes()
    _, rows = read(settings)
    assert rows["features"].to_pylist() == [
        [0.0, np.float32(0.1).item(), 0.0],
        [3.0, 0.0, 0.0],
        [0.0, 2.0, 5.0],
    ]


@pytest.mark.parametrize(
    "table, changes, sentence",
    [
        ({"s": ["u", "v"]}, {}, "LIBSVM cannot hold column 's': it is text. Choose another format"),
        ({"f": ["0.5", ""], "y": [0, 1]}, {}, "column 'f': 1 of its 2 numbers are missing"),
        ({"f": ["0.5", "1"]}, {"label_column": ""}, "and there is none. Pass --label_column."),
        (
            {"f": ["0.5", "1"], "w": [1, 2]},
            {"weight_column": "w"},
            "holds no weights. Leave out --weight_column, or",
        ),
    ],
)
def test_libsvm_refuses_what_it_cannot_hold(
    tmp_path: pathlib.Path,
    table: dict[str, list[object]],
    changes: dict[str, object],
    sentence: str,
) -> None:
    settings = settings_for(write_table(tmp_path / "in.csv", table), **changes)
    with pytest.raises(errors.SchemaError, match=sentence):
        convert(settings, tmp_path / "out.libsvm")


@pytest.mark.parametrize("name", TABULAR)
def test_rows_without_a_label_and_rows_with_a_weight(tmp_path: pathlib.Path, name: str) -> None:
    path = write_table(tmp_path / "in.csv", {"x": [1, 2, 3], "w": [1, 2, 0]})
    for changes in ({"label_column": ""}, {"weight_column": "w"}):
        out = tmp_path / f"out{ending_of(name)}"
        convert(settings_for(path, **changes), out, overwrite=True)
        expected = read(settings_for(path, **changes))
        assert read(settings_for(str(out), **changes)) == expected
    schema, _ = expected
    assert schema.weight is not None and schema.weight.dtype == "float32"


def test_a_missing_cell_of_the_only_column_stays_a_row(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in.tsv").write_text('a\n1\n""\n3\n')
    settings = settings_for(str(tmp_path / "in.tsv"), label_column="")
    assert convert(settings, tmp_path / "out.csv").num_rows == 3
    assert (tmp_path / "out.csv").read_text() == 'a\n1\n""\n3\n'


def test_a_tab_stands_between_the_cells_of_tsv(tmp_path: pathlib.Path) -> None:
    path = write_table(tmp_path / "in.csv", {"a": ["b,c", "d\te"]})
    convert(settings_for(path), tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text() == 'a\ty\nb,c\ta\n"d\te"\tb\n'


def test_an_example_has_what_a_row_has(tmp_path: pathlib.Path) -> None:
    table: dict[str, list[object]] = {"i": [300, ""], "f": ["", "0.5"], "s": ["ü", ""]}
    convert(settings_for(write_table(tmp_path / "in.csv", table)), tmp_path / "out.tfrecord.gz")
    records = tf.data.TFRecordDataset(str(tmp_path / "out.tfrecord.gz"), "GZIP")
    first, second = (tf.train.Example.FromString(record.numpy()) for record in records)
    assert dict(first.features.feature) == {
        "i": tf.train.Feature(int64_list=tf.train.Int64List(value=[300])),
        "f": tf.train.Feature(),  # missing: the column's name alone
        "s": tf.train.Feature(bytes_list=tf.train.BytesList(value=["ü".encode()])),
        "y": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a"])),
    }
    assert dict(second.features.feature) == {
        "f": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
        "y": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"b"])),
    }
    spec = {
        "i": tf.io.FixedLenFeature((), tf.int64, -1),
        "f": tf.io.FixedLenFeature((), tf.float32, -1.0),
    }
    parsed = tf.io.parse_example(list(records), spec)
    assert parsed["i"].numpy().tolist() == [300, -1]
    assert parsed["f"].numpy().tolist() == [-1.0, 0.5]


@pytest.mark.parametrize("name", TABULAR)
def test_shards_are_consecutive_rows_in_files_of_equal_size(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(writers_columnar, "_GROUP_ROWS", 7)
    path = write_table(
        tmp_path / "in.csv", {"x": list(range(101)), "s": [f"t{i}" for i in range(101)]}
    )
    out = tmp_path / "out" / f"all{ending_of(name)}"
    result = convert(settings_for(path), out, shards=4)
    stem = str(tmp_path / "out" / "all")
    files = [f"{stem}-{i:05d}-of-00004{ending_of(name)}" for i in range(4)]
    sizes = [len(read(settings_for(file))[1]) for file in files]
    assert sizes == [26, 25, 25, 25]
    assert read(settings_for(",".join(files))) == read(settings_for(path))
    assert result.num_rows == 101
    assert result.bytes_out == sum(pathlib.Path(file).stat().st_size for file in files)
    names = {pathlib.Path(file).name for file in files}
    assert {p.name for p in out.parent.iterdir()} == names | {
        f"{out.name}.schema.pbtxt",
        f"{out.name}.statistics.pbtxt",
    }


@pytest.mark.parametrize(
    "name, compression, start",
    [
        ("csv", "gzip", b"\x1f\x8b"),
        ("csv", "zstd", b"\x28\xb5\x2f\xfd"),
        ("jsonl", "zstd", b"\x28\xb5\x2f\xfd"),
        ("tfrecord", "gzip", b"\x1f\x8b"),
        ("parquet", "gzip", b"PAR1"),
        ("parquet", "none", b"PAR1"),
        ("arrow", "zstd", b"ARROW1"),
        ("numpy", "gzip", b"PK"),
    ],
)
def test_compressions(tmp_path: pathlib.Path, name: str, compression: str, start: bytes) -> None:
    path = write_table(tmp_path / "in.csv", {"x": list(range(100)), "s": ["same"] * 100})
    out = tmp_path / f"out{ending_of(name)}"
    convert(settings_for(path), out, compression=compression)
    assert out.read_bytes().startswith(start)
    assert read(settings_for(str(out))) == read(settings_for(path))


def test_the_same_rows_are_the_same_bytes(tmp_path: pathlib.Path) -> None:
    path = write_table(tmp_path / "in.csv", {"x": list(range(100))})
    for ending in (".csv.gz", ".npz"):
        first, second = (
            tmp_path / folder / f"out{ending}" for folder in (ending, f"again{ending}")
        )
        convert(settings_for(path), first)
        convert(settings_for(path), second)
        assert first.read_bytes() == second.read_bytes()


def test_schema_and_statistics_lie_beside(tmp_path: pathlib.Path) -> None:
    path = write_table(tmp_path / "in.csv", {"x": [1, "", 3]})
    result = convert(settings_for(path), tmp_path / "new" / "out.csv.gz")
    assert result.schema_path == str(tmp_path / "new" / "out.csv.gz.schema.pbtxt")
    assert schema_lib.read(result.schema_path) == result.schema
    told = statistics.read(result.statistics_path)
    assert (told.num_rows, told.column("x").missing) == (3, 1)
    with gzip.open(tmp_path / "new" / "out.csv.gz", "rt") as file:
        assert file.read() == "x,y\n1,a\n,b\n3,a\n"


def test_a_given_schema_decides_the_types(tmp_path: pathlib.Path) -> None:
    path = write_table(tmp_path / "in.csv", {"code": ["0123", "0456"], "n": [1, 2]})
    schema = schema_lib.Schema(
        (schema_lib.Feature("code", "string"), schema_lib.Feature("n", "float32")),
        (schema_lib.Feature("y", "string", vocabulary=("b", "a")),),
    )
    schema_lib.write(schema, tmp_path / "given.pbtxt")
    result = convert(
        settings_for(path, schema=str(tmp_path / "given.pbtxt"), label_column=""),
        tmp_path / "out.parquet",
    )
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.to_pydict() == {"code": ["0123", "0456"], "n": [1.0, 2.0], "y": ["a", "b"]}
    assert result.schema.label_names == ("b", "a")


def test_bad_rows_are_left_out_and_kept(tmp_path: pathlib.Path) -> None:
    lines = ["x,y"] + [f"{i},{'ab'[i % 2]}" for i in range(20)]
    lines[5], lines[7] = "ragged", "six,a"
    (tmp_path / "in.csv").write_text("\n".join(lines))
    settings = settings_for(str(tmp_path / "in.csv"))
    with pytest.raises(errors.BadRowError, match="in.csv, row 5: expected 2 columns"):
        convert(settings, tmp_path / "out.parquet")
    skip = settings_for(str(tmp_path / "in.csv"), bad_rows="skip")
    result = convert(skip, tmp_path / "out.parquet", shards=2)
    assert (result.num_rows, result.bad_rows) == (18, 2)
    assert result.bad_rows_path == str(tmp_path / "out.parquet.bad_rows.csv")
    assert "in.csv,7,x,six," in pathlib.Path(result.bad_rows_path).read_text()
    table = pq.read_table(sorted(tmp_path.glob("out-*.parquet")))
    assert table["x"].to_pylist() == [i for i in range(20) if i not in (4, 6)]


def test_rows_larger_than_a_group_are_several(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(writers_columnar, "_GROUP_ROWS", 500)
    path = write_table(tmp_path / "in.csv", {"x": list(range(5000))})
    convert(settings_for(path), tmp_path / "out.parquet")
    metadata = pq.read_metadata(tmp_path / "out.parquet")
    assert metadata.num_row_groups > 5
    assert max(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)) < 800


def test_data_that_changes_in_between_is_told(tmp_path: pathlib.Path) -> None:
    path = write_table(tmp_path / "in.csv", {"x": list(range(20))})

    @contextlib.contextmanager
    def cut(title: str, total: int | None) -> Iterator[object]:
        yield lambda rows: None
        if title == "reading":
            write_table(tmp_path / "in.csv", {"x": list(range(19))})

    settings = settings_for(path)
    source = sources.open_source(settings, "train")
    target = output_files.OutputSettings(str(tmp_path / "out.csv"))
    with pytest.raises(errors.FileError, match="changed while it was read: there were 20 rows"):
        file_conversion.convert(source, settings, None, target, cut)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def test_the_endings_are_those_that_are_read() -> None:
    from input_fns import formats

    for name, entry in writers.WRITERS.items():
        for ending in entry.endings:
            assert formats.tell(f"a{ending}") == writers.tell(f"a{ending}") == name
