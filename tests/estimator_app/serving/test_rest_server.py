"""The port of the REST API: how many calls run at once."""

from concurrent import futures
import http.client
import threading

from estimator_app.serving import ports, rest, rest_server

_TIMEOUT_SECS = 30.0


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


def test_calls_run_in_as_many_threads_as_asked_for():
    pairs = _Pairs()
    bound = ports.bind("127.0.0.1", 0, "rest_api_port")
    server = rest_server.RestServer(pairs, bound, grace_secs=1.0, num_threads=2)

    def ask(_):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_TIMEOUT_SECS)
        connection.request("GET", "/v1/models/m")
        status = connection.getresponse().status
        connection.close()
        return status

    try:
        with futures.ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == [200] * 8
    finally:
        server.stop(0)
    assert pairs.most == 2
