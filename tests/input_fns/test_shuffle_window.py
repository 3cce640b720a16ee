from collections.abc import Iterator

import numpy as np
import pytest

from input_fns import blocks, shuffle_window


def draw(
    stream: Iterator[blocks.Block], chunk: int, window: int, max_bytes: int = 1 << 30, seed: int = 0
) -> Iterator[blocks.Block]:
    rng = np.random.default_rng(seed)
    return shuffle_window.shuffle_window(stream, chunk, window, max_bytes, rng)


@pytest.mark.parametrize("window", [0, 5, 20, 64, 1000])
def test_a_window_loses_and_repeats_nothing_and_stays_small(window: int) -> None:
    read = 0

    def stream() -> Iterator[blocks.Block]:
        nonlocal read
        while read < 404:
            size = min(7, 404 - read)
            read += size
            yield blocks.Block(size, {"x": np.arange(read - size, read)})

    drawn: list[int] = []
    for block in draw(stream(), 8, window, seed=0):
        assert read - len(drawn) <= max(window, 8) + 7
        drawn += block.columns["x"].tolist()  # type: ignore[union-attr]
    assert sorted(drawn) == list(range(404))
    if window >= 64:
        assert np.mean(np.abs(np.array(drawn) - np.arange(404))) > 8


def test_a_window_is_bounded_by_bytes_too() -> None:
    read = 0

    def stream() -> Iterator[blocks.Block]:
        nonlocal read
        while read < 400:
            read += 10
            yield blocks.Block(10, {"x": np.arange(read - 10, read)})

    drawn: list[int] = []
    for block in draw(stream(), 8, 1000, 8 * 50):
        assert read - len(drawn) <= 60
        drawn += block.columns["x"].tolist()  # type: ignore[union-attr]
    assert sorted(drawn) == list(range(400))
    assert drawn[:50] != sorted(drawn[:50])


def make_rows(start: int, stop: int) -> blocks.Block:
    """Rows from whose number every column can be told; each block has text tables of its own."""
    numbers = np.arange(start, stop)
    texts = blocks.as_objects([f"row {number}".encode() for number in numbers[::-1]])
    codes = np.arange(len(numbers), dtype=np.int32)[::-1]
    repeated = [b"even", b"odd"] if start % 2 else [b"odd", b"even"]
    is_first = (numbers % 2 == 0) == (repeated[0] == b"even")
    return blocks.Block(
        len(numbers),
        {
            "number": numbers,
            "image": np.repeat(numbers, 4).reshape(-1, 2, 2).astype(np.float32),
            "name": blocks.Strings(codes, texts),
            "parity": blocks.Strings((~is_first).astype(np.int32), blocks.as_objects(repeated)),
            "digits": blocks.from_lengths(
                np.array([len(str(n)) for n in numbers]),
                np.array([int(digit) for n in numbers for digit in str(n)]),
            ),
            "words": blocks.from_lengths(numbers % 3, _words(numbers)),
        },
    )


def _words(numbers: np.ndarray) -> blocks.Strings:
    words = [f"w{n}".encode() for n in numbers for _ in range(n % 3)]
    table = sorted(set(words))
    codes = np.array([table.index(word) for word in words], np.int32)
    return blocks.Strings(codes, blocks.as_objects(table))


@pytest.mark.parametrize("window", [8, 100, 700, 10_000])
def test_every_kind_of_column_stays_with_its_row(window: int) -> None:
    sizes = [1, 7, 300, 64, 900, 2, 1500, 226]
    ends = np.cumsum(sizes).tolist()
    stream = (make_rows(end - size, end) for size, end in zip(sizes, ends, strict=True))
    seen = []
    for block in draw(stream, 8, window, seed=1):
        column = block.columns
        numbers = column["number"]
        seen += numbers.tolist()
        assert (column["image"] == numbers[:, None, None]).all()
        assert column["name"].decode().tolist() == [f"row {n}".encode() for n in numbers]
        parities = [(b"even", b"odd")[n % 2] for n in numbers]
        assert column["parity"].decode().tolist() == parities
        assert column["digits"].lengths.tolist() == [len(str(n)) for n in numbers]
        assert column["digits"].values.tolist() == [int(d) for n in numbers for d in str(n)]
        words = [f"w{n}".encode() for n in numbers for _ in range(n % 3)]
        assert column["words"].values.decode().tolist() == words
    assert sorted(seen) == list(range(3000))


def test_text_that_never_repeats_is_forgotten() -> None:
    sizes = []
    stream = (make_rows(start, start + 500) for start in range(0, 20_000, 500))
    for block in draw(stream, 100, 600, seed=1):
        name = block.columns["name"]
        assert isinstance(name, blocks.Strings)
        sizes.append(len(name.values))
    assert max(sizes) <= 2 * 600 + 500


def test_class_ids_keep_their_table() -> None:
    table = blocks.as_objects([str(i).encode() for i in range(3000)])
    ids = np.arange(3000, dtype=np.int32)[::-1]
    rows = blocks.Block(3000, {"label": blocks.Strings(ids, table, fixed=True)})
    stream = (rows[start : start + 10] for start in range(0, 3000, 10))
    seen = []
    for block in draw(stream, 16, 40, seed=0):
        label = block.columns["label"]
        assert isinstance(label, blocks.Strings) and label.values is table
        seen += label.codes.tolist()
    assert sorted(seen) == list(range(3000))


def test_an_empty_stream_gives_nothing() -> None:
    assert not list(draw(iter(()), 8, 16, seed=0))


@pytest.mark.parametrize("window", [8, 50, 500])
def test_the_first_block_may_be_shorter_and_changes_no_order(window: int) -> None:
    def draw(first: int) -> list[list[int]]:
        stream = (blocks.Block(10, {"x": np.arange(n, n + 10)}) for n in range(0, 210, 10))
        rng = np.random.default_rng(3)
        parts = shuffle_window.shuffle_window(stream, 8, window, 1 << 20, rng, first)
        return [block.columns["x"].tolist() for block in parts]  # type: ignore[union-attr]

    whole, shifted = draw(0), draw(3)
    assert sum(whole, []) == sum(shifted, [])
    assert len(whole[0]) == 8 and len(shifted[0]) == 3
    assert all(shifted)
