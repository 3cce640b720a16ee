from collections.abc import Callable, Iterator
import csv
import importlib
import pathlib
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as pads
import pytest
import tensorflow as tf

from input_fns import arrow_tables, errors, inference, pipeline, python_objects
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

LABEL = "income"
ROWS = 1000


class Capsule:
    """What polars, newer pandas and others have: Arrow's stream and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Interchange:
    """What older DataFrames have: the interchange protocol and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> object:
        return self._table.__dataframe__(nan_as_null, allow_copy)


@pytest.fixture
def census_csv(census_lines: list[str], write_csv: Callable[..., str]) -> str:
    return write_csv(census_lines)


@pytest.fixture
def table(census_csv: str) -> pa.Table:
    """The first 1,000 rows of census."""
    return pacsv.read_csv(census_csv)


@pytest.fixture
def import_module(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes a module `rows_of_mine` and puts it on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str) -> None:
        (tmp_path / "rows_of_mine.py").write_text(text)
        importlib.invalidate_caches()

    yield write
    sys.modules.pop("rows_of_mine", None)


def scan(source: sources.Source) -> schema_lib.Schema:
    settings = settings_lib.InputSettings(train_data="object")
    return inference.scan(source, settings).schema


def batches(source: sources.Source, schema: schema_lib.Schema) -> list[Any]:
    """Into the second pass, streamed."""
    settings = settings_lib.InputSettings(train_data="object", shuffle_buffer=0, batch_size=20)
    dataset = pipeline.make_input_fn(source, schema, settings, "train")()
    return list(dataset.take(3 * ROWS // 40).as_numpy_iterator())


def arrays_of(table: pa.Table) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in table.column_names}


def structured(table: pa.Table) -> np.ndarray:
    columns = {name: np.asarray(values.tolist()) for name, values in arrays_of(table).items()}
    rows = np.zeros(ROWS, [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        rows[name] = values
    return rows


def slices(table: pa.Table) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays_of(table))


def to_pandas(table: pa.Table) -> Any:
    pytest.importorskip("pandas")
    frame = table.to_pandas()
    frame.index = frame.index[::-1]
    return frame


KINDS: dict[str, Callable[[pa.Table], Any]] = {
    "pandas": to_pandas,
    "pandas categories": lambda table: to_pandas(table).astype({"workclass": "category"}),
    "pandas objects": lambda table: to_pandas(table).astype(object),
    "table": lambda table: table,
    "record batch": lambda table: table.combine_chunks().to_batches()[0],
    "function to reader": lambda table: table.to_reader,
    "dataset": pads.dataset,
    "capsule": Capsule,
    "interchange": Interchange,
    "dict of arrays": arrays_of,
    "dict of lists": pa.Table.to_pydict,
    "structured array": structured,
    "list of dicts": pa.Table.to_pylist,
    "function to generator": lambda table: lambda: (dict(row) for row in table.to_pylist()),
    "rows of tf.data": slices,
    "batches of tf.data": lambda table: slices(table).batch(96),
    "function to tf.data": lambda table: lambda: slices(table).batch(96, drop_remainder=False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_schema_and_batches_are_those_of_the_rows_as_csv(
    kind: str, table: pa.Table, census_csv: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_tables, "BLOCK_ROWS", 300)
    settings = settings_lib.InputSettings(train_data=census_csv, label_column=LABEL)
    expected = sources.open_source(settings, "train")
    source = python_objects.from_object(KINDS[kind](table), LABEL)
    schema = scan(source)
    assert schema == scan(expected)
    for (features, label), (of_csv, label_of_csv) in zip(
        batches(source, schema), batches(expected, schema), strict=True
    ):
        np.testing.assert_array_equal(label, label_of_csv)
        for name, values in of_csv.items():
            np.testing.assert_array_equal(features[name], values, name)


PAIRS: dict[str, Callable[[dict[str, np.ndarray], np.ndarray], Any]] = {
    "arrays": lambda features, label: (features, label),
    "arrays, labels of rank 2": lambda features, label: (features, label[:, None]),
    "rows": lambda features, label: [
        ({name: values[i] for name, values in features.items()}, label[i])
        for i in range(len(label))
    ],
    "rows of tf.data": lambda features, label: tf.data.Dataset.from_tensor_slices(
        (features, label)
    ),
    "batches of tf.data": lambda features, label: tf.data.Dataset.from_tensor_slices(
        (features, label[:, None])
    ).batch(7),
    "tf.data of unknown shapes": lambda features, label: tf.data.Dataset.from_generator(
        lambda: (({name: v[i] for name, v in features.items()}, label[i]) for i in range(10)),
        output_types=({"image": tf.uint8, "x": tf.float32, "name": tf.string}, tf.int64),
    ),
    "tensors": lambda features, label: (
        {name: tf.constant(values) for name, values in features.items()},
        tf.constant(label),
    ),
    "rows of tensors": lambda features, label: lambda: iter(
        tf.data.Dataset.from_tensor_slices((features, label))
    ),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_pairs_know_their_label(kind: str) -> None:
    features = {
        "image": np.arange(10 * 4 * 3, dtype=np.uint8).reshape(10, 4, 3),
        "x": np.linspace(0, 1, 50, dtype=np.float32).reshape(10, 5),
        "name": np.array([f"0{i}" for i in range(10)]),
    }
    label = np.arange(10) % 2
    source = python_objects.from_object(PAIRS[kind](features, label))
    assert source.label_columns == ("label",)
    schema = scan(source)
    found = {feature.name: (feature.dtype, feature.shape) for feature in schema.features}
    assert found == {
        "image": ("float32", (4, 3)),
        "x": ("float32", (5,)),
        "name": ("string", ()),
    }
    assert schema.num_classes == 2
    settings = settings_lib.InputSettings(train_data="object")
    input_fn = pipeline.make_input_fn(source, schema, settings, "eval")
    ((read, labels),) = input_fn().as_numpy_iterator()
    np.testing.assert_array_equal(labels, label)
    np.testing.assert_array_equal(read["image"], features["image"].astype(np.float32) / 255)
    np.testing.assert_array_equal(read["x"], features["x"])
    assert read["name"].tolist() == [name.encode() for name in features["name"]]


MATRICES: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "arrays": lambda matrix, label: (matrix, label),
    "tensors": lambda matrix, label: (tf.constant(matrix), tf.constant(label)),
    "rows": lambda matrix, label: lambda: zip(matrix, label),
    "rows of tf.data": lambda matrix, label: tf.data.Dataset.from_tensor_slices((matrix, label)),
    "batches of tf.data": lambda matrix, label: tf.data.Dataset.from_tensor_slices(
        (matrix, label)
    ).batch(7),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_features_beside_a_label_may_be_one_array(kind: str) -> None:
    matrix = np.arange(30, dtype=np.float32).reshape(10, 3)
    label = np.arange(10) % 2
    source = python_objects.from_object(MATRICES[kind](matrix, label))
    assert (source.column_names, source.label_columns) == (("features", "label"), ("label",))
    settings = settings_lib.InputSettings(train_data="object")
    input_fn = pipeline.make_input_fn(source, scan(source), settings, "eval")
    ((features, labels),) = input_fn().as_numpy_iterator()
    np.testing.assert_array_equal(features["features"], matrix)
    np.testing.assert_array_equal(labels, label)


@pytest.mark.parametrize("is_batched", [False, True])
def test_a_dataset_may_give_lists_of_any_length(is_batched: bool) -> None:
    lengths = [1, 0, 3, 2]
    dataset = tf.data.Dataset.from_generator(
        lambda: ({"words": ["a", "b", "c"][:n], "label": n % 2} for n in lengths),
        output_signature={
            "words": tf.TensorSpec([None], tf.string),
            "label": tf.TensorSpec([], tf.int64),
        },
    )
    if is_batched:  # as wide as the longest of the batch
        dataset = dataset.padded_batch(2)
    source = python_objects.from_object(dataset, "label")
    (block,) = source.read(source.shards[0])
    found = [len(words) for words in block.cells["words"].to_pylist()]
    assert found == ([1, 1, 3, 3] if is_batched else lengths)
    assert block.cells["label"].to_pylist() == [1, 0, 1, 0]


def test_a_frame_may_hold_anything_that_rows_may() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "whole": pandas.array([1, None, 3], "Int64"),
            "mixed": [1, "x", None],
            "text": pandas.array(["007", None, ""], "string"),
            "time": pandas.to_datetime(["2024-02-03", None, "2024-02-05"]),
            "month": pandas.period_range("2024-01", periods=3, freq="M"),
            "truth": [True, False, True],
            "vector": [np.zeros(2), np.ones(2), np.ones(2)],
            7: [0.5, float("nan"), 1],
            "y": pandas.Categorical([1, 0, 1]),
        }
    )
    schema = scan(python_objects.from_object(frame, "y"))
    found = {f.name: (f.dtype, f.shape, f.default) for f in schema.features}
    assert found == {
        "whole": ("int64", (), 2),
        "mixed": ("string", (), b""),
        "text": ("string", (), b""),
        "time": ("string", (), b""),
        "month": ("string", (), None),
        "truth": ("int64", (), None),
        "vector": ("float32", (2,), None),
        "7": ("float32", (), 0.75),
    }
    assert schema.feature("month").vocabulary == ("2024-01", "2024-02", "2024-03")
    assert schema.num_classes == 2


def test_a_function_is_called_anew_and_an_object_kept() -> None:
    calls = []

    def rows() -> Iterator[dict[str, int]]:
        calls.append(1)
        yield from ({"x": i, "y": i % 2} for i in range(5))

    source = python_objects.from_object(rows, "y")
    assert (source.files, len(calls)) == (("function",), 1)
    for _ in range(2):
        (block,) = source.read(source.shards[0])
        assert block.cells["x"].to_pylist() == [0, 1, 2, 3, 4]
    assert len(calls) == 3


def test_rows_that_do_not_fit_are_bad_rows() -> None:
    rows = [{"x": 1, "y": 0}, {"x": 2, "z": 3}, {"x": 3}, "x", {"y": 1}]
    source = python_objects.from_object(rows * 30, "y", name="rows")
    blocks = list(source.read(source.shards[0]))
    # The first hundred rows tell the columns.
    assert source.column_names == ("x", "y", "z")
    rows = [{"x": 1, "y": 0}] * 100 + [{"x": 2, "z": 3}, 4]
    source = python_objects.from_object(rows, "y", name="rows")
    blocks = list(source.read(source.shards[0]))
    assert [(b.row, b.column, b.value, b.expected) for b in blocks[0].misshapen] == [
        (101, "z", "3", "one of the columns x, y"),
        (102, "", "4", "a dict of columns"),
    ]
    assert blocks[0].rows.tolist() == list(range(1, 101))


def test_large_rows_come_in_small_blocks() -> None:
    rows = ({"x": np.zeros((256, 256)), "y": i} for i in range(40))
    source = python_objects.from_object(list(rows), "y")
    sizes = [len(block.rows) for block in source.read(source.shards[0])]
    assert max(sizes) == 16 and sum(sizes) == 40


def test_text_of_newer_kind_is_read() -> None:
    views = pa.table({"x": pa.array(["a", None, "007"], pa.string_view()), "y": [0, 1, 0]})
    schema = scan(python_objects.from_object(Capsule(views), "y"))
    assert schema.feature("x").vocabulary == ("007", "a")


def test_a_name_on_the_command_line(
    import_module: Callable[[str], None], census_csv: str, table: pa.Table
) -> None:
    import_module(
        "import csv\n"
        f"def train():\n    with open({census_csv!r}) as file:\n        yield from csv.DictReader(file)\n"
        "few = [{'age': '17', 'income': '<=50K'}]\n"
    )
    settings = settings_lib.InputSettings(
        train_data="rows_of_mine:train", eval_data="rows_of_mine:few", label_column=LABEL
    )
    source = sources.open_source(settings, "train")
    assert source.column_names == tuple(table.column_names)
    assert source.files == ("rows_of_mine:train",)
    few = sources.open_source(settings, "eval")
    with pytest.raises(errors.SchemaError, match="^rows_of_mine:few misses the columns 'workcl"):
        inference.scan(few, settings, scan(source))


@pytest.mark.parametrize(
    "name, sentence",
    [
        (
            "no_such.module:f",
            "Expected --train_data=no_such.module:f to name a module on the Python path, found no module 'no_such'. "
            "Run from the directory that holds it, or set PYTHONPATH.",
        ),
        (
            "rows_of_mine:missing",
            "Expected --train_data=rows_of_mine:missing to name a function or an object, found no 'missing' in ",
        ),
        ("rows_of_mine:once", "rows_of_mine:once is a generator, which can be read once. Expected"),
        ("rows_of_mine:empty", "rows_of_mine:empty holds no row. Give it rows."),
        ("rows_of_mine:number", "rows_of_mine:number is of type int. Expected a DataFrame, an Arr"),
        ("rows_of_mine:matrix", "rows_of_mine:matrix is of type ndarray. Expected a DataFrame, an"),
        (
            "rows_of_mine:words",
            "rows_of_mine:words gives str objects one by one. Expected dicts of",
        ),
        (
            "rows_of_mine:lengths",
            "rows_of_mine:lengths holds arrays of different lengths: a (2,), b (3,). Expected as many rows in each.",
        ),
        (
            "rows_of_mine:twice",
            "rows_of_mine:twice gives pairs of features and label, and 'label' among the features too. Rename that",
        ),
        (
            "rows_of_mine:endless",
            "rows_of_mine:endless is a tf.data.Dataset without end. Leave out its repeat(): rows are repeated here.",
        ),
        (
            "rows_of_mine:tensors",
            "rows_of_mine:tensors is a tf.data.Dataset of TensorSpec(shape=(), dtype=tf.int64, name=None). Expected",
        ),
        ("rows_of_mine:nothing", "rows_of_mine:nothing holds no row. Give it rows."),
        (
            "rows_of_mine:asks",
            "rows_of_mine:asks needs the arguments path. Expected a function without arguments; name one that calls it",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(
    import_module: Callable[[str], None], name: str, sentence: str
) -> None:
    import_module(
        "import numpy as np\nimport tensorflow as tf\n"
        "once = ({'x': i} for i in range(3))\n"
        "empty = []\nnumber = 3\nmatrix = np.zeros((3, 3))\nwords = ['a', 'b']\n"
        "lengths = {'a': [1, 2], 'b': [1, 2, 3]}\n"
        "def twice():\n    yield {'label': 1}, 2\n"
        "def endless():\n    return tf.data.Dataset.from_tensors({'x': 1}).repeat()\n"
        "def tensors():\n    return tf.data.Dataset.range(3)\n"
        "def asks(path, *rest, size=3):\n    return []\n"
        "def nothing():\n    return tf.data.Dataset.from_tensors({'x': 1}).take(0)\n"
    )
    settings = settings_lib.InputSettings(train_data=name, label_column="y")
    with pytest.raises(errors.FileError) as raised:
        sources.open_source(settings, "train")
    assert str(raised.value).startswith(sentence)


def test_a_frame_that_is_not_computed_yet_says_what_to_call(
    import_module: Callable[[str], None],
) -> None:
    import_module(
        "class LazyFrame:\n    def collect(self):\n        return []\nlazy = LazyFrame()\n"
    )
    settings = settings_lib.InputSettings(train_data="rows_of_mine:lazy", label_column="y")
    with pytest.raises(errors.FileError, match=r"LazyFrame\. .* Return what its collect\(\) gives"):
        sources.open_source(settings, "train")


def test_what_goes_wrong_in_the_code_of_the_user_is_left_as_it_is(
    import_module: Callable[[str], None],
) -> None:
    import_module("import no_such_module_at_all\n")
    settings = settings_lib.InputSettings(train_data="rows_of_mine:rows", label_column="y")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        sources.open_source(settings, "train")
    with pytest.raises(ZeroDivisionError):
        python_objects.from_object(lambda: 1 / 0)


def test_a_function_whose_columns_change_is_refused() -> None:
    names = iter("xz")
    source = python_objects.from_object(lambda: [{next(names): 1, "y": 2}], "y", name="rows")
    with pytest.raises(errors.FileError, match="^rows gives the columns z, y, and gave x, y when"):
        list(source.read(source.shards[0]))


def test_rows_of_a_csv_reader_are_text(census_csv: str) -> None:
    def rows() -> Iterator[dict[str, str]]:
        with open(census_csv, encoding="utf-8") as file:
            yield from csv.DictReader(file)

    schema = scan(python_objects.from_object(rows, LABEL))
    assert schema.feature("age").dtype == "string"


def test_a_shape_that_changes_between_blocks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_tables, "BLOCK_ROWS", 2)
    rows = [{"x": np.zeros((2, 3 if i < 4 else 2)), "y": i % 2} for i in range(6)]
    with pytest.raises(errors.SchemaError) as raised:
        scan(python_objects.from_object(rows, "y", name="rows"))
    assert str(raised.value) == (
        "rows: 'x' has shape (2, 2) from row 5 on, and (2, 3) before. Expected one shape in all rows."
    )


def test_a_block_may_hold_bad_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_tables, "BLOCK_ROWS", 2)
    rows: list[Any] = [{"x": np.zeros(3), "y": i % 2} for i in range(100)] + ["a", "b"]
    source = python_objects.from_object(rows, "y", name="rows")
    settings = settings_lib.InputSettings(train_data="rows", bad_rows="skip", batch_size=200)
    found = inference.scan(source, settings)
    assert (found.num_rows, found.bad_rows) == (100, 2)
    input_fn = pipeline.make_input_fn(source, found.schema, settings, "eval")
    ((features, _),) = input_fn().as_numpy_iterator()
    assert features["x"].shape == (100, 3)


def test_a_label_is_one_value_a_row() -> None:
    arrays = {"x": np.zeros((4, 2))}
    source = python_objects.from_object((arrays, np.eye(4)), name="rows")
    with pytest.raises(errors.SchemaError) as raised:
        scan(source)
    assert str(raised.value) == (
        "rows: the label 'label' has shape (4,). Expected one value a row; of a class its id and not a vector of zeros "
        "and a one. Of classes that do not exclude each other vectors are learned with --task=multi_label."
    )
