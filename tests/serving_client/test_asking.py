"""Asking: what is repeated, what is halved, and what becomes of rows that cannot be answered."""

import threading

import grpc
import pytest

from serving_client import asking, errors
from serving_client import rows as rows_lib

BATCH = [rows_lib.Row(number, {"x": number}, is_text=False) for number in range(1, 9)]
AWAY = errors.UnavailableError("nobody listens", code=grpc.StatusCode.UNAVAILABLE)
FULL = errors.OverloadedError("no room", code=grpc.StatusCode.RESOURCE_EXHAUSTED, details="full")
LARGE = errors.OverloadedError(
    "no",
    code=grpc.StatusCode.RESOURCE_EXHAUSTED,
    details="Received message larger than max (9 vs. 4)",
)
LATE = errors.DeadlineError("late", code=grpc.StatusCode.DEADLINE_EXCEEDED)
RELOADING = errors.NotFoundError("no such model", code=grpc.StatusCode.NOT_FOUND)
REFUSED = errors.RefusedError("bad row", code=grpc.StatusCode.INVALID_ARGUMENT)
BROKEN = errors.ServerError("kernel fell over", code=grpc.StatusCode.INTERNAL)
DENIED = errors.AccessError("go away", code=grpc.StatusCode.PERMISSION_DENIED)


class Waits(threading.Event):
    """Time that passes only in waits."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def wait(self, timeout=None):
        self.now += timeout
        return self.is_set()


class Server:
    """Answers with the double of x, after some errors; some rows it never answers."""

    def __init__(self, first=(), wrong=(), error=REFUSED, most=100):
        self.first, self.wrong, self.error, self.most = list(first), wrong, error, most
        self.asked = []

    def __call__(self, batch):
        numbers = [row.number for row in batch]
        self.asked.append(numbers)
        if self.first:
            raise self.first.pop(0)
        if len(batch) > self.most:
            raise LARGE
        if set(numbers) & set(self.wrong):
            raise self.error
        return [{"y": row.values["x"] * 2} for row in batch]


def outcomes(server, batch=(*BATCH,), *, lenient=False, retry_secs=60.0, waits=None, noted=None):
    """Returns the numbers that were answered, with their answers, and the reasons of the others."""
    waits = waits or Waits()
    asker = asking.Asker(
        server,
        lenient=lenient,
        retry_secs=retry_secs,
        on_wait=[].append if noted is None else noted.append,
        stopped=waits,
        clock=lambda: waits.now,
    )
    found = asker.outcomes(batch)
    assert [one.row for one in found] == list(batch)
    answered = {one.row.number: one.answer["y"] for one in found if one.answer is not None}
    return answered, {one.row.number: one.reason for one in found if one.reason}


ALL = {number: 2 * number for number in range(1, 9)}


@pytest.mark.parametrize("error", [AWAY, FULL, LATE, RELOADING])
def test_trouble_of_the_server_is_waited_for(error):
    noted = []
    server = Server([error] * 3)
    assert outcomes(server, noted=noted) == (ALL, {})
    assert (noted, server.asked) == ([error] * 3, [list(ALL)] * 4)


def test_waits_grow_and_end_with_the_last_error():
    waits, server = Waits(), Server([AWAY] * 1000)
    with pytest.raises(errors.UnavailableError):
        outcomes(server, lenient=True, waits=waits)
    assert 50 < waits.now <= 60
    assert len(server.asked) < 40


def test_nothing_is_repeated_without_time_or_after_the_end():
    for options in ({"retry_secs": 0.0}, {"waits": Waits()}):
        if "waits" in options:
            options["waits"].set()
        server = Server([AWAY])
        with pytest.raises(errors.UnavailableError):
            outcomes(server, **options)
        assert len(server.asked) == 1


@pytest.mark.parametrize("error", [REFUSED, BROKEN, errors.InputError("not a number")])
def test_rows_that_cannot_be_answered_are_found_by_halves(error):
    server = Server(wrong={2, 7}, error=error)
    answered, reasons = outcomes(server, lenient=True)
    assert reasons == {2: str(error), 7: str(error)}
    assert answered == {number: y for number, y in ALL.items() if number not in reasons}
    with pytest.raises(type(error)):
        outcomes(Server(wrong={2}, error=error))


def test_refusal_that_no_row_is_to_blame_for_is_an_error_in_any_case():
    server = Server([DENIED])
    with pytest.raises(errors.AccessError):
        outcomes(server, lenient=True)
    assert len(server.asked) == 1


def test_message_that_is_too_large_is_sent_in_parts():
    server = Server(most=2)
    assert outcomes(server) == (ALL, {})
    assert server.asked[-1] == [7, 8]
    with pytest.raises(errors.OverloadedError):
        outcomes(Server(most=0))
    assert outcomes(Server(most=0), lenient=True) == ({}, dict.fromkeys(ALL, "no"))


def test_rows_that_cannot_be_read_are_not_sent():
    bad = rows_lib.Row(9, {}, is_text=True, problem="a.csv, row 9: 1 values for 2 columns.")
    server = Server()
    assert outcomes(server, [bad, *BATCH], lenient=True) == (ALL, {9: bad.problem})
    assert server.asked == [list(ALL)]
    assert outcomes(Server(), [bad], lenient=True) == ({}, {9: bad.problem})
    with pytest.raises(errors.InputError) as caught:
        outcomes(Server(), [*BATCH, bad])
    assert str(caught.value) == bad.problem
