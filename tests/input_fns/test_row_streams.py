from collections.abc import Callable, Iterator

import numpy as np
import pytest

from input_fns import blocks, errors, inference, row_streams
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

SCHEMA = schema_lib.Schema(
    (schema_lib.Feature("x", "int64"),), (schema_lib.Feature("y", "string", vocabulary=("a", "b")),)
)


def make_blocks(*sizes: int) -> Iterator[blocks.Block]:
    start = 0
    for size in sizes:
        yield blocks.Block(size, {"x": np.arange(start, start + size)})
        start += size


def xs(stream: Iterator[blocks.Block]) -> list[list[int]]:
    return [block.columns["x"].tolist() for block in stream]  # type: ignore[union-attr]


def take(stream: Iterator[blocks.Block], count: int) -> np.ndarray:
    return np.concatenate([next(stream).columns["x"] for _ in range(count)])  # type: ignore[misc]


def test_rechunk_keeps_order_and_the_last_rows() -> None:
    assert xs(row_streams.rechunk(make_blocks(2, 3, 5, 1), 4)) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10],
    ]
    assert xs(row_streams.rechunk(make_blocks(9), 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert xs(row_streams.rechunk(make_blocks(), 4)) == []


def epochs(rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    while True:
        yield rng.permutation(count)


def test_every_held_row_comes_once_an_epoch() -> None:
    (rows,) = make_blocks(10)
    chunks = row_streams.take_chunks(rows, epochs(np.random.default_rng(0), 10), 4)
    drawn = take(chunks, 10).reshape(4, 10)
    for epoch in drawn:
        assert sorted(epoch) == list(range(10))
    assert drawn[0].tolist() != drawn[1].tolist()


def test_chunks_may_be_larger_than_the_data() -> None:
    (rows,) = make_blocks(3)
    drawn = take(row_streams.take_chunks(rows, epochs(np.random.default_rng(0), 3), 9), 2)
    assert np.sort(drawn.reshape(6, 3)).tolist() == [[0, 1, 2]] * 6


def make_reader(
    write_csv: Callable[..., str], files: int, shard: tuple[int, int], bad_rows: str = "error"
) -> row_streams.Reader:
    paths = []
    for number in range(files):
        rows = [f"{number * 10 + i},{'ab'[i % 2]}" for i in range(10)]
        if bad_rows == "skip":
            rows[2] = "ragged"
        paths.append(write_csv(["x,y", *rows], f"{number}.csv"))
    settings = settings_lib.InputSettings(
        train_data=",".join(paths), label_column="y", bad_rows=bad_rows
    )
    source = sources.open_source(settings, "train")
    return row_streams.Reader(source, SCHEMA, settings, True, shard)


@pytest.mark.parametrize("files, count", [(1, 3), (2, 2), (3, 2)])
@pytest.mark.parametrize("bad_rows", ["error", "skip"])
def test_the_shards_together_are_all_rows(
    write_csv: Callable[..., str], files: int, count: int, bad_rows: str
) -> None:
    parts = [
        [x for xs_ in xs(make_reader(write_csv, files, (i, count), bad_rows).read()) for x in xs_]
        for i in range(count)
    ]
    lost = {number * 10 + 2 for number in range(files)} if bad_rows == "skip" else set()
    assert sorted(sum(parts, [])) == sorted(set(range(files * 10)) - lost)
    assert all(parts)


def test_the_order_of_files_is_drawn(write_csv: Callable[..., str]) -> None:
    reader = make_reader(write_csv, 6, (0, 1))
    in_order = [block[0] for block in xs(reader.read())]
    drawn = [[b[0] for b in xs(reader.read(np.random.default_rng(seed)))] for seed in (1, 1, 2)]
    assert in_order == [0, 10, 20, 30, 40, 50]
    assert drawn[0] == drawn[1] != drawn[2]
    assert sorted(drawn[0]) == in_order


def test_a_row_gone_bad_after_the_scan_is_refused(write_csv: Callable[..., str]) -> None:
    settings = settings_lib.InputSettings(train_data=write_csv("x,y\n1,a\n2,b\n"), label_column="y")
    source = sources.open_source(settings, "train")
    schema = inference.scan(source, settings).schema
    write_csv("x,y\n1,a\n2,c\n")
    with pytest.raises(errors.BadRowError, match="row 2, column 'y'"):
        list(row_streams.Reader(source, schema, settings, True).read())
