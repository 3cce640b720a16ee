from collections.abc import Callable
import gzip
import pathlib

import numpy as np
import pytest

from input_fns import errors, inference, libsvm_files, pipeline
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

NUMBERS = ("age", "educational-num", "capital-gain", "capital-loss", "hours-per-week")


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Callable[..., str]:
    def write_text(text: str, name: str = "data.libsvm") -> str:
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return str(path)

    return write_text


@pytest.fixture
def census_numbers(census_lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Of the first 1,000 rows of census [1000, 5] float32 and which earn more."""
    rows = [
        dict(zip(census_lines[0].split(","), line.split(","), strict=True))
        for line in census_lines[1:]
    ]
    numbers = [[float(row[name]) for name in NUMBERS] for row in rows]
    return np.array(numbers, np.float32), np.array([row["income"] == ">50K" for row in rows])


def to_lines(numbers: np.ndarray, classes: np.ndarray, first: int = 1) -> str:
    """As `sklearn.datasets.dump_svmlight_file` writes them: zeros left out."""
    return "".join(
        f"{'+1' if one else '-1'} "
        + " ".join(f"{i}:{value:g}" for i, value in enumerate(row, first) if value)
        + "\n"
        for row, one in zip(numbers, classes, strict=True)
    )


def read_all(
    path: str, training: str = "", width: int = 0
) -> tuple[np.ndarray, np.ndarray, list[int], list[tuple[int, str, str, str]]]:
    reader = libsvm_files.LibsvmFormat([training or path], width)
    read = [
        block for shard in reader.shards(path) for block in reader.read(shard, reader.columns(path))
    ]
    return (
        np.concatenate([block.cells["features"] for block in read]),
        np.concatenate([block.cells["label"].to_numpy() for block in read]),
        [row for block in read for row in block.rows.tolist()],
        [(b.row, b.column, b.value, b.expected) for block in read for b in block.misshapen],
    )


@pytest.mark.parametrize("name", ["data.libsvm", "data.svm.gz"])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("block_bytes", [7, 5000])  # some blocks a line, and some lines a block
def test_rows_of_census_come_back(
    write: Callable[..., str],
    census_numbers: tuple[np.ndarray, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    first: int,
    block_bytes: int,
) -> None:
    monkeypatch.setattr(libsvm_files, "_BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(libsvm_files, "_DENSE_BYTES", 4 * 5 * 40)
    numbers, classes = census_numbers
    features, labels, rows, bad = read_all(write(to_lines(numbers, classes, first), name))
    assert (features.dtype, labels.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(features, numbers)
    np.testing.assert_array_equal(labels, np.where(classes, 1, -1))
    assert rows == list(range(1, 1001))
    assert not bad


def test_schema_and_batches_follow(
    write: Callable[..., str],
    census_numbers: tuple[np.ndarray, np.ndarray],
) -> None:
    numbers, classes = census_numbers
    train = write(to_lines(numbers[:900], classes[:900]), "train.libsvm")
    evaluation = write(to_lines(numbers[900:, :2], classes[900:]), "eval.svmlight")
    settings = settings_lib.InputSettings(train_data=train, eval_data=evaluation, batch_size=100)
    source = sources.open_source(settings, "train")
    schema = inference.scan(source, settings).schema
    assert schema.features == (
        schema_lib.Feature("features", "float32", (5,), low=0.0, high=float(numbers[:900].max())),
    )
    assert schema.label_names == ("-1", "1")
    narrow = sources.open_source(settings, "eval")
    assert inference.scan(narrow, settings, schema).num_rows == 100
    input_fn = pipeline.make_input_fn(narrow, schema, settings, "eval", "index")
    ((features, labels),) = input_fn().as_numpy_iterator()
    np.testing.assert_array_equal(features["features"][:, :2], numbers[900:, :2])
    assert not features["features"][:, 2:].any()
    np.testing.assert_array_equal(labels, classes[900:])


def test_a_schema_of_the_user_sets_the_width(
    write: Callable[..., str], tmp_path: pathlib.Path
) -> None:
    path = write("1 1:5 3:6\n0 2:7\n")
    schema = schema_lib.Schema(
        (schema_lib.Feature("features", "float32", (2,)),),
        (schema_lib.Feature("label", "int64", low=0, high=1, categorical=True),),
    )
    schema_lib.write(schema, tmp_path / "schema.pbtxt")
    settings = settings_lib.InputSettings(
        train_data=path, schema=str(tmp_path / "schema.pbtxt"), bad_rows="skip"
    )
    source = sources.open_source(settings, "train", schema)
    scanned = inference.scan(source, settings, schema)
    assert scanned.num_rows == 1
    assert scanned.first_bad_rows[0].expected == "an index from 1 to 2, as in the training data"


def test_comments_queries_blank_lines_and_order_are_understood(write: Callable[..., str]) -> None:
    path = write("# made by hand\n\n3 qid:7 2:.5 1:1e2\t# 9:9\r\n2.0 3:-1\n   \n4\n1 qid:8 1:2")
    features, labels, rows, bad = read_all(path)
    np.testing.assert_array_equal(features, [[100, 0.5, 0], [0, 0, -1], [0, 0, 0], [2, 0, 0]])
    assert labels.tolist() == [3, 2, 4, 1]
    assert (rows, bad) == ([3, 4, 6, 7], [])


def test_amounts_are_labels_too(write: Callable[..., str]) -> None:
    assert read_all(write("0.5 1:1\n-2 1:1\n"))[1].tolist() == [0.5, -2.0]


@pytest.mark.parametrize(
    "line, column, value, expected",
    [
        ("yes 1:2", "label", "yes", "a number, the label"),
        ("1,2 1:2", "label", "1,2", "a number, the label"),
        ("1:2 2:3", "label", "1:2", "a number, the label"),
        ("1 1:2 3", "features", "3", "index:value, both of them numbers"),
        ("1 1:2 3:", "features", "3:", "index:value, both of them numbers"),
        ("1 :2", "features", ":2", "index:value, both of them numbers"),
        ("1 1:2:3", "features", "1:2:3", "index:value, both of them numbers"),
        ("1 1.5:2", "features", "1.5:2", "index:value, both of them numbers"),
        ("1 a:2 qid:x", "features", "a:2", "index:value, both of them numbers"),
        ("1 1:nan", "features", "1:nan", "index:value, both of them numbers"),
        ("1 1:1e99", "features", "1:1e99", "index:value, both of them numbers"),
        ("1 1: 2:3", "features", "1:", "index:value, both of them numbers"),
        ("1 1:2 4:0.5", "features", "4:0.5", "an index from 1 to 3, as in the training data"),
        ("1 0:2", "features", "0:2", "an index from 1 to 3, as in the training data"),
        ("1 -1:2", "features", "-1:2", "an index from 1 to 3, as in the training data"),
        ("1 2:5 1:1 2:6", "features", "2:6", "each index once"),
    ],
)
def test_a_line_that_does_not_fit_is_a_bad_row(
    write: Callable[..., str], line: str, column: str, value: str, expected: str
) -> None:
    train = write("1 1:1 3:1\n", "train.libsvm")
    path = write(f"0 1:1\n\n{line}\n2 2:5\n")
    features, labels, rows, bad = read_all(path, train)
    assert bad == [(3, column, value, expected)]
    assert (rows, labels.tolist()) == ([1, 4], [0, 2])
    np.testing.assert_array_equal(features, [[1, 0, 0], [0, 5, 0]])


def test_bytes_that_are_no_text_are_a_bad_row(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data.libsvm").write_bytes(b"1 1:1\n\xff\xfe 1:2\n")
    assert read_all(str(tmp_path / "data.libsvm"))[3] == [
        (2, "label", r"\xff\xfe", "a number, the label")
    ]


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "data.libsvm holds no row. Remove the file or give it rows."),
        (" \n\n", "data.libsvm holds no row. Remove the file or give it rows."),
        ("a,b\n1,2\n", "data.libsvm: no line has an index and a value. Expected lines of `label"),
        (
            "1 1:1\n1 99999999:1\n",
            "data.libsvm, row 2: index 99999999 makes rows of as many numbers. Expected at most",
        ),
    ],
)
def test_an_unusable_file_is_refused(write: Callable[..., str], text: str, sentence: str) -> None:
    path = write(text)
    with pytest.raises(errors.FileError) as raised:
        libsvm_files.LibsvmFormat([path]).columns(path)
    assert sentence in str(raised.value)


def test_damage_is_found(
    write: Callable[..., str], census_numbers: tuple[np.ndarray, np.ndarray]
) -> None:
    path = write(to_lines(*census_numbers), "data.svm.gz")
    whole = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(errors.FileError, match="data.svm.gz is damaged: .*Expected lines of `lab"):
        libsvm_files.LibsvmFormat([path]).columns(path)
