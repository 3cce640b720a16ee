"""A closed-loop load of one ready-made gRPC call, cheap enough to share two cores with the server that it measures.

    python -m benchmarks.grpc_load 127.0.0.1:8500 request.bin concurrency=64 secs=2 connections=4

gRPC's own Python client costs about as much per call as a server in Python: it would measure itself. This one speaks
the few frames of HTTP/2 that a unary call takes: HEADERS and DATA out, HEADERS, DATA and trailers in. Every answer
must have the bytes of the first one, else it counts as wrong; a call without an answer counts as failed.
"""

from __future__ import annotations

import base64
import pathlib
import selectors
import socket
import sys
import time
from typing import Any

from benchmarks import sides

_SIDE = "benchmarks.grpc_load"
PREDICT_PATH = "/tensorflow.serving.PredictionService/Predict"

# Frame types and flags: RFC 9113, section 6.
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_INITIAL_WINDOW_SIZE = 4
_LARGEST_WINDOW = 2**31 - 1
_DEFAULT_WINDOW = 65535
_FRAME_HEADER = 9
_LARGEST_FRAME = 16384
_WARM_UP_SECS = 0.5


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


def _literal(name: bytes, value: bytes) -> bytes:
    """A header that the receiver remembers (RFC 7541, section 6.2.1)."""
    return b"\x40" + bytes([len(name)]) + name + bytes([len(value)]) + value


class _Connection:
    """One HTTP/2 connection with several calls under way.

    Attributes:
        latencies: seconds of each call that ended since `begin`.
        first: the bytes of the first answer.
        failed: calls that ended without an answer.
        wrong: calls whose answer differs from the first one's.
    """

    def __init__(self, address: str, path: str, message: bytes) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.latencies: list[float] = []
        self.first: bytes | None = None
        self.failed = self.wrong = 0
        self.open: dict[int, list[Any]] = {}
        self._received = b""
        self._out: list[bytes] = []
        self._stream = -1
        self._send_window = _DEFAULT_WINDOW
        self._taken = 0
        names = ((b":path", path.encode()), (b":authority", address.encode()))
        headers = (
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
            (b"grpc-timeout", b"60S"),
        )
        # POST and http are of the static table; later calls name the others by their place (62 is the newest).
        self._first_block = b"\x83\x86" + b"".join(
            _literal(name, value) for name, value in names + headers
        )
        self._block = b"\x83\x86" + bytes([0x80 + 66 - place for place in range(5)])
        body = b"\x00" + len(message).to_bytes(4, "big") + message
        if len(body) > _LARGEST_FRAME:
            raise ValueError(f"Expected a message of one frame, found {len(message)} bytes.")
        self._body = body
        self._size = len(body)
        settings = _INITIAL_WINDOW_SIZE.to_bytes(2, "big") + _LARGEST_WINDOW.to_bytes(4, "big")
        self._out.append(_PREFACE + _frame(_SETTINGS, 0, 0, settings))
        self._widen(_LARGEST_WINDOW - _DEFAULT_WINDOW)

    def ask(self) -> None:
        """Makes one more call."""
        self._stream += 2
        block = self._first_block if self._stream == 1 else self._block
        self._out.append(_frame(_HEADERS, _END_HEADERS, self._stream, block))
        self._out.append(_frame(_DATA, _END_STREAM, self._stream, self._body))
        self._send_window -= self._size
        self.open[self._stream] = [time.perf_counter(), b""]

    def send(self) -> None:
        """Sends what is ready."""
        if self._out:
            self.socket.sendall(b"".join(self._out))
            self._out.clear()

    def receive(self) -> int:
        """Reads what is there; returns how many calls it ended."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        received = self._received + data
        place = ended = 0
        while len(received) - place >= _FRAME_HEADER:
            end = place + _FRAME_HEADER + int.from_bytes(received[place : place + 3], "big")
            if end > len(received):
                break
            ended += self._take(received, place, end)
            place = end
        self._received = received[place:]
        return ended

    def can_ask(self) -> bool:
        """Whether the server takes one more message now."""
        return self._send_window >= self._size

    def _take(self, received: bytes, place: int, end: int) -> int:
        """Takes one frame; returns 1 if it ends a call."""
        kind, flags = received[place + 3], received[place + 4]
        stream = int.from_bytes(received[place + 5 : place + 9], "big")
        if kind == _DATA:
            self.open[stream][1] += received[place + _FRAME_HEADER : end]
            self._taken += end - place
            if self._taken > 2**29:
                self._widen(self._taken)
                self._taken = 0
        elif kind == _HEADERS and flags & _END_STREAM or kind == _RST_STREAM:
            started, answer = self.open.pop(stream)
            self.latencies.append(time.perf_counter() - started)
            if not answer:
                self.failed += 1
            elif self.first is None:
                self.first = answer
            elif answer != self.first:
                self.wrong += 1
            return 1
        elif kind == _SETTINGS and not flags & _ACK:
            self._out.append(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._out.append(_frame(_PING, _ACK, 0, received[place + _FRAME_HEADER : end]))
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._send_window += int.from_bytes(received[place + _FRAME_HEADER : end], "big")
        elif kind == _GOAWAY:
            raise ConnectionError(f"the server went away: {received[place:end]!r}")
        return 0

    def _widen(self, size: int) -> None:
        self._out.append(_frame(_WINDOW_UPDATE, 0, 0, size.to_bytes(4, "big")))


def load(
    address: str, message: bytes, concurrency: int, secs: float, most_connections: int
) -> dict[str, Any]:
    """Calls again and again, `concurrency` at a time; returns the figures after a warm-up of half a second.

    Raises:
      ConnectionError: a connection broke.
    """
    connections = [
        _Connection(address, PREDICT_PATH, message)
        for _ in range(min(concurrency, most_connections))
    ]
    selector = selectors.DefaultSelector()
    for place, connection in enumerate(connections):
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        for _ in range(concurrency // len(connections) + (place < concurrency % len(connections))):
            connection.ask()
        connection.send()
    begin = time.perf_counter() + _WARM_UP_SECS
    warm = False
    while True:
        for key, _ in selector.select():
            connection = key.data
            due = connection.receive()
            while due:
                while not connection.can_ask():
                    connection.send()
                    due += connection.receive()
                connection.ask()
                due -= 1
            connection.send()
        now = time.perf_counter()
        if not warm and now >= begin:
            warm, begin = True, now
            processor = time.process_time()
            for connection in connections:
                connection.latencies.clear()
        if warm and now - begin >= secs:
            break
    processor = time.process_time() - processor
    latencies = sorted(secs for connection in connections for secs in connection.latencies)
    for connection in connections:
        connection.socket.close()
    first = connections[0].first or b""
    return {
        "QPS": len(latencies) / (now - begin),
        "p50 ms": latencies[len(latencies) // 2] * 1e3,
        "p99 ms": latencies[len(latencies) * 99 // 100] * 1e3,
        "failed": sum(connection.failed for connection in connections),
        "wrong": sum(connection.wrong for connection in connections)
        + sum(connection.first != connections[0].first for connection in connections),
        "answer": base64.b64encode(first[5:]).decode("ascii"),
        "load": processor / (now - begin),
    }


def measure(
    address: str, request: pathlib.Path, concurrency: int, secs: float, connections: int = 4
) -> dict[str, Any]:
    """Runs `load` with the message of a file in a process of its own; returns its figures."""
    options = [f"concurrency={concurrency}", f"secs={secs}", f"connections={connections}"]
    return sides.measure(_SIDE, [address, str(request), *options])


def main() -> None:
    """Prints the figures for `sides`."""
    address, request = sys.argv[1:3]
    options = dict(option.split("=") for option in sys.argv[3:])
    message = pathlib.Path(request).read_bytes()
    connections = int(options["connections"])
    concurrency, secs = int(options["concurrency"]), float(options["secs"])
    sides.report(load(address, message, concurrency, secs, connections))


if __name__ == "__main__":
    main()
