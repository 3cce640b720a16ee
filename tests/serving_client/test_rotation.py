"""Which address is asked next, with a clock of the test's own."""

import pytest

from serving_client import rotation as rotation_lib

ADDRESSES = ("a", "b", "c")


class Clock:
    """Time that passes only when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def picked(rotation, times):
    """Returns the next addresses."""
    return [rotation.pick() for _ in range(times)]


def test_addresses_are_asked_in_turn_or_the_first_always(clock):
    assert picked(rotation_lib.Rotation(ADDRESSES, clock=clock), 4) == ["a", "b", "c", "a"]
    assert picked(rotation_lib.Rotation(ADDRESSES, "pick_first", clock=clock), 2) == ["a", "a"]


@pytest.mark.parametrize(
    "balance, held, after", [("round_robin", "bbc", "abc"), ("pick_first", "bbb", "aaa")]
)
def test_failed_address_is_held_and_back_after_its_time(clock, balance, held, after):
    rotation = rotation_lib.Rotation(ADDRESSES, balance, hold_secs=2.0, clock=clock)
    rotation.failed("a")
    assert picked(rotation, 3) == list(held)
    clock.now += 1.5
    assert picked(rotation, 3) == list(held)
    clock.now += 0.5
    assert picked(rotation, 3) == list(after)


def test_held_address_is_asked_last(clock):
    rotation = rotation_lib.Rotation(ADDRESSES, "pick_first", clock=clock)
    rotation.failed("a")
    tried: list = []
    while (address := rotation.pick(tried)) is not None:
        tried.append(address)
    assert tried == ["b", "c", "a"]


def test_address_that_answers_is_no_longer_held(clock):
    rotation = rotation_lib.Rotation(ADDRESSES, "pick_first", clock=clock)
    rotation.failed("a")
    rotation.answered("a")
    assert rotation.pick() == "a"


def test_only_address_is_asked_though_it_failed(clock):
    rotation = rotation_lib.Rotation(("a",), clock=clock)
    rotation.failed("a")
    assert (rotation.pick(), rotation.pick(["a"])) == ("a", None)
