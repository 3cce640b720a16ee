"""Files of NumPy: whose arrays are columns, and which of them are of which part."""

import pathlib

import numpy as np
import pytest

from input_fns import errors, inference, numpy_files, pipeline
from input_fns import settings as settings_lib
from input_fns import sources


def read(path: pathlib.Path, role: str) -> dict[str, list[object]]:
    file_format = numpy_files.NumpyFormat(role)
    columns = file_format.columns(str(path))
    (shard,) = file_format.shards(str(path))
    (block,) = file_format.read(shard, columns)
    return {
        name: cells.tolist() if isinstance(cells, np.ndarray) else cells.to_pylist()
        for name, cells in block.cells.items()
    }


@pytest.fixture(name="both")
def both_fixture(tmp_path: pathlib.Path) -> pathlib.Path:
    """As Keras' mnist.npz."""
    path = tmp_path / "both.npz"
    np.savez(path, x_train=[1, 2], y_train=[0, 1], x_test=[3], y_test=[1])
    return path


def test_a_file_may_hold_both_parts(both: pathlib.Path) -> None:
    assert numpy_files.NumpyFormat("train").holds_both(str(both))
    assert read(both, "train") == {"x": [1, 2], "y": [0, 1]}
    assert read(both, "eval") == {"x": [3], "y": [1]}
    settings = settings_lib.InputSettings(train_data=str(both), label_column="y")
    assert sources.open_source(settings, "eval").column_names == ("x", "y")


def test_a_column_may_be_named_as_a_part_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, fare_train=[1.5], fare_test=[2.5], y=[1])
    assert not numpy_files.NumpyFormat("train").holds_both(str(path))
    for role in sources.ROLES:
        assert read(path, role) == {"fare_train": [1.5], "fare_test": [2.5], "y": [1]}


def test_a_structured_array_names_its_columns(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.array([(1, b"a", [1, 2])], [("x", "i4"), ("s", "S3"), ("v", "f4", 2)]))
    assert read(path, "train") == {"x": [1], "s": ["a"], "v": [[1.0, 2.0]]}


def save_columns(directory: pathlib.Path, **arrays: np.ndarray) -> str:
    """A file for each array; gives what names them."""
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", array)
    return ",".join(str(directory / f"{name}.npy") for name in arrays)


def read_source(settings: settings_lib.InputSettings, role: str) -> dict[str, np.ndarray]:
    source = sources.open_source(settings, role)
    schema = inference.scan(source, settings).schema
    ((features, label),) = pipeline.make_input_fn(source, schema, settings, "eval")()
    return {name: value.numpy() for name, value in {**features, "label": label}.items()}


def test_files_of_an_array_each_are_the_columns_of_one_table(tmp_path: pathlib.Path) -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    train = save_columns(tmp_path, x_train=pixels, y_train=np.array([1, 0]))
    test = save_columns(tmp_path, test_x=pixels[:1], test_y=np.array([0]))
    settings = settings_lib.InputSettings(train_data=train, eval_data=test, label_column="y")
    found = read_source(settings, "train")
    assert found["label"].tolist() == [1, 0]
    np.testing.assert_array_equal(found["x"], pixels.astype(np.float32) / 255)
    assert sources.open_source(settings, "eval").column_names == ("x", "y")


def test_files_of_an_array_each_that_do_not_fit_together_are_refused(
    tmp_path: pathlib.Path,
) -> None:
    train = save_columns(tmp_path, x=np.zeros((3, 2)), y_train=np.zeros(2))
    settings = settings_lib.InputSettings(train_data=train, label_column="y")
    with pytest.raises(
        errors.FileError, match=r"different lengths: x \(3, 2\), y \(2,\). Expected as many"
    ):
        sources.open_source(settings, "train")
    train = save_columns(tmp_path, y_test=np.zeros(2), y_train=np.zeros(2))
    settings = settings_lib.InputSettings(train_data=train, label_column="y")
    with pytest.raises(errors.FileError, match="two of them are named alike: y, y. Name the"):
        sources.open_source(settings, "train")


@pytest.mark.parametrize(
    "arrays, sentence",
    [
        ({"x": [1, 2], "y": [1]}, r"arrays of different lengths: x \(2,\), y \(1,\)"),
        ({"x": np.zeros((0,))}, "holds no row"),
        ({"x": np.zeros(2, complex)}, "array 'x' is complex128"),
    ],
)
def test_arrays_that_are_no_columns_are_refused(
    tmp_path: pathlib.Path, arrays: dict[str, np.ndarray], sentence: str
) -> None:
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(errors.FileError, match=sentence):
        read(tmp_path / "rows.npz", "train")


def test_a_file_that_is_none_is_refused(both: pathlib.Path) -> None:
    both.write_bytes(both.read_bytes()[:200])
    with pytest.raises(errors.FileError, match="both.npz"):
        read(both, "train")
