"""Steps over REST: HTTP/1.1 connections that are kept, for threads and for asyncio."""

import asyncio
from concurrent import futures
import contextlib
import gzip
import http.client
import socket
import ssl
import threading
import time
from typing import Any
import urllib.parse

import grpc

from serving_client import rest_messages
from serving_client import settings as settings_lib
from serving_client import steps

_PIECE_BYTES = 1 << 20
# Calls of one asyncio client that are under way at once; each holds a thread while it waits.
_ASYNC_CALLS = 64


class RestConnections:
    """Connections to the REST ports of the settings' addresses; as many as there are calls at once."""

    def __init__(self, settings: settings_lib.ClientSettings) -> None:
        """Opens nothing yet."""
        self._settings = settings
        self._servers = {address: urllib.parse.urlsplit(address) for address in settings.addresses}
        self._context = _tls_context(settings) if self._needs_tls() else None
        self._idle: dict[str, list[http.client.HTTPConnection]] = {
            address: [] for address in settings.addresses
        }
        self._busy: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()
        self._closed = False

    def send(self, step: steps.Send) -> Any:
        """Returns the answer to a step.

        Raises:
            grpc.RpcError: The server, or nobody, answered.
        """
        method, path, body = rest_messages.make_request(step)
        limit = self._settings.max_message_bytes
        if 0 <= limit < len(body):
            raise rest_messages.RestError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"Sent message larger than max ({len(body)} vs. {limit})",
            )
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if body and step.compression == "gzip":
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        headers |= {**self._settings.headers, **step.headers}  # type: ignore[dict-item]
        end = time.monotonic() + step.timeout_secs
        try:
            status, answer = self._exchange(step.address, method, path, body, headers, end)
        except TimeoutError as error:
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            if end - time.monotonic() > 0:  # it was the connection that took too long
                code = grpc.StatusCode.UNAVAILABLE
            raise rest_messages.RestError(code, str(error) or "timed out") from error
        except (OSError, http.client.HTTPException) as error:
            code = grpc.StatusCode.CANCELLED if self._closed else grpc.StatusCode.UNAVAILABLE
            raise rest_messages.RestError(code, f"{type(error).__name__}: {error}") from error
        return rest_messages.read_answer(step, status, answer)

    def close(self) -> None:
        """Ends the calls that are under way."""
        with self._lock:
            self._closed = True
            connections = [*self._busy, *(one for idle in self._idle.values() for one in idle)]
            for idle in self._idle.values():
                idle.clear()
        for connection in connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):  # the server was faster
                    connection.sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits
            connection.close()

    def _needs_tls(self) -> bool:
        """Says whether any address is encrypted."""
        return any(server.scheme == "https" for server in self._servers.values())

    def _exchange(
        self, address: str, method: str, path: str, body: bytes, headers: dict, end: float
    ) -> tuple[int, bytes]:
        """Returns status and body of an answer.

        A server may have closed a kept connection in the meantime; then a new one is made.
        """
        while True:
            connection, is_kept = self._take(address, end)
            try:
                connection.request(
                    method, self._servers[address].path.rstrip("/") + path, body or None, headers
                )
                response = connection.getresponse()
                answer = self._read(connection, response, end)
            except (ConnectionError, http.client.BadStatusLine):
                self._drop(connection)
                if not is_kept:
                    raise
            except BaseException:
                self._drop(connection)
                raise
            else:
                self._give_back(address, connection, response)
                return response.status, answer

    def _read(self, connection: http.client.HTTPConnection, response: Any, end: float) -> bytes:
        """Returns the body, in the time that is left."""
        limit = self._settings.max_message_bytes
        pieces, size = [], 0
        while piece := response.read1(_PIECE_BYTES):
            pieces.append(piece)
            size += len(piece)
            if 0 <= limit < size:
                raise rest_messages.RestError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"Received message larger than max ({size} vs. {limit})",
                )
            _set_timeout(connection, end)
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        response.close()  # read1 leaves that open, and with it the connection busy
        return b"".join(pieces)

    def _take(self, address: str, end: float) -> tuple[http.client.HTTPConnection, bool]:
        """Returns a connection, and whether it has been used before."""
        with self._lock:
            idle = self._idle[address]
            connection = idle.pop() if idle else None
            if connection is not None:
                self._busy.add(connection)
        if connection is not None:
            _set_timeout(connection, end)
            return connection, True
        server = self._servers[address]
        left_secs = min(end - time.monotonic(), self._settings.connect_timeout_secs)
        timeout_secs = max(left_secs, 0.001)
        if server.scheme == "https":
            assert self._context is not None
            connection = _HttpsConnection(
                server.hostname or "",
                server.port,
                timeout=timeout_secs,
                context=self._context,
                server_name=self._settings.tls.server_name if self._settings.tls else None,
            )
        else:
            connection = http.client.HTTPConnection(
                server.hostname or "", server.port, timeout=timeout_secs
            )
        connection.connect()
        _set_timeout(connection, end)
        with self._lock:
            if self._closed:
                connection.close()
                raise ConnectionAbortedError("the client has been closed")
            self._busy.add(connection)
        return connection, False

    def _give_back(
        self, address: str, connection: http.client.HTTPConnection, response: Any
    ) -> None:
        """Keeps a connection for the next call, if the server does."""
        with self._lock:
            self._busy.discard(connection)
            if not self._closed and not response.will_close and connection.sock is not None:
                self._idle[address].append(connection)
                return
        connection.close()

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        """Closes a connection that cannot be used again."""
        with self._lock:
            self._busy.discard(connection)
        connection.close()


class AsyncRestConnections:
    """The same for asyncio: each call waits in a thread of its own."""

    def __init__(self, settings: settings_lib.ClientSettings) -> None:
        """Opens nothing yet."""
        self._connections = RestConnections(settings)
        self._threads = futures.ThreadPoolExecutor(_ASYNC_CALLS, thread_name_prefix="rest-client")

    async def send(self, step: steps.Send) -> Any:
        """Returns the answer to a step; raises as RestConnections.send does."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._connections.send, step)

    async def close(self) -> None:
        """Ends the calls that are under way."""
        self._connections.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _HttpsConnection(http.client.HTTPSConnection):
    """An encrypted connection to a server whose certificate may have another name than its address."""

    def __init__(self, *args: Any, server_name: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._server_name = server_name or self.host

    def connect(self) -> None:
        """Connects, and checks the certificate."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(  # type: ignore[attr-defined]
            self.sock, server_hostname=self._server_name
        )


def _set_timeout(connection: http.client.HTTPConnection, end: float) -> None:
    """Lets the next read or write of a connection take what is left; in between there may be no socket."""
    if connection.sock is not None:
        connection.sock.settimeout(max(end - time.monotonic(), 0.001))


def _tls_context(settings: settings_lib.ClientSettings) -> ssl.SSLContext:
    """Returns what Python needs for the files of the settings."""
    tls = settings.tls or settings_lib.TlsSettings()
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
