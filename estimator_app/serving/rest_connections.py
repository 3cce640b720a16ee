"""Connections of the REST port that do not wait for ever for their clients."""

import asyncio
import logging
import socket
import struct
from typing import Any

import h11
from uvicorn.protocols.http import h11_impl

# What is no HTTP is answered, not logged: a flood of it would fill the disk.
_quiet_logger = logging.getLogger(f"{__name__}.requests")
_quiet_logger.setLevel(logging.ERROR)


class PatientProtocol(h11_impl.H11Protocol):
    """HTTP/1.1 on one connection, closed when its client makes no headway.

    The client has `wait_secs` seconds each: to send the whole head of a request, counted from the connection's start
    or from the last answer; to send the next bytes of a body; to take the next bytes of an answer. While a model
    computes, nothing is counted.
    """

    def __init__(self, *args: Any, wait_secs: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _quiet_logger
        self._wait_secs = wait_secs
        self._since = 0.0  # when this part of the conversation began, or last moved
        self._unsent = 0  # bytes of an answer that the client had not taken at the last look
        self._look_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._look_after(self._wait_secs)

    def data_received(self, data: bytes) -> None:
        before = self.conn.their_state
        super().data_received(data)
        # Bytes of a body, or the end of a head; a head that drips in is no headway.
        if before is h11.SEND_BODY or self.conn.their_state is not before:
            self._since = self.loop.time()

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look_timer is not None:
            self._look_timer.cancel()
        super().connection_lost(exc)

    def _look_after(self, secs: float) -> None:
        self._look_timer = self.loop.call_later(secs, self._look)

    def _look(self) -> None:
        """Ends the connection if nothing has moved for long enough."""
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        self._unsent = unsent
        waited_secs = self.loop.time() - self._since
        if unsent:
            if unsent == before:
                self._reset()
                return
            self._look_after(self._wait_secs)
        elif self._computes():
            self._look_after(self._wait_secs)
        elif waited_secs < self._wait_secs:
            self._look_after(self._wait_secs - waited_secs)
        else:
            self.transport.abort()

    def _reset(self) -> None:
        """Ends the connection at once, with what the kernel still holds for the client."""
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _computes(self) -> bool:
        """Whether the whole request is there and its answer is not."""
        answering = self.conn.our_state in (h11.SEND_RESPONSE, h11.SEND_BODY)
        return answering and self.conn.their_state is not h11.SEND_BODY
