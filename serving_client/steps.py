"""What a call is made of: sending to an address, and waiting; for either kind of client.

A conversation is a generator that yields steps, gets the answer of each, and returns the result:
it knows neither threads nor asyncio. `run` and `run_async` are the only loops over it.
"""

from typing import Any, Awaitable, Callable, Generator, NamedTuple, Optional, TypeVar, Union

import grpc

from serving_client import metadata
from serving_client import settings as settings_lib

Result = TypeVar("Result")


class Send(NamedTuple):
    """One request to one address; its answer is a message, or a grpc.RpcError.

    Attributes:
        address: One of the settings' addresses.
        method: Name of the call, a key of `wire.METHODS`.
        request: The message to send; over gRPC also its bytes.
        timeout_secs: What is left for it, in seconds.
        headers: To send with it, on top of the settings'.
        compression: Of the request; one of `settings.COMPRESSIONS`.
        signature: Of a Predict call, the signature that answers, if it is known.
    """

    address: str
    method: str
    request: Any
    timeout_secs: float
    headers: settings_lib.Headers
    compression: str
    signature: Optional[metadata.Signature]


class ClosedError(grpc.RpcError):
    """A call that the closing of its own client ended, or that came after it."""

    def code(self) -> grpc.StatusCode:
        """Returns CANCELLED."""
        return grpc.StatusCode.CANCELLED

    def details(self) -> str:
        """Returns why."""
        return "the client has been closed"


class Pause(NamedTuple):
    """Nothing for some seconds."""

    secs: float


Conversation = Generator[Union[Send, Pause], Any, Result]


def run(
    conversation: Conversation[Result],
    send: Callable[[Send], Any],
    sleep: Callable[[float], None],
) -> Result:
    """Returns the result of a conversation, in the calling thread.

    Args:
        conversation: What to do.
        send: Returns the answer to a request, or raises grpc.RpcError.
        sleep: Waits for some seconds.
    """
    try:
        step = next(conversation)
        while True:
            try:
                answer = None
                if isinstance(step, Pause):
                    sleep(step.secs)
                else:
                    answer = send(step)
            except grpc.RpcError as error:
                step = conversation.throw(error)
            else:
                step = conversation.send(answer)
    except StopIteration as end:
        return end.value


async def run_async(
    conversation: Conversation[Result],
    send: Callable[[Send], Awaitable[Any]],
    sleep: Callable[[float], Awaitable[None]],
) -> Result:
    """Returns the result of a conversation, in the running loop; the arguments are those of `run`."""
    try:
        step = next(conversation)
        while True:
            try:
                answer = None
                if isinstance(step, Pause):
                    await sleep(step.secs)
                else:
                    answer = await send(step)
            except grpc.RpcError as error:
                step = conversation.throw(error)
            else:
                step = conversation.send(answer)
    except StopIteration as end:
        return end.value
