"""Orders of training rows: every epoch whole, the same from any place, cached in any way."""

from collections.abc import Callable
import dataclasses
import itertools
import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from input_fns import (
    balance,
    blocks,
    csv_files,
    errors,
    inference,
    row_cache,
    row_order,
    row_streams,
)
from input_fns import settings as settings_lib
from input_fns import sources

MakeOrder = Callable[..., row_order.RowOrder]

ORDERS = {
    "held": {},
    "window": {"shuffle_buffer": 30},
    "unshuffled": {"shuffle_buffer": 0},
    "memory": {"shuffle_buffer": 30, "cache": "memory"},
    "file": {"shuffle_buffer": 30, "cache": "file"},
    "auto": {"shuffle_buffer": 30, "cache": "auto"},
    "auto, too large": {"shuffle_buffer": 30, "cache": "auto", "cache_limit_gb": 1e-7},
    "unshuffled file": {"shuffle_buffer": 0, "cache": "file"},
    "threads": {"shuffle_buffer": 30, "read_threads": 3},
}


@pytest.fixture(name="make_order")
def make_order_fixture(
    write_csv: Callable[..., str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> MakeOrder:
    """Orders of 100 rows in three files, read in blocks of a few; `x` is the row's number."""
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 50)
    for part in range(3):
        rows = [
            f"{i},text {i},{'ab'[i % 10 == 0]}" for i in range(part * 40, min(100, part * 40 + 40))
        ]
        write_csv(["x,s,y", *rows], f"part{part}.csv")

    def make(
        start: row_order.Position | None = None,
        repeats: balance.Repeats | None = None,
        training: bool = True,
        **changes: object,
    ) -> row_order.RowOrder:
        given = {
            "train_data": str(tmp_path / "part*.csv"),
            "label_column": "y",
            "batch_size": 7,
            "seed": 5,
            "cache_dir": str(tmp_path / "cache"),
        } | changes
        settings = settings_lib.InputSettings(**given)  # type: ignore[arg-type]
        source = sources.open_source(settings, "train")
        schema = inference.scan(source, settings).schema
        reader = row_streams.Reader(source, schema, settings, True)
        return row_order.RowOrder(reader, settings, training, 2, start, repeats)

    return make


def draw(order: row_order.RowOrder, rows: int) -> list[int]:
    """The first so many rows; each with its own text."""
    drawn: list[int] = []
    for block in order.super_batches():
        assert block.num_rows % 14 == 0
        numbers = block.columns["x"].tolist()  # type: ignore[union-attr]
        texts = block.columns["s"].decode().tolist()  # type: ignore[union-attr]
        assert texts == [f"text {x}".encode() for x in numbers]
        drawn += numbers
        if len(drawn) >= rows:
            return drawn[:rows]
    raise AssertionError("training rows have no end")


@pytest.mark.parametrize("changes", ORDERS.values(), ids=list(ORDERS))
def test_every_epoch_is_whole(make_order: MakeOrder, changes: dict[str, object]) -> None:
    drawn = np.array(draw(make_order(**changes), 500)).reshape(5, 100)
    assert np.sort(drawn).tolist() == [list(range(100))] * 5
    if changes.get("shuffle_buffer") != 0:
        assert len({tuple(epoch) for epoch in drawn}) == 5


@pytest.mark.parametrize("changes", ORDERS.values(), ids=list(ORDERS))
@pytest.mark.parametrize("batches", [0, 3, 57])
def test_training_goes_on_where_it_stood(
    make_order: MakeOrder, changes: dict[str, object], batches: int
) -> None:
    order = make_order(**changes)
    drawn = draw(order, 800)
    kept = json.loads(json.dumps(dataclasses.asdict(order.position(batches))))
    assert kept == {"seed": 5, "epoch": batches * 7 // 100, "rows": batches * 7 % 100}
    # Another seed in the settings does not matter: the order that was begun goes on.
    resumed = make_order(row_order.Position(**kept), **{**changes, "seed": 9})
    assert draw(resumed, 300) == drawn[batches * 7 :][:300]
    later = resumed.position(4)
    assert later.epoch * 100 + later.rows == (batches + 4) * 7


def test_rows_that_take_too_much_memory_are_not_held(
    make_order: MakeOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = draw(make_order(), 100)
    monkeypatch.setattr(row_order, "HELD_BYTES", 2000)
    order = make_order()
    drawn = np.array(draw(order, 300)).reshape(3, 100)
    assert np.sort(drawn).tolist() == [list(range(100))] * 3
    assert drawn[0].tolist() != held
    assert draw(make_order(order.position(20)), 150) == drawn.ravel()[140:290].tolist()


def test_places_in_many_epochs_take_no_memory(make_order: MakeOrder) -> None:
    order = make_order()
    drawn = draw(order, 50_000)
    assert len(order._epochs) <= 3
    for batches in (0, 14, 15, 5000, 7142):
        place = order.position(batches)
        assert (place.epoch, place.rows) == divmod(batches * 7, 100)
    assert draw(make_order(order.position(5000)), 200) == drawn[35_000:35_200]


def test_threads_do_not_change_the_order(make_order: MakeOrder) -> None:
    orders = [
        draw(make_order(shuffle_buffer=30, read_threads=threads), 300) for threads in (0, 1, 4)
    ]
    assert orders[0] == orders[1] == orders[2]


def test_without_a_seed_every_order_is_another(make_order: MakeOrder) -> None:
    order = make_order(seed=None)
    drawn = draw(order, 300)
    assert drawn != draw(make_order(seed=None), 300)
    order = make_order(seed=None)
    drawn = draw(order, 300)
    assert draw(make_order(order.position(10), seed=None), 200) == drawn[70:270]


@pytest.mark.parametrize("changes", ORDERS.values(), ids=list(ORDERS))
def test_rare_rows_are_repeated(make_order: MakeOrder, changes: dict[str, object]) -> None:
    """10 rows of class b against 90 of class a, both wanted 50 times an epoch."""
    repeats = balance.Repeats("y", np.array([50 / 90, 5.0]))
    order = make_order(repeats=repeats, **changes)
    drawn = draw(order, 2000)
    share = np.mean([x % 10 == 0 for x in drawn])
    assert 0.45 < share < 0.55
    assert set(drawn) == set(range(100))
    assert draw(make_order(order.position(100), repeats, **changes), 300) == drawn[700:1000]


class TestFiles:
    """What --cache=file leaves behind."""

    def test_columns_of_every_kind_come_back(self, tmp_path: pathlib.Path) -> None:
        words = blocks.Strings(np.array([1, 0, 1], np.int32), blocks.as_objects([b"x", b"y\0"]))
        parts = [
            {
                "number": np.array([1.5, 2.5], np.float32),
                "image": np.arange(8).reshape(2, 2, 2),
                "text": blocks.Strings(np.array([0, 0], np.int32), blocks.as_objects([b"x"])),
                "lists": blocks.from_lengths(np.array([0, 3]), np.arange(3)),
                "words": blocks.from_lengths(np.array([2, 1]), words),
                "empty": blocks.from_lengths(np.array([0, 0]), np.arange(0)),
            },
            {
                "number": np.array([3.5], np.float32),
                "image": np.arange(4).reshape(1, 2, 2),
                "text": blocks.Strings(np.array([1], np.int32), blocks.as_objects([b"z", b"w"])),
                "lists": blocks.from_lengths(np.array([2]), np.arange(7, 9)),
                "words": blocks.from_lengths(np.array([0]), words[:0]),
                "empty": blocks.from_lengths(np.array([0]), np.arange(0)),
            },
        ]
        given = [blocks.Block(size, columns) for size, columns in zip((2, 1), parts)]
        row_cache._write(str(tmp_path), iter(given), None)
        whole, read = blocks.concat(given), row_cache._open(str(tmp_path))
        order = np.array([2, 0, 1, 1])
        assert read.num_rows == 3 and set(read.columns) == set(whole.columns)
        for name in whole.columns:
            assert as_python(read[order].columns[name]) == as_python(whole[order].columns[name])

    def test_they_are_used_again(self, make_order: MakeOrder, tmp_path: pathlib.Path) -> None:
        drawn = draw(make_order(cache="file"), 200)
        (made,) = (tmp_path / "cache").iterdir()
        before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
        assert draw(make_order(cache="file", batch_size=14), 200) == drawn
        assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == before

    def test_they_are_made_anew_when_the_data_changes(
        self, make_order: MakeOrder, tmp_path: pathlib.Path
    ) -> None:
        draw(make_order(cache="file"), 10)
        path = tmp_path / "part0.csv"
        path.write_text(path.read_text().replace("\n0,text 0,", "\n1000,text 1000,"))
        assert 1000 in draw(make_order(cache="file"), 100)
        assert len(list((tmp_path / "cache").iterdir())) == 1

    def test_two_jobs_may_write_them_at_once(
        self, make_order: MakeOrder, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = draw(make_order(cache="file"), 300)
        (made,) = (tmp_path / "cache").iterdir()
        (made / "rows.json").unlink()
        rename = os.replace

        def be_late(source: str, target: str) -> None:
            if target == str(made):  # the other job's files stand there by now
                shutil.copytree(source, target)
            rename(source, target)

        monkeypatch.setattr(os, "replace", be_late)
        assert draw(make_order(cache="file"), 300) == wanted
        assert list((tmp_path / "cache").iterdir()) == [made]

    def test_files_that_vanish_are_written_anew(
        self, make_order: MakeOrder, tmp_path: pathlib.Path
    ) -> None:
        wanted = draw(make_order(cache="file"), 300)
        (made,) = (tmp_path / "cache").iterdir()
        (made / "0").unlink()
        assert draw(make_order(cache="file"), 300) == wanted

    def test_too_much_text_is_refused(
        self, make_order: MakeOrder, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("input_fns.row_cache._MAX_VALUES", 50)
        with pytest.raises(errors.SettingsError, match="'s' has more than 50 different values"):
            draw(make_order(cache="file"), 10)
        assert not list((tmp_path / "cache").iterdir())
        limit = {"cache": "auto", "cache_limit_gb": 1e-7}
        assert len(set(draw(make_order(**limit), 100))) == 100

    def test_they_need_a_place(self, make_order: MakeOrder, tmp_path: pathlib.Path) -> None:
        with pytest.raises(errors.SettingsError, match="--cache=file needs a directory"):
            draw(make_order(cache="file", cache_dir=""), 10)
        (tmp_path / "taken").touch()
        with pytest.raises(errors.SettingsError, match="Expected to write the cache .*taken"):
            draw(make_order(cache="file", cache_dir=str(tmp_path / "taken")), 10)


def as_python(column: blocks.Column) -> list[object]:
    if isinstance(column, blocks.Lists):
        return [as_python(column.values[a:b]) for a, b in itertools.pairwise(column.offsets)]
    return (column.decode() if isinstance(column, blocks.Strings) else column).tolist()


def test_an_evaluation_reads_every_row_once(make_order: MakeOrder) -> None:
    for cache in settings_lib.CACHES:
        for limit in (1.0, 1e-7):
            order = make_order(training=False, cache=cache, cache_limit_gb=limit)
            for _ in range(2):
                blocks_ = list(order.super_batches())
                xs = itertools.chain.from_iterable(b.columns["x"].tolist() for b in blocks_)  # type: ignore[union-attr]
                assert list(xs) == list(range(100)), cache
