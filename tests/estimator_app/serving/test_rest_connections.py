"""When a connection of the REST port is cut off: real sockets and a real loop, whose time is ours."""

import asyncio
import socket

import pytest
import uvicorn
from uvicorn import server

from estimator_app.serving import rest_connections

_WAIT_SECS = 60.0


async def _read_all(scope, receive, send):
    while (await receive())["type"] != "http.disconnect":
        pass


class _Talk:
    """One connection to an application that reads the whole body and never answers."""

    def __init__(self):
        self._now = 0.0
        self._loop = asyncio.new_event_loop()
        self._loop.time = lambda: self._now
        self._client, accepted = socket.socketpair()
        self._client.setblocking(False)
        config = uvicorn.Config(_read_all, ws="none", lifespan="off", log_config=None)
        config.load()

        def protocol():
            return rest_connections.PatientProtocol(
                config=config,
                server_state=server.ServerState(),
                app_state={},
                _loop=self._loop,
                wait_secs=_WAIT_SECS,
            )

        self._loop.run_until_complete(self._loop.connect_accepted_socket(protocol, accepted))

    def send(self, now, data):
        self._go_to(now)
        self._client.sendall(data)
        self._go_to(now)

    def is_cut_off(self, now):
        self._go_to(now)
        try:
            return self._client.recv(1) == b""
        except BlockingIOError:
            return False

    def close(self):
        self._client.close()
        self._go_to(self._now)
        self._loop.close()

    def _go_to(self, now):
        self._now = now
        for _ in range(10):
            self._loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def talk():
    made = _Talk()
    yield made
    made.close()


_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n"


def test_whole_head_and_each_part_of_the_body_begin_the_time_anew(talk):
    talk.send(0, _HEAD)
    talk.send(59, b"\r\n1")
    assert not talk.is_cut_off(61)
    talk.send(118, b"2")
    assert not talk.is_cut_off(177)
    assert talk.is_cut_off(179)


def test_part_of_a_head_does_not(talk):
    talk.send(0, b"POST / HTTP/1.1\r\n")
    talk.send(59, b"Host: a\r\n")
    assert talk.is_cut_off(61)
