"""The one error of loading and running a SavedModel: a canonical code and a sentence.

The sentences are those of TensorFlow Serving, because programs match on them. This package knows no
transport; who serves a model turns the code into a gRPC or an HTTP status."""

import enum


class Code(enum.IntEnum):
    """Canonical codes with their published numbers (google/rpc/code.proto), which gRPC and TensorFlow share."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ServableError(Exception):
    """A model that cannot be loaded, or a request that it cannot answer.

    Attributes:
        code: what kind of failure it is.
        message: the sentence for the caller. Bytes of the caller's own that are not UTF-8 (an
            Example that does not parse is quoted by the runtime) are kept as surrogate escapes.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def invalid_argument(message: str) -> ServableError:
    """The commonest error: `INVALID_ARGUMENT` with `message`."""
    return ServableError(Code.INVALID_ARGUMENT, message)
