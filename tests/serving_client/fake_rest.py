"""An HTTP server with scripted answers, for what a REST port or a gateway before it may do."""

import contextlib
import dataclasses
import http.server
import ssl
import threading
from typing import Iterator, Optional


@dataclasses.dataclass
class Script:
    """What the server answers, and what it was asked.

    Attributes:
        answers: (status, body) of the next calls; the last one stays. Status 0 ends the connection instead.
        requests: (method, path, headers by name in lower case, body) in order.
        connections: How many connections were made.
        close_after: Whether the server closes a connection after each answer without saying so.
        closed: Counts the connections that the server has closed.
        barrier: Calls wait here, if it is given, before they are answered.
    """

    answers: list[tuple[int, bytes]]
    requests: list[tuple[str, str, dict[str, str], bytes]] = dataclasses.field(default_factory=list)
    connections: int = 0
    close_after: bool = False
    closed: threading.Semaphore = dataclasses.field(default_factory=lambda: threading.Semaphore(0))
    barrier: Optional[threading.Barrier] = None


@contextlib.contextmanager
def serve(script: Script, tls: Optional[ssl.SSLContext] = None) -> Iterator[str]:
    """Answers on a free port; gives the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            script.connections += 1

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): ", ".join(self.headers.get_all(name)) for name in self.headers}
            script.requests.append((self.command, self.path, headers, body))
            if script.barrier is not None:
                script.barrier.wait(30)
            status, answer = script.answers[0]
            if len(script.answers) > 1:
                script.answers.pop(0)
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            self.close_connection = script.close_after

        do_POST = do_GET

        def log_message(self, *unused) -> None:
            """Prints nothing."""

    class Server(http.server.ThreadingHTTPServer):
        def shutdown_request(self, request) -> None:
            super().shutdown_request(request)
            script.closed.release()

        def handle_error(self, *unused) -> None:
            """Prints nothing: callers go away as they like."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        scheme = "http" if tls is None else "https"
        try:
            yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
