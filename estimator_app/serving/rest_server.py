"""The REST API on a port: a small ASGI application on uvicorn, in a thread of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent import futures
import logging
import math
import os
import socket
import ssl
import threading
from typing import Any
import zlib

import uvicorn

from estimator_app.serving import rest, rest_site
from export import errors

_logger = logging.getLogger(__name__)

_GZIP = 16 + zlib.MAX_WBITS


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
    ) -> None:
        """Begins to serve at once.

        Args:
            site: what answers.
            bound: a bound socket; it is closed in the end.
            grace_secs: how long calls under way may go on after `begin_stop`.
            num_threads: how many calls run at once; 0 for four per CPU.
            ssl_context: the port's TLS; None for plain HTTP.
        """
        bound.listen(1024)
        self.port: int = bound.getsockname()[1]
        self._socket = bound
        threads = num_threads or 4 * (os.cpu_count() or 1)
        self._pool = futures.ThreadPoolExecutor(threads, thread_name_prefix="rest-call")
        config = uvicorn.Config(
            application(site, self._pool),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=math.ceil(grace_secs),
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
    site: rest_site.RestSite, pool: futures.Executor
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
        body = await _read_body(receive)
        if body is None:
            return
        answer = await asyncio.get_running_loop().run_in_executor(
            pool, _answer, site, scope, headers, body
        )
        content = [
            (b"content-type", answer.content_type.encode("ascii")),
            (b"content-length", str(len(answer.body)).encode("ascii")),
            *((name.encode("ascii"), value.encode("ascii")) for name, value in answer.headers),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": content})
        await send({"type": "http.response.body", "body": answer.body})

    return app


async def _read_body(receive: Callable[[], Awaitable[Any]]) -> bytes | None:
    """The whole body, or None if the caller has gone."""
    chunks = []
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        chunks.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(chunks)


def _answer(
    site: rest_site.RestSite, scope: Any, headers: dict[str, str], body: bytes
) -> rest.Answer:
    path = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        path += "?" + scope["query_string"].decode("latin-1")
    try:
        if headers.get("content-encoding", "").lower() == "gzip":
            body = _unpack(body)
        return site.answer(scope["method"], path, headers, body)
    except errors.ServableError as error:
        return rest.error_answer(error)
    except Exception as error:
        _logger.exception("A REST call failed unexpectedly")
        text = f"{type(error).__name__}: {error}"
        return rest.error_answer(errors.ServableError(errors.Code.INTERNAL, text))


def _unpack(body: bytes) -> bytes:
    try:
        return zlib.decompress(body, _GZIP)
    except zlib.error as error:
        raise errors.invalid_argument("Failed to decompress the gzip request body") from error
