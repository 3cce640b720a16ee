"""Steps over REST: HTTP/1.1 connections that are kept, for threads and for asyncio."""

import asyncio
from concurrent import futures
import contextlib
import functools
import gzip
import http.client
import socket
import ssl
import threading
import time
from typing import Any, Mapping
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
        # With their sockets: a connection gives up its own as soon as an answer is to be the last.
        self._busy: dict[http.client.HTTPConnection, socket.socket] = {}
        self._lock = threading.Lock()
        self._closed = False

    def send(self, step: steps.Send) -> Any:
        """Returns the answer to a step.

        Raises:
            grpc.RpcError: The server, or nobody, answered.
        """
        return self.send_until(step, time.monotonic() + step.timeout_secs)

    def send_until(self, step: steps.Send, end: float) -> Any:
        """Returns the answer to a step whose time ends at `end` of time.monotonic; raises as `send` does."""
        method, path, body = rest_messages.make_request(step)
        limit = self._settings.max_message_bytes
        if 0 <= limit < len(body):
            raise rest_messages.RestError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"Sent message larger than max ({len(body)} vs. {limit})",
            )
        headers: settings_lib.Headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        if body and step.compression == "gzip":
            body = gzip.compress(body, compresslevel=1)
            headers = {**headers, "Content-Encoding": "gzip"}
        for more in (self._settings.headers, step.headers):
            headers = settings_lib.merge_headers(headers, more)
        try:
            status, answer = self._exchange(step.address, method, path, body, headers, end)
        except Exception as error:
            if self._closed:  # whatever that did to a call that was under way
                raise steps.ClosedError() from error
            if isinstance(error, TimeoutError):
                code, text = grpc.StatusCode.DEADLINE_EXCEEDED, str(error) or "timed out"
            elif isinstance(error, (OSError, http.client.HTTPException)):
                code, text = grpc.StatusCode.UNAVAILABLE, f"{type(error).__name__}: {error}"
            else:
                raise
            raise rest_messages.RestError(code, text) from error
        return rest_messages.read_answer(step, status, answer)

    def close(self) -> None:
        """Ends the calls that are under way."""
        with self._lock:
            self._closed = True
            for sock in self._busy.values():
                with contextlib.suppress(OSError):  # the server was faster
                    # Wakes the thread that waits, which then closes its connection. That of ssl's own
                    # sockets would take from it what it reads with.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
            for idle in self._idle.values():
                while idle:
                    idle.pop().close()

    def _needs_tls(self) -> bool:
        """Says whether any address is encrypted."""
        return any(server.scheme == "https" for server in self._servers.values())

    def _exchange(
        self, address: str, method: str, path: str, body: bytes, headers: Mapping, end: float
    ) -> tuple[int, bytes]:
        """Returns status and body of an answer.

        A kept connection that ends before the answer was most likely closed by the server while nobody used it; a new
        one is made then. The server may have taken the request all the same, so not if nothing is to be repeated.
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
                if not is_kept or not self._settings.retry_timeout_secs:
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
        left_secs = end - time.monotonic()
        if left_secs <= 0:
            raise TimeoutError("the time was over before the request was sent")
        with self._lock:
            if self._closed:
                raise steps.ClosedError()
            idle = self._idle[address]
            while idle:
                connection = idle.pop()
                if not _has_ended(connection):
                    self._busy[connection] = connection.sock
                    _set_timeout(connection, end)
                    return connection, True
                connection.close()
        connection = self._connect(address, min(left_secs, self._settings.connect_timeout_secs))
        with self._lock:
            if self._closed:
                connection.close()
                raise steps.ClosedError()
            self._busy[connection] = connection.sock
        _set_timeout(connection, end)
        return connection, False

    def _connect(self, address: str, timeout_secs: float) -> http.client.HTTPConnection:
        """Returns a new connection.

        Raises:
            RestError: That took too long: nobody has seen the request, so another address may be asked.
        """
        server = self._servers[address]
        connection: http.client.HTTPConnection
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
        try:
            connection.connect()
        except TimeoutError as error:
            connection.close()
            raise rest_messages.RestError(
                grpc.StatusCode.UNAVAILABLE, f"no connection within {timeout_secs:g} s"
            ) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(
        self, address: str, connection: http.client.HTTPConnection, response: Any
    ) -> None:
        """Keeps a connection for the next call, if the server does."""
        with self._lock:
            self._busy.pop(connection, None)
            if not self._closed and not response.will_close and connection.sock is not None:
                self._idle[address].append(connection)
                return
        connection.close()

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        """Closes a connection that cannot be used again."""
        with self._lock:
            self._busy.pop(connection, None)
        connection.close()


class AsyncRestConnections:
    """The same for asyncio: each call waits in a thread of its own."""

    def __init__(self, settings: settings_lib.ClientSettings) -> None:
        """Opens nothing yet."""
        self._connections = RestConnections(settings)
        self._threads = futures.ThreadPoolExecutor(_ASYNC_CALLS, thread_name_prefix="rest-client")

    async def send(self, step: steps.Send) -> Any:
        """Returns the answer to a step; raises as RestConnections.send does."""
        end = time.monotonic() + step.timeout_secs  # a wait for a thread counts
        send = functools.partial(self._connections.send_until, step, end)
        try:
            waiting = self._threads.submit(send)
        except RuntimeError as error:  # so threads refuse what comes after close
            raise steps.ClosedError() from error
        return await asyncio.wrap_future(waiting)

    async def close(self) -> None:
        """Ends the calls that are under way."""
        self._connections.close()
        self._threads.shutdown(wait=False)  # calls without a thread get one, and end at once


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


def _has_ended(connection: http.client.HTTPConnection) -> bool:
    """Says whether the server has closed a connection that is not in use, or sent what nobody asked for."""
    connection.sock.settimeout(0)
    try:
        socket.socket.recv(connection.sock, 1, socket.MSG_PEEK)  # ssl's own would not peek
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


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
