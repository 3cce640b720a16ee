from collections.abc import Callable
import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from input_fns import errors, formats, huggingface_folders, inference, pipeline
from input_fns import settings as settings_lib
from input_fns import sources


@pytest.fixture
def table(census_lines: list[str], write_csv: Callable[..., str]) -> pa.Table:
    """The first 1,000 rows of census."""
    return pacsv.read_csv(write_csv(census_lines))


def save(folder: pathlib.Path, table: pa.Table, files: int = 1, **state: Any) -> str:
    """What `Dataset.save_to_disk(folder, num_shards=files)` writes."""
    folder.mkdir(parents=True)
    table = table.replace_schema_metadata({"huggingface": '{"info": {"features": {}}}'})
    names = [f"data-{i:05d}-of-{files:05d}.arrow" for i in range(files)]
    size = -(-len(table) // files)
    for i, name in enumerate(names):
        with pa.ipc.new_stream(folder / name, table.schema) as stream:
            stream.write_table(table.slice(i * size, size), max_chunksize=200)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None, **state}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))
    return str(folder)


def save_dict(folder: pathlib.Path, **splits: pa.Table) -> str:
    """What `DatasetDict.save_to_disk(folder)` writes."""
    for name, table in splits.items():
        save(folder / name, table)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    return str(folder)


def test_schema_and_batches_are_those_of_the_rows_as_csv(
    tmp_path: pathlib.Path, table: pa.Table, write_csv: Callable[..., str], census_lines: list[str]
) -> None:
    paths = (write_csv(census_lines), save(tmp_path / "saved", table, files=3))
    schemas, batches = [], []
    for path in paths:
        settings = settings_lib.InputSettings(train_data=path, label_column="income")
        source = sources.open_source(settings, "train")
        schemas.append(inference.scan(source, settings).schema)
        input_fn = pipeline.make_input_fn(source, schemas[-1], settings, "eval")
        batches.append(list(input_fn().as_numpy_iterator()))
    assert len(source.shards) == 3
    assert schemas[0] == schemas[1]
    for (features, label), (of_csv, label_of_csv) in zip(*reversed(batches), strict=True):
        np.testing.assert_array_equal(label, label_of_csv)
        for name, values in of_csv.items():
            np.testing.assert_array_equal(features[name], values)


@pytest.mark.parametrize(
    "splits, chosen", [(("test", "train", "validation"), "validation"), (("train", "test"), "test")]
)
def test_each_role_takes_its_split(
    tmp_path: pathlib.Path, table: pa.Table, splits: tuple[str, ...], chosen: str
) -> None:
    sizes = {"train": 500, "validation": 300, "test": 200}
    path = save_dict(tmp_path / "dict", **{name: table.slice(0, sizes[name]) for name in splits})
    settings = settings_lib.InputSettings(train_data=path, label_column="income")
    counts = [
        inference.scan(sources.open_source(settings, role), settings).num_rows
        for role in sources.ROLES
    ]
    assert counts == [500, sizes[chosen]]


def test_one_split_may_be_named(tmp_path: pathlib.Path, table: pa.Table) -> None:
    path = save_dict(tmp_path / "dict", train=table, extra=table.slice(0, 10))
    settings = settings_lib.InputSettings(
        train_data=path, eval_data=f"{path}/extra/", label_column="income"
    )
    source = sources.open_source(settings, "eval")
    assert inference.scan(source, settings).num_rows == 10
    with pytest.raises(errors.SettingsError, match="Expected --eval_data beside --train_data="):
        sources.open_source(
            settings_lib.InputSettings(train_data=path, label_column="income"), "eval"
        )


def test_classes_are_ids_and_none_is_a_bad_row(tmp_path: pathlib.Path) -> None:
    classes = pa.array([0, 2, 1, -1], pa.int64())
    table = pa.table({"text": ["a", "b", "c", "d"], "label": classes})
    path = save_dict(tmp_path / "dict", train=table.slice(0, 3), test=table)
    settings = settings_lib.InputSettings(
        train_data=path, label_column="label", bad_rows="skip", batch_size=3
    )
    schema = inference.scan(sources.open_source(settings, "train"), settings).schema
    assert schema.label_names == ("0", "1", "2")
    evaluation = inference.scan(sources.open_source(settings, "eval"), settings, schema)
    (bad,) = evaluation.first_bad_rows
    assert (bad.path, bad.row) == (f"{path}/test/data-00000-of-00001.arrow", 4)
    assert (bad.column, bad.value, bad.expected) == ("label", "-1", "a class id from 0 to 2")


def test_a_folder_tells_its_format(tmp_path: pathlib.Path, table: pa.Table) -> None:
    assert formats.tell(save(tmp_path / "a.b", table)) == "huggingface"
    assert formats.tell(save_dict(tmp_path / "dict", train=table) + "/") == "huggingface"
    (tmp_path / "pets").mkdir()
    assert formats.tell(str(tmp_path / "pets")) == "images"


def test_what_cannot_be_read_is_refused(tmp_path: pathlib.Path, table: pa.Table) -> None:
    def refuse(path: str, role: str = "train") -> str:
        with pytest.raises(errors.FileError) as raised:
            huggingface_folders.HuggingFaceFormat(role).columns(path)
        return str(raised.value)

    path = save_dict(tmp_path / "dict", train=table)
    assert refuse(path, "eval") == (
        f"{path} holds the splits train. Expected one of validation, val, valid, test, eval; or name the folder of "
        f"one, such as --eval_data={path}/train."
    )
    (tmp_path / "other").mkdir()
    assert refuse(f"{tmp_path}/other") == (
        f"{tmp_path}/other holds no state.json that lists Arrow files. Expected a folder as save_to_disk of datasets "
        "writes it."
    )
    (tmp_path / "other" / "state.json").write_text('{"step": 7}')
    assert "other holds no state.json that lists Arrow files." in refuse(f"{tmp_path}/other")
    path = save(tmp_path / "chosen", table, _indices_data_files=[{"filename": "indices.arrow"}])
    assert refuse(path).startswith(
        f"{path} keeps the choice and order of its rows in a file of its"
    )
    path = save(tmp_path / "empty", table.slice(0, 0))
    assert refuse(path) == f"{path} holds no row. Remove the folder or give it rows."
    path = save(tmp_path / "damaged", table)
    data = pathlib.Path(path, "data-00000-of-00001.arrow")
    data.write_bytes(b"x" * 100)
    assert f"{data} is damaged: " in refuse(path)
    data.unlink()
    assert refuse(path) == f"Cannot read {data}: No such file or directory."
    pathlib.Path(path, "state.json").write_text("{")
    assert f"{path}/state.json is damaged: " in refuse(path)
