"""Files of NumPy: whose arrays are columns, and which of them are of which part."""

import pathlib

import numpy as np
import pytest

from input_fns import errors, numpy_files
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


def test_a_file_that_is_none_is_refused(both: pathlib.Path, tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros((2, 3)))
    with pytest.raises(errors.FileError, match="one array of shape .* whose columns have no names"):
        read(tmp_path / "one.npy", "train")
    both.write_bytes(both.read_bytes()[:200])
    with pytest.raises(errors.FileError, match="both.npz"):
        read(both, "train")
