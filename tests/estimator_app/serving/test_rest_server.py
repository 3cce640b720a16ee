"""The port of the REST API: how many calls run at once, how large a body may be, how slow a client."""

from concurrent import futures
import contextlib
import gzip
import http.client
import select
import socket
import threading

import pytest

from estimator_app.serving import ports, rest, rest_server

_TIMEOUT_SECS = 30.0
_MAX_BODY_BYTES = 100_000
_CLIENT_TIMEOUT_SECS = 0.2
_LARGE = b"x" * 50_000_000  # more than a socket's buffers hold


class _Pairs:
    """Answers calls two by two, and remembers how many there were at most."""

    def __init__(self):
        self.most = 0
        self._running = 0
        self._lock = threading.Lock()
        self._pair = threading.Barrier(2)

    def answer(self, method, path, headers, body):
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self._pair.wait(_TIMEOUT_SECS)
        with self._lock:
            self._running -= 1
        return rest.Answer(200, b"{}")


class _Site:
    """Answers the size of the body, or a large body; holds calls to `/held` until it is told to go on."""

    def __init__(self):
        self.bodies = []
        self.holding = threading.Event()
        self.go_on = threading.Event()

    def answer(self, method, path, headers, body):
        self.bodies.append(body)
        if path == "/held":
            self.holding.set()
            assert self.go_on.wait(_TIMEOUT_SECS)
        return rest.Answer(200, _LARGE if path == "/large" else str(len(body)).encode())


@contextlib.contextmanager
def _serving(site, num_threads=2, client_timeout_secs=_CLIENT_TIMEOUT_SECS):
    server = rest_server.RestServer(
        site,
        ports.bind("127.0.0.1", 0, "rest_api_port"),
        grace_secs=1.0,
        num_threads=num_threads,
        max_body_bytes=_MAX_BODY_BYTES,
        client_timeout_secs=client_timeout_secs,
    )
    try:
        yield server
    finally:
        server.stop(0)


@pytest.fixture(scope="module")
def site():
    return _Site()


@pytest.fixture(scope="module")
def server(site):
    with _serving(site) as running:
        yield running


def _ask(server, path="/", body=b"", headers=None, chunked=False):
    """Gives status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_TIMEOUT_SECS)
    try:
        connection.request("POST", path, body, headers or {}, encode_chunked=chunked)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _connect(server):
    return socket.create_connection(("127.0.0.1", server.port), _TIMEOUT_SECS)


def _drained(connection):
    """What comes until the other end closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


def _too_large(found):
    return (
        f'{{\n    "error": "Expected a request body of at most {_MAX_BODY_BYTES} bytes, found {found}. '
        'Send fewer rows a request, or raise --rest_api_max_body_bytes."\n}'
    )


def test_calls_run_in_as_many_threads_as_asked_for():
    pairs = _Pairs()
    with _serving(pairs, client_timeout_secs=_TIMEOUT_SECS) as server:
        with futures.ThreadPoolExecutor(8) as pool:
            assert [status for status, _ in pool.map(lambda _: _ask(server), range(8))] == [200] * 8
    assert pairs.most == 2


def test_body_of_the_largest_size_is_read(server):
    assert _ask(server, body=b"x" * _MAX_BODY_BYTES) == (200, str(_MAX_BODY_BYTES))


def test_body_that_is_too_large_is_refused_by_what_it_says(server):
    size = _MAX_BODY_BYTES + 1
    assert _ask(server, body=b"x" * size) == (413, _too_large(str(size)))
    with _connect(server) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_body_in_pieces_that_is_too_large_is_refused_as_it_grows(server):
    pieces = (b"x" * 10_000 for _ in range(20))
    headers = {"Transfer-Encoding": "chunked"}
    assert _ask(server, body=pieces, headers=headers, chunked=True) == (413, _too_large("more"))


def test_body_that_unpacks_to_too_much_is_refused(server):
    packed = gzip.compress(bytes(50_000_000))
    assert len(packed) < _MAX_BODY_BYTES
    answer = _ask(server, body=packed, headers={"Content-Encoding": "gzip"})
    assert answer == (413, _too_large("more once it is unpacked"))


def test_body_whose_packing_ends_too_soon_is_refused(server):
    packed = gzip.compress(bytes(range(256)) * 100)
    status, text = _ask(server, body=packed[:-20], headers={"Content-Encoding": "gzip"})
    assert (status, "Failed to decompress the gzip request body" in text) == (400, True)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"POST / HT",
        b"POST / HTTP/1.1\r\nHost: a\r\nX-Slow:",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
    ],
    ids=["nothing", "request line", "header", "body", "chunk"],
)
def test_client_that_falls_silent_is_cut_off(server, start):
    with _connect(server) as connection:
        connection.sendall(start)
        assert _drained(connection) == b""


def test_client_that_drips_its_headers_is_cut_off(server):
    with _connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        watch = select.poll()
        watch.register(connection, select.POLLIN)
        drips = 0
        with contextlib.suppress(ConnectionError):
            # Each wait is shorter than the server's patience; the sum is not.
            while not watch.poll(1000 * _CLIENT_TIMEOUT_SECS / 4):
                connection.sendall(b"X: y\r\n")
                drips += 1
                assert drips < 1000
        assert _drained(connection) == b""


def test_connection_that_is_kept_is_cut_off_when_it_is_used_no_more(server):
    with _connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert _drained(connection).endswith(b"\r\n\r\n0")


def test_client_that_does_not_read_is_cut_off(server):
    with _connect(server) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        watch = select.poll()
        watch.register(connection, 0)  # errors and hang-ups alone
        assert watch.poll(1000 * _TIMEOUT_SECS)


def test_client_that_waits_for_its_answer_is_not_cut_off(server, site):
    with futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_ask, server, "/held")
        assert site.holding.wait(_TIMEOUT_SECS)
        with pytest.raises(futures.TimeoutError):
            answer.result(3 * _CLIENT_TIMEOUT_SECS)
        site.go_on.set()
        assert answer.result() == (200, "0")


def test_call_whose_caller_has_gone_is_not_run():
    site = _Site()
    with _serving(site, num_threads=1, client_timeout_secs=_TIMEOUT_SECS) as server:
        with futures.ThreadPoolExecutor(1) as pool:
            held = pool.submit(_ask, server, "/held", b"held")
            assert site.holding.wait(_TIMEOUT_SECS)
            with _connect(server) as connection:
                connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ngone")
            # The news has come by the time that later requests are refused, which needs no thread.
            for _ in range(5):
                assert _ask(server, body=b"x" * (_MAX_BODY_BYTES + 1))[0] == 413
            site.go_on.set()
            assert held.result()[0] == 200
        assert _ask(server, body=b"last") == (200, "4")
    assert site.bodies == [b"held", b"last"]
