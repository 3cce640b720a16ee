"""A relay of TCP connections that counts what callers send."""

import contextlib
import dataclasses
import socket
import socketserver
import threading
from typing import Iterator


@dataclasses.dataclass
class Relay:
    """A relay that runs.

    Attributes:
        address: Where it listens, `host:port`.
        sent_bytes: How many bytes callers have sent through it.
    """

    address: str
    sent_bytes: int = 0


@contextlib.contextmanager
def relay(to_address: str) -> Iterator[Relay]:
    """Passes everything on to an address, and its answers back."""
    host, _, port = to_address.rpartition(":")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, int(port))) as target:
                back = threading.Thread(target=_pass_on, args=(target, self.request), daemon=True)
                back.start()
                while data := self.request.recv(1 << 16):
                    running.sent_bytes += len(data)
                    target.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        running = Relay(f"127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield running
        finally:
            server.shutdown()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Sends what comes from source to target until either ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
