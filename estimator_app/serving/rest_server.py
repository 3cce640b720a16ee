"""The REST API on a port: a small ASGI application on uvicorn, in a thread of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent import futures
import dataclasses
import functools
import logging
import math
import os
import socket
import ssl
import threading
from typing import Any
import zlib

import uvicorn

from estimator_app.serving import rest, rest_connections, rest_site
from export import errors

_logger = logging.getLogger(__name__)

_GZIP = 16 + zlib.MAX_WBITS
_TOO_LARGE = 413  # HTTP's own; TensorFlow's codes have no counterpart


class RestServer:
    """Serves a RestSite on a bound socket.

    Attributes:
        port: where it listens.
    """

    def __init__(
        self,
        site: rest_site.RestSite,
        bound: socket.socket,
        grace_secs: float,
        num_threads: int,
        ssl_context: ssl.SSLContext | None = None,
        *,
        max_body_bytes: int,
        client_timeout_secs: float,
    ) -> None:
        """Begins to serve at once.

        Args:
            site: what answers.
            bound: a bound socket; it is closed in the end.
            grace_secs: how long calls under way may go on after `begin_stop`.
            num_threads: how many calls run at once; 0 for four per CPU.
            ssl_context: the port's TLS; None for plain HTTP.
            max_body_bytes: how large a request's body may be, also once it is unpacked.
            client_timeout_secs: how long a client may make no headway; see
                rest_connections.PatientProtocol.
        """
        bound.listen(1024)
        self.port: int = bound.getsockname()[1]
        self._socket = bound
        threads = num_threads or 4 * (os.cpu_count() or 1)
        self._pool = futures.ThreadPoolExecutor(threads, thread_name_prefix="rest-call")
        config = uvicorn.Config(
            application(site, self._pool, max_body_bytes),
            loop="asyncio",
            # A class in uvicorn's eyes: it is only called.
            http=functools.partial(  # type: ignore[arg-type]
                rest_connections.PatientProtocol, wait_secs=client_timeout_secs
            ),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=math.ceil(grace_secs),
            timeout_keep_alive=math.ceil(client_timeout_secs),
        )
        config.load()
        # uvicorn makes a context from files; ours comes from texts.
        config.ssl = ssl_context
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [bound]}, name="rest", daemon=True
        )
        self._thread.start()

    def begin_stop(self) -> None:
        """Takes no more calls; those under way go on."""
        self._server.should_exit = True

    def stop(self, grace_secs: float) -> None:
        """Waits for the calls under way, up to `grace_secs`, and closes the port."""
        self.begin_stop()
        self._thread.join(grace_secs)
        self._server.force_exit = True
        self._thread.join()
        self._socket.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


def application(
    site: rest_site.RestSite, pool: futures.Executor, max_body_bytes: int
) -> Callable[
    [Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]:
    """The ASGI application; models run in the threads of `pool`."""

    async def app(
        scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            body = await _read_body(receive, headers, max_body_bytes)
        except _TooLarge as error:
            answer: rest.Answer | None = error.answer()
        else:
            call = functools.partial(_answer, site, scope, headers, max_body_bytes)
            answer = None if body is None else await _run(pool, receive, call, body)
        if answer is None:
            return
        content = [
            (b"content-type", answer.content_type.encode("ascii")),
            (b"content-length", str(len(answer.body)).encode("ascii")),
            *((name.encode("ascii"), value.encode("ascii")) for name, value in answer.headers),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": content})
        await send({"type": "http.response.body", "body": answer.body})

    return app


class _TooLarge(Exception):
    """A body is larger than it may be."""

    def __init__(self, found: str, max_bytes: int) -> None:
        super().__init__(
            f"Expected a request body of at most {max_bytes} bytes, found {found}. "
            "Send fewer rows a request, or raise --rest_api_max_body_bytes."
        )

    def answer(self) -> rest.Answer:
        error = errors.ServableError(errors.Code.INVALID_ARGUMENT, str(self))
        return dataclasses.replace(rest.error_answer(error), status=_TOO_LARGE)


async def _read_body(
    receive: Callable[[], Awaitable[Any]], headers: Mapping[str, str], max_bytes: int
) -> bytes | None:
    """The whole body, or None if the caller has gone.

    Raises:
        _TooLarge: it is larger than `max_bytes`, or says so; nothing more of it is kept.
    """
    announced = headers.get("content-length", "")
    # h11 has seen to it that these are digits, at most twenty of them.
    if announced and int(announced) > max_bytes:
        raise _TooLarge(announced, max_bytes)
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        body += event.get("body", b"")
        if len(body) > max_bytes:
            raise _TooLarge("more", max_bytes)
        if not event.get("more_body", False):
            return bytes(body)


async def _run(
    pool: futures.Executor,
    receive: Callable[[], Awaitable[Any]],
    call: Callable[[bytes], rest.Answer],
    body: bytes,
) -> rest.Answer | None:
    """What `call` makes of the body, in a thread of `pool`.

    A call whose caller goes away while it waits for a thread is not run; then it is None.
    """
    running = asyncio.get_running_loop().run_in_executor(pool, call, body)
    # Nothing more can come but the news that the caller has gone.
    gone = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
        return running.result() if running.done() else None
    finally:
        gone.cancel()
        running.cancel()


def _answer(
    site: rest_site.RestSite,
    scope: Any,
    headers: dict[str, str],
    max_body_bytes: int,
    body: bytes,
) -> rest.Answer:
    path = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        path += "?" + scope["query_string"].decode("latin-1")
    try:
        if headers.get("content-encoding", "").lower() == "gzip":
            body = _unpack(body, max_body_bytes)
        return site.answer(scope["method"], path, headers, body)
    except _TooLarge as error:
        return error.answer()
    except errors.ServableError as error:
        return rest.error_answer(error)
    except Exception as error:
        _logger.exception("A REST call failed unexpectedly")
        text = f"{type(error).__name__}: {error}"
        return rest.error_answer(errors.ServableError(errors.Code.INTERNAL, text))


def _unpack(body: bytes, max_bytes: int) -> bytes:
    """The content of a gzip body; no more of it than may be is ever unpacked."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        content = unpacker.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise errors.invalid_argument("Failed to decompress the gzip request body") from error
    if len(content) > max_bytes:
        raise _TooLarge("more once it is unpacked", max_bytes)
    if not unpacker.eof:
        raise errors.invalid_argument("Failed to decompress the gzip request body")
    return content
