"""Repeating calls, with a clock and a sleep of the test's own."""

import grpc

from serving_client import retry


class Failure(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, secs: float) -> None:
        self.slept.append(secs)
        self.now += secs


def run(outcomes: list, timeout_secs: float = 60, retry_timeout_secs: float = 5):
    """Returns (result or error, the time left to each attempt, the clock)."""
    clock = Clock()
    lefts = []

    def attempt(left_secs):
        lefts.append(left_secs)
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    pauses = retry.waits(1.0, 4.0, uniform=lambda low, high: high)
    try:
        result = retry.call(
            attempt, pauses, timeout_secs, retry_timeout_secs, clock=clock, sleep=clock.sleep
        )
    except grpc.RpcError as error:
        result = error
    return result, lefts, clock


def test_first_success_is_the_result_and_later_attempts_have_less_time():
    result, lefts, clock = run([Failure(), Failure(), "done"])
    assert result == "done"
    assert lefts == [60, 59, 57]
    assert clock.slept == [1, 2]


def test_budget_is_a_time_and_the_last_failure_comes_out():
    failures = [Failure() for _ in range(9)]
    result, lefts, clock = run(list(failures), retry_timeout_secs=8)
    assert result is failures[3]
    assert clock.slept == [1, 2, 4]  # the next would end after 11 s


def test_no_budget_means_one_attempt():
    result, lefts, clock = run([Failure(), "never"], retry_timeout_secs=0)
    assert isinstance(result, Failure)
    assert clock.slept == []


def test_timeout_bounds_the_budget():
    result, lefts, clock = run([Failure(), Failure(), "never"], timeout_secs=2.5)
    assert isinstance(result, Failure)
    assert clock.slept == [1]


def test_only_unavailable_is_worth_repeating():
    repeated = [code for code in grpc.StatusCode if retry.is_retryable(Failure(code))]
    assert repeated == [grpc.StatusCode.UNAVAILABLE]
    result, lefts, clock = run([Failure(grpc.StatusCode.RESOURCE_EXHAUSTED), "never"])
    assert isinstance(result, Failure)
    assert clock.slept == []


def test_waits_double_up_to_the_longest_and_are_spread_over_the_upper_half():
    asked: list[tuple[float, float]] = []

    def uniform(low, high):
        asked.append((low, high))
        return low

    pauses = retry.waits(0.1, 0.3, uniform)
    assert [next(pauses) for _ in range(3)] == [0.05, 0.1, 0.15]
    assert asked == [(0.05, 0.1), (0.1, 0.2), (0.15, 0.3)]


def test_default_spread_stays_within_its_bounds():
    pauses = retry.waits(0.1, 1.0)
    assert [0.05 * 2**n <= next(pauses) <= 0.1 * 2**n for n in range(3)] == [True] * 3
