"""Data at the edges of what can be read: the pass that finds the schema and the typed rows agree, or one sentence says
why not."""

from collections.abc import Callable
import json
import pathlib
import struct
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest

from input_fns import blocks, errors, inference, row_streams
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources
from input_fns import statistics as statistics_lib

INT64_MAX, INT64_MIN = 2**63 - 1, -(2**63)
NOT_UTF8 = pa.array([b"\xff", b"good", b"fine"], pa.binary())


def read(path: str, label: str = "y", **fields: Any) -> tuple[inference.ScanResult, blocks.Block]:
    """What the pass found, and all rows typed by its schema."""
    settings = settings_lib.InputSettings(train_data=path, label_column=label, **fields)
    source = sources.open_source(settings, "train")
    found = inference.scan(source, settings)
    reader = row_streams.Reader(source, found.schema, settings, with_label=True)
    return found, blocks.concat(list(reader.read()))


def texts(column: blocks.Column) -> list[str]:
    assert isinstance(column, blocks.Strings)
    return [value.decode() for value in column.decode()]


def write_parquet(path: pathlib.Path, **columns: Any) -> str:
    parquet.write_table(pa.table(columns), path / "data.parquet")
    return str(path / "data.parquet")


def as_text(cells: pa.Array) -> pa.Array:
    """Bytes as an array of text that nobody has looked at, as other programs write it."""
    return pa.StringArray.from_buffers(len(cells), cells.buffers()[1], cells.buffers()[2])


class TestLabels:
    def test_digits_that_are_not_numbered_from_zero(self, tmp_path: pathlib.Path) -> None:
        """As the letters of EMNIST are, from 1 to 26."""
        pixels, labels = np.zeros((4, 2, 2), np.uint8), np.array([2, 1, 3, 2], np.uint8)
        for name, array in (("i-images-idx3-ubyte", pixels), ("i-labels-idx1-ubyte", labels)):
            header = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
            (tmp_path / name).write_bytes(header + array.tobytes())
        found, rows = read(str(tmp_path / "i-images-idx3-ubyte"), label="")
        assert found.schema.label_names == ("1", "2", "3")
        assert texts(rows.columns["label"]) == ["2", "1", "3", "2"]

    def test_column_of_vectors_of_one_class(self, tmp_path: pathlib.Path) -> None:
        labels = np.array([[7], [3], [7]])
        np.savez(tmp_path / "data.npz", x=np.zeros((3, 2)), y=labels)
        found, rows = read(str(tmp_path / "data.npz"))
        assert found.schema.label_names == ("3", "7")
        assert texts(rows.columns["y"]) == ["7", "3", "7"]

    def test_true_and_false_are_classes(self, tmp_path: pathlib.Path) -> None:
        found, rows = read(write_parquet(tmp_path, x=[1, 2, 3], y=[True, False, True]))
        assert found.schema.label_names == ("false", "true")
        assert texts(rows.columns["y"]) == ["true", "false", "true"]

    def test_classes_in_hexadecimal_stand_in_their_order(
        self, write_csv: Callable[..., str]
    ) -> None:
        found, _ = read(write_csv(["x,y", "1,0x1F", "2,0x0a", "3,4"]))
        assert found.schema.label_names == ("4", "0x0a", "0x1F")


class TestNumbers:
    def test_histogram_of_the_whole_range_of_int64(self, write_csv: Callable[..., str]) -> None:
        found, rows = read(write_csv(["x,y", f"{INT64_MIN},0", f"{INT64_MAX},1", "0,1"]))
        assert rows.columns["x"].tolist() == [INT64_MIN, INT64_MAX, 0]  # type: ignore[union-attr]
        column = found.statistics.column("x")
        assert isinstance(column, statistics_lib.NumericStatistics)
        lows = [bucket.low for bucket in column.histogram]
        assert lows == sorted(lows) and [b.count for b in column.histogram if b.count] == [1, 1, 1]

    def test_unsigned_numbers_past_int64_are_float32(self, tmp_path: pathlib.Path) -> None:
        numbers = np.array([2**64 - 1, 2, 3], np.uint64)
        lists = pa.array([[2**64 - 1, 1], [2, 2], [3, 3]], pa.list_(pa.uint64()))
        _, rows = read(write_parquet(tmp_path, x=numbers, s=lists, y=[0, 1, 0]))
        assert rows.columns["x"].tolist() == [2.0**64, 2.0, 3.0]  # type: ignore[union-attr]
        assert rows.columns["s"].tolist()[0] == [2.0**64, 1.0]  # type: ignore[union-attr]
        np.savez(tmp_path / "data.npz", x=numbers.reshape(3, 1), y=[0, 1, 0])
        _, rows = read(str(tmp_path / "data.npz"))
        assert rows.columns["x"].tolist() == [[2.0**64], [2.0], [3.0]]  # type: ignore[union-attr]

    def test_the_smallest_int64_in_a_list_is_what_fills_lists_up(
        self, tmp_path: pathlib.Path
    ) -> None:
        path = write_parquet(tmp_path, x=[[INT64_MIN], [1, 2], [3]], y=[0, 1, 0])
        with pytest.raises(errors.BadRowError, match=r"row 1, column 'x': .* above -2\^63"):
            read(path)

    def test_arrays_without_a_value_are_refused(self, tmp_path: pathlib.Path) -> None:
        np.savez(tmp_path / "data.npz", x=np.zeros((3, 0)), y=[0, 1, 0])
        with pytest.raises(errors.FileError, match=r"array 'x' of shape \(3, 0\) holds no value"):
            read(str(tmp_path / "data.npz"))


class TestText:
    @pytest.mark.parametrize(
        "cells",
        [
            as_text(NOT_UTF8),
            as_text(NOT_UTF8).dictionary_encode(),
            pa.LargeListArray.from_arrays([0, 1, 2, 3], as_text(NOT_UTF8)),
        ],
        ids=["text", "dictionary", "lists"],
    )
    def test_text_of_a_file_need_not_be_utf_8(
        self, tmp_path: pathlib.Path, cells: pa.Array
    ) -> None:
        table = pa.table({"x": cells, "y": [0, 1, 0]})
        path = str(tmp_path / "data.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        with pytest.raises(errors.BadRowError, match=r"row 1, column 'x': .*UTF-8.*xff"):
            read(path)
        found, _ = read(path, bad_rows="skip")
        assert (found.num_rows, found.bad_rows) == (2, 1)

    @pytest.mark.parametrize(
        "bad",
        [
            b'{"x": "\xff", "y": 1}',
            b'{"x": "\\ud800", "y": 1}',
            b"[" * 100_000,
        ],
        ids=["not UTF-8", "half a pair", "brackets"],
    )
    def test_json_that_no_text_can_be_is_a_bad_row(
        self, tmp_path: pathlib.Path, bad: bytes
    ) -> None:
        good = [json.dumps({"x": f"w{i}", "y": i % 2}).encode() for i in range(4)]
        path = tmp_path / "data.jsonl"
        path.write_bytes(b"\n".join([good[0], bad, *good[1:]]))
        found, rows = read(str(path), bad_rows="skip")
        assert (found.num_rows, [row.row for row in found.first_bad_rows]) == (4, [2])
        assert texts(rows.columns["x"]) == ["w0", "w1", "w2", "w3"]

    def test_first_cell_may_be_long(self, write_csv: Callable[..., str]) -> None:
        _, rows = read(write_csv(["x,y", f"{'a' * 200_000},0", "b,1"]))
        assert [len(text) for text in texts(rows.columns["x"])] == [200_000, 1]


class TestColumns:
    @pytest.mark.parametrize("lines", [[",a,y", "0,1,0", "1,2,1"], ["a,y,", "1,0,", "2,1,"]])
    def test_each_needs_a_name(self, write_csv: Callable[..., str], lines: list[str]) -> None:
        path = write_csv(lines)
        place = lines[0].split(",").index("") + 1
        with pytest.raises(
            errors.SchemaError,
            match=f"a name for each column of {path}, found none for column {place}.*index=False",
        ):
            read(path)

    def test_intervals_are_refused(self, tmp_path: pathlib.Path) -> None:
        table = pa.table({"x": pa.array([pa.MonthDayNano([1, 2, 3])] * 2), "y": [0, 1]})
        path = str(tmp_path / "data.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        with pytest.raises(errors.SchemaError, match="'x' is of type month_day_nano_interval"):
            read(path)

    def test_stream_without_a_row_is_refused(self, tmp_path: pathlib.Path) -> None:
        table = pa.table({"x": pa.array([], pa.int64()), "y": pa.array([], pa.int64())})
        path = str(tmp_path / "data.arrows")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
        with pytest.raises(errors.EmptyFileError, match="holds no row"):
            read(path)

    def test_text_has_no_shape(self, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "schema.pbtxt"
        path.write_text(
            'feature { name: "x" type: BYTES shape { dim { size: 2 } } }\n'
            'feature { name: "y" type: INT shape {} int_domain { min: 0 max: 1 is_categorical: true } }\n'
        )
        settings = settings_lib.InputSettings(
            train_data=write_parquet(tmp_path, x=[[1, 2], [3, 4]], y=[0, 1]), label_column="y"
        )
        source = sources.open_source(settings, "train")
        schema = schema_lib.read(path, "y")
        with pytest.raises(errors.SchemaError, match="'x', which is text, the shape .*value_count"):
            list(row_streams.Reader(source, schema, settings, True).read())


@pytest.mark.parametrize(
    "folder",
    [
        {"dataset_info.json": []},
        {"dataset_info.json": {"splits": [{"shardLengths": ["1"]}]}},
        {"dataset_info.json": {"splits": [{"name": "train", "shardLengths": ["x"]}]}},
        {"dataset_info.json": {"supervisedKeys": []}},
        {"dataset_info.json": {}, "features.json": {"featuresDict": None}},
        {"state.json": []},
        {"state.json": {"_data_files": ["data.arrow"]}},
        {"dataset_dict.json": {}},
    ],
)
def test_folder_that_describes_itself_wrongly_is_refused(
    tmp_path: pathlib.Path, folder: dict[str, Any]
) -> None:
    tfds = {"features.json": {"featuresDict": {"features": {}}}}
    for name, found in {**(tfds if "dataset_info.json" in folder else {}), **folder}.items():
        (tmp_path / name).write_text(json.dumps(found))
    damaged = list(folder)[-1]
    with pytest.raises(errors.FileError, match=f"{damaged} is damaged: .* Expected a f"):
        read(str(tmp_path))
