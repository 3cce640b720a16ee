"""Repeating calls, with a clock and a sleep of the test's own."""

import grpc

from serving_client import retry, rotation, steps


class Failure(grpc.RpcError):
    def __init__(
        self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, details: str = ""
    ) -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


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


def run(
    outcomes: list,
    timeout_secs: float = 60,
    retry_timeout_secs: float = 5,
    addresses: tuple = ("a",),
    per_sec: float = 10,
):
    """Returns (result or error, address and time left of each attempt, the clock)."""
    clock = Clock()
    sent = []

    def send(step):
        sent.append(step)
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    conversation = retry.attempts(
        lambda address, left_secs: (address, left_secs),
        rotation.Rotation(addresses, "round_robin", 1.0, clock),
        retry.Budget(per_sec, 0.0, clock),
        lambda: retry.waits(1.0, 4.0, uniform=lambda low, high: high),
        timeout_secs,
        retry_timeout_secs,
        clock=clock,
    )
    try:
        result = steps.run(conversation, send, clock.sleep)
    except grpc.RpcError as error:
        result = error
    return result, sent, clock


def test_first_success_is_the_result_and_later_attempts_have_less_time():
    result, sent, clock = run([Failure(), Failure(), "done"])
    assert result == "done"
    assert sent == [("a", 60), ("a", 59), ("a", 57)]
    assert clock.slept == [1, 2]


def test_budget_is_a_time_and_the_last_failure_comes_out():
    failures = [Failure() for _ in range(9)]
    result, sent, clock = run(list(failures), retry_timeout_secs=8)
    assert result is failures[3]
    assert clock.slept == [1, 2, 4]  # the next would end after 11 s


def test_no_budget_means_one_attempt():
    result, sent, clock = run([Failure(), "never"], retry_timeout_secs=0)
    assert isinstance(result, Failure)
    assert clock.slept == []


def test_timeout_bounds_the_budget():
    result, sent, clock = run([Failure(), Failure(), "never"], timeout_secs=2.5)
    assert isinstance(result, Failure)
    assert clock.slept == [1]


def test_only_unavailable_is_worth_repeating():
    repeated = [code for code in grpc.StatusCode if retry.is_retryable(Failure(code))]
    assert repeated == [grpc.StatusCode.UNAVAILABLE]
    result, sent, clock = run([Failure(grpc.StatusCode.RESOURCE_EXHAUSTED), "never"])
    assert isinstance(result, Failure)
    assert clock.slept == []


def test_overload_is_repeated_if_asked_but_a_large_message_is_not():
    full = Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "The batch scheduling queue is full")
    large = Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "Sent message larger than max (9 vs. 4)")
    assert retry.is_retryable(full, retry_overloaded=True)
    assert not retry.is_retryable(full)
    assert not retry.is_retryable(large, retry_overloaded=True)


def test_next_address_is_tried_at_once_and_the_wait_comes_when_all_have_failed():
    result, sent, clock = run([Failure(), Failure(), "done"], addresses=("a", "b"))
    assert result == "done"
    assert [address for address, _ in sent][:2] == ["a", "b"]
    assert clock.slept == [1]


def test_empty_budget_ends_the_repetitions():
    failures = [Failure() for _ in range(30)]
    result, sent, clock = run(list(failures), retry_timeout_secs=60, per_sec=0.2)
    # It begins with 2, and the waits of 3 s bring 0.6: not enough for a third.
    assert result is failures[2]
    assert clock.slept == [1, 2]


def test_budget_is_shared_by_all_calls_and_filled_by_time_and_by_calls():
    clock = Clock()
    budget = retry.Budget(1.0, 0.5, clock)
    assert [budget.take() for _ in range(61)] == [True] * 60 + [False]
    clock.sleep(1)
    assert [budget.take() for _ in range(2)] == [True, False]
    budget.add_call()
    budget.add_call()
    assert [budget.take() for _ in range(2)] == [True, False]


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
