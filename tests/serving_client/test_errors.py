"""gRPC's errors as ours: class, sentence, and what each carries."""

import grpc
import pytest

from serving_client import errors

CODES = grpc.StatusCode


class Failure(grpc.RpcError):
    def __init__(self, code, details):
        self._code, self._details = code, details

    def code(self):
        return self._code

    def details(self):
        return self._details


@pytest.mark.parametrize(
    "code, cls",
    [
        (CODES.INVALID_ARGUMENT, errors.RefusedError),
        (CODES.FAILED_PRECONDITION, errors.RefusedError),
        (CODES.OUT_OF_RANGE, errors.RefusedError),
        (CODES.NOT_FOUND, errors.NotFoundError),
        (CODES.UNIMPLEMENTED, errors.UnsupportedError),
        (CODES.UNAUTHENTICATED, errors.AccessError),
        (CODES.PERMISSION_DENIED, errors.AccessError),
        (CODES.UNAVAILABLE, errors.UnavailableError),
        (CODES.DEADLINE_EXCEEDED, errors.DeadlineError),
        (CODES.RESOURCE_EXHAUSTED, errors.OverloadedError),
        (CODES.INTERNAL, errors.ServerError),
        (CODES.UNKNOWN, errors.ServerError),
    ],
)
def test_each_code_has_its_class_and_the_error_carries_the_call(code, cls):
    error = errors.from_rpc_error(Failure(code, "the reason."), "census", "host:8500", 2.5)
    assert type(error) is cls
    assert (error.model, error.address, error.timeout_secs) == ("census", "host:8500", 2.5)
    assert (error.code, error.details) == (code, "the reason.")
    assert "host:8500" in str(error)
    assert str(error).endswith(".") and not str(error).endswith("..")


def test_server_that_is_not_there_is_named_with_the_deadline_and_what_to_check():
    error = errors.from_rpc_error(Failure(CODES.UNAVAILABLE, "refused"), "m", "host:1", 30.0)
    assert str(error) == (
        "No server answers at host:1 (deadline 30 s): refused; check that it runs and that this is "
        "its gRPC port, not its REST port."
    )


def test_late_server_is_named_with_the_deadline():
    error = errors.from_rpc_error(Failure(CODES.DEADLINE_EXCEEDED, ""), "m", "host:1", 0.5)
    assert str(error) == (
        "The server at host:1 did not answer for model 'm' within the deadline of 0.5 s; check "
        "that it is not overloaded, or allow more time."
    )
    assert error.details == ""


def test_other_codes_are_named():
    error = errors.from_rpc_error(Failure(CODES.INTERNAL, None), "m", "host:1", 1)
    assert str(error) == (
        "The server at host:1 failed on the request for model 'm' (INTERNAL): no details given."
    )


def test_text_of_several_lines_becomes_one():
    failure = Failure(CODES.INVALID_ARGUMENT, "Matrix size\n\t [[{{node y}}]]")
    error = errors.from_rpc_error(failure, "m", "host:1", 1)
    assert str(error).endswith("for model 'm': Matrix size [[{{node y}}]].")
    assert error.details == "Matrix size\n\t [[{{node y}}]]"


def test_docstring_draws_the_whole_tree():
    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, errors.ClientError):
            assert cls.__name__ in errors.__doc__


def test_request_errors_and_server_errors_are_apart():
    assert issubclass(errors.InputError, errors.RequestError)
    assert issubclass(errors.UnavailableError, errors.ServerError)
    assert not issubclass(errors.RequestError, errors.ServerError)
