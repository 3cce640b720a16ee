from collections.abc import Iterator
import itertools
import threading

import pytest

from input_fns import interleave


def streams(*sizes: int) -> Iterator[Iterator[str]]:
    return (iter([f"{name}{i}" for i in range(size)]) for name, size in zip("abcdefg", sizes))


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_streams_are_read_in_turn_whatever_the_threads(threads: int) -> None:
    items = list(interleave.interleave(streams(2, 3, 0, 1, 2), 2, threads))
    assert items == ["a0", "b0", "a1", "b1", "d0", "b2", "e0", "e1"]


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("cycle", [1, 3, 9])
def test_nothing_is_lost(cycle: int, threads: int) -> None:
    sizes = (3, 0, 5, 1, 0, 0, 4)
    expected = sorted(itertools.chain.from_iterable(streams(*sizes)))
    assert sorted(interleave.interleave(streams(*sizes), cycle, threads)) == expected
    assert not list(interleave.interleave(streams(), cycle, threads))


def test_a_thread_reads_ahead() -> None:
    read = threading.Event()

    def stream() -> Iterator[int]:
        yield 1
        read.set()
        yield 2

    items = interleave.interleave(iter([stream()]), 1, 1)
    assert next(items) == 1
    assert read.wait(30)  # nobody has asked for the second yet
    assert list(items) == [2]


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_arrives_in_its_turn(threads: int) -> None:
    def broken() -> Iterator[str]:
        yield "x"
        raise ValueError("cut")

    items = interleave.interleave(iter([broken(), iter("ab")]), 2, threads)
    assert [next(items), next(items)] == ["x", "a"]
    with pytest.raises(ValueError, match="cut"):
        next(items)
