from collections.abc import Callable
import itertools
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from input_fns import batching, csv_files, errors, inference, pipeline
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

MakeInputFn = Callable[..., Callable[[], tf.data.Dataset]]


@pytest.fixture
def make_input_fn(make_settings: Callable[..., settings_lib.InputSettings]) -> MakeInputFn:
    """Opens, scans and builds."""

    def make(
        path: str,
        mode: str,
        schema: schema_lib.Schema | None = None,
        label_as: str = "value",
        shard: tuple[int, int] = (0, 1),
        **changes: object,
    ) -> Callable[[], tf.data.Dataset]:
        settings = make_settings(path, **changes)
        source = sources.open_source(settings, "train")
        schema = schema or inference.scan(source, settings).schema
        return pipeline.make_input_fn(source, schema, settings, mode, label_as, shard)

    return make


@pytest.fixture
def census(write_csv: Callable[..., str], census_lines: list[str]) -> str:
    return write_csv(census_lines)


@pytest.fixture
def ids(write_csv: Callable[..., str]) -> str:
    """100 rows whose `x` is the row's number."""
    return write_csv(["x,y"] + [f"{i},{'ab'[i % 2]}" for i in range(100)])


def take(dataset: tf.data.Dataset, count: int) -> list[Any]:
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def xs(batches: list[Any]) -> list[int]:
    return [x for features, _ in batches for x in features["x"].tolist()]


def test_evaluation_gives_the_file_in_order(
    make_input_fn: MakeInputFn, census: str, census_lines: list[str]
) -> None:
    input_fn = make_input_fn(census, "eval", label_column="income", weight_column="fnlwgt")
    batches = list(input_fn().as_numpy_iterator())
    assert [len(label) for _, label in batches] == [128] * 7 + [104]
    header = census_lines[0].split(",")
    for position, name in enumerate(header):
        cells = [line.split(",")[position] for line in census_lines[1:]]
        parts = [label if name == "income" else features[name] for features, label in batches]
        read = np.concatenate(parts)
        if read.dtype == object:
            assert read.tolist() == [cell.encode() for cell in cells]
        else:
            assert read.dtype == (np.float32 if name == "fnlwgt" else np.int64)
            assert read.tolist() == [float(cell) for cell in cells]
    assert set(batches[0][0]) == set(header) - {"income"}


def test_prediction_gives_features_alone(make_input_fn: MakeInputFn, census: str) -> None:
    input_fn = make_input_fn(census, "predict", label_column="income", weight_column="fnlwgt")
    batches = list(input_fn().as_numpy_iterator())
    assert [len(features["age"]) for features in batches] == [128] * 7 + [104]
    assert {"income", "fnlwgt"}.isdisjoint(batches[0])


def test_prediction_needs_no_label(
    make_input_fn: MakeInputFn, ids: str, write_csv: Callable[..., str]
) -> None:
    settings = settings_lib.InputSettings(train_data=ids, label_column="y")
    schema = inference.scan(sources.open_source(settings, "train"), settings).schema
    source = sources.Source(csv_files.CsvFormat(), (write_csv("x\n5\n", "new.csv"),))
    input_fn = pipeline.make_input_fn(source, schema, settings, "predict")
    assert [f["x"].tolist() for f in input_fn().as_numpy_iterator()] == [[5]]
    with pytest.raises(errors.SchemaError, match="new.csv misses the column 'y'"):
        pipeline.make_input_fn(source, schema, settings, "eval")


@pytest.mark.parametrize("label_as, expected", [("value", [b"a", b"b"]), ("index", [0, 1])])
def test_a_label_is_given_as_text_or_as_class_id(
    make_input_fn: MakeInputFn, ids: str, label_as: str, expected: list[object]
) -> None:
    input_fn = make_input_fn(ids, "eval", label_as=label_as, batch_size=2)
    ((_, label),) = take(input_fn(), 1)
    assert label.tolist() == expected
    assert label.dtype == (object if label_as == "value" else np.int64)


def test_digits_are_images_with_ids(make_input_fn: MakeInputFn) -> None:
    input_fn = make_input_fn("", "train", data="mnist", batch_size=32, seed=1)
    spec = input_fn().element_spec
    assert spec[0]["image"].shape.as_list() == [None, 28, 28]
    features, label = take(input_fn(), 1)[0]
    assert (features["image"].shape, features["image"].dtype) == ((32, 28, 28), np.float32)
    assert (label.shape, label.dtype) == ((32,), np.int64)


ORDERS = {
    "held": {"shuffle_buffer": 1000},
    "window": {"shuffle_buffer": 30},
    "cache": {"shuffle_buffer": 30, "cache": "memory"},
    "unshuffled": {"shuffle_buffer": 0},
    "unshuffled_cache": {"shuffle_buffer": 0, "cache": "memory"},
}


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Settings for each way of ordering, with blocks small enough to matter."""
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 50)
    monkeypatch.setattr(batching, "_MAX_SUPER_BATCH", 2)
    return ORDERS[request.param]


def test_training_repeats_all_rows_and_fills_every_batch(
    make_input_fn: MakeInputFn, ids: str, order: dict[str, object]
) -> None:
    batches = take(make_input_fn(ids, "train", batch_size=7, seed=3, **order)(), 143)
    assert {len(label) for _, label in batches} == {7}
    drawn = xs(batches)
    counts = np.bincount(drawn, minlength=100)
    assert counts.sum() == 1001  # ten epochs and a row
    assert counts.min() == 10 and counts.max() == 11
    shuffled = order["shuffle_buffer"] != 0
    assert (drawn[:100] != list(range(100))) == shuffled
    for features, label in batches[:20]:
        assert [b"ab"[x % 2 : x % 2 + 1] for x in features["x"]] == label.tolist()


def test_a_seed_decides_the_order(
    make_input_fn: MakeInputFn, ids: str, order: dict[str, object]
) -> None:
    def draw(seed: int | None) -> list[int]:
        return xs(take(make_input_fn(ids, "train", batch_size=7, seed=seed, **order)(), 60))

    assert draw(1) == draw(1)
    assert (draw(1) != draw(2)) == (order["shuffle_buffer"] != 0)
    assert (draw(None) != draw(None)) == (order["shuffle_buffer"] != 0)


def test_a_dataset_can_be_started_again(
    make_input_fn: MakeInputFn, ids: str, order: dict[str, object]
) -> None:
    input_fn = make_input_fn(ids, "train", batch_size=7, seed=1, **order)
    dataset = input_fn()
    assert xs(take(dataset, 30)) == xs(take(dataset, 30)) == xs(take(input_fn(), 30))


@pytest.mark.parametrize("cache", settings_lib.CACHES)
def test_the_cache_changes_no_evaluation(
    make_input_fn: MakeInputFn, ids: str, cache: str, tmp_path: pathlib.Path
) -> None:
    input_fn = make_input_fn(ids, "eval", batch_size=8, cache=cache, cache_dir=str(tmp_path))
    for _ in range(2):
        assert xs(list(input_fn().as_numpy_iterator())) == list(range(100))


def test_cached_rows_are_not_read_again(make_input_fn: MakeInputFn, ids: str) -> None:
    input_fn = make_input_fn(ids, "train", batch_size=10, cache="memory", shuffle_buffer=0)
    assert xs(take(input_fn(), 1)) == list(range(10))
    pathlib.Path(ids).unlink()
    assert xs(take(input_fn(), 11))[-10:] == list(range(10))


def test_rows_that_fit_the_buffer_are_read_once_for_all_epochs(
    make_input_fn: MakeInputFn, ids: str
) -> None:
    iterator = make_input_fn(ids, "train", batch_size=10)().as_numpy_iterator()
    next(iterator)
    pathlib.Path(ids).unlink()
    assert len(xs(list(itertools.islice(iterator, 2000)))) == 20_000


@pytest.mark.parametrize(
    "order", [{"shuffle_buffer": 0}, {"shuffle_buffer": 500}, {"cache": "file"}]
)
def test_thousands_of_classes_keep_their_ids(
    make_input_fn: MakeInputFn,
    write_csv: Callable[..., str],
    order: dict[str, object],
    tmp_path: pathlib.Path,
) -> None:
    """More classes than rows are left over between two blocks that are handed on."""
    rows = [f"{i * 7 % 2003},class {i * 7 % 2003:04d}" for i in range(6600)]
    settings = {"batch_size": 100, "seed": 1, "cache_dir": str(tmp_path), **order}
    path = write_csv(["x,y", *rows])
    batches = take(make_input_fn(path, "train", label_as="index", **settings)(), 140)
    for features, label in batches:
        assert label.tolist() == features["x"].tolist()  # a vocabulary is sorted


def test_many_different_strings_arrive_whole(
    make_input_fn: MakeInputFn, write_csv: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_MAX_SUPER_BATCH", 3)
    monkeypatch.setattr(inference.column_scans.trackers, "MAX_DISTINCT", 50)
    path = write_csv(["x,s,y"] + [f"{i},text {i},{'ab'[i % 2]}" for i in range(3000)])
    for order in ({"shuffle_buffer": 0}, {"shuffle_buffer": 500}, {"shuffle_buffer": 10_000}):
        batches = take(make_input_fn(path, "train", batch_size=16, seed=1, **order)(), 400)
        for features, _ in batches:
            assert features["s"].tolist() == [f"text {x}".encode() for x in features["x"]]


def test_bad_rows_are_left_out_in_every_pass(
    make_input_fn: MakeInputFn, write_csv: Callable[..., str]
) -> None:
    lines = ["x,y"] + [f"{i},{'ab'[i % 2]}" for i in range(20)]
    lines[5], lines[7] = "ragged", "six,a"
    path = write_csv(lines)
    kept = [i for i in range(20) if i not in (4, 6)]
    input_fn = make_input_fn(path, "eval", bad_rows="skip")
    assert xs(list(input_fn().as_numpy_iterator())) == kept
    drawn = xs(take(make_input_fn(path, "train", bad_rows="skip", batch_size=18)(), 1))
    assert sorted(drawn) == kept


def test_a_row_gone_bad_stops_the_training_with_its_place(
    make_input_fn: MakeInputFn, ids: str
) -> None:
    input_fn = make_input_fn(ids, "train")
    path = pathlib.Path(ids)
    path.write_text(path.read_text().replace("50,a", "fifty,a"))
    with pytest.raises(tf.errors.OpError, match="row 51, column 'x': expected a whole number"):
        take(input_fn(), 1)


def test_files_are_checked_by_the_builder(
    make_input_fn: MakeInputFn, ids: str, write_csv: Callable[..., str]
) -> None:
    schema = schema_lib.Schema(
        (schema_lib.Feature("z", "int64"),),
        (schema_lib.Feature("y", "string", vocabulary=("a", "b")),),
    )
    with pytest.raises(errors.SchemaError, match="data.csv misses the column 'z'"):
        make_input_fn(ids, "train", schema)


def test_training_needs_a_label(make_input_fn: MakeInputFn, ids: str) -> None:
    schema = schema_lib.Schema((schema_lib.Feature("x", "int64"),))
    with pytest.raises(errors.SchemaError, match="The schema has no label"):
        make_input_fn(ids, "train", schema)


def test_workers_share_the_rows(make_input_fn: MakeInputFn, ids: str) -> None:
    parts = [
        xs(list(make_input_fn(ids, "eval", shard=(i, 3))().as_numpy_iterator())) for i in range(3)
    ]
    assert sorted(sum(parts, [])) == list(range(100))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    with pytest.raises(ValueError, match="0 <= index < count"):
        make_input_fn(ids, "eval", shard=(3, 3))


def test_a_tf1_graph_reads_it_and_holds_no_data(make_input_fn: MakeInputFn, census: str) -> None:
    input_fn = make_input_fn(census, "train", label_column="income", seed=1)
    eager_features, eager_label = take(input_fn(), 1)[0]
    with tf.Graph().as_default() as graph:
        iterator = tf.compat.v1.data.make_initializable_iterator(input_fn())
        batch = iterator.get_next()
        with tf.compat.v1.Session() as session:
            session.run(iterator.initializer)
            features, label = session.run(batch)
    np.testing.assert_array_equal(features["age"], eager_features["age"])
    np.testing.assert_array_equal(label, eager_label)
    assert len(graph.as_graph_def().SerializeToString()) < 50_000


def test_a_label_alone_teaches_nothing(
    write_csv: Callable[..., str], make_settings: Callable[..., settings_lib.InputSettings]
) -> None:
    settings = make_settings(write_csv(["y", "0", "1", "0"]))
    source = sources.open_source(settings, "train")
    schema = inference.scan(source, settings).schema
    with pytest.raises(errors.SchemaError, match="columns to learn from, found none beside y"):
        pipeline.make_input_fn(source, schema, settings, "train")
