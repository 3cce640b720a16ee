"""Unary gRPC calls answered by the threads that take them from gRPC's core.

gRPC's Python server gives each call a thread of a pool, which waits there for the message that another thread reads:
three switches of threads a call, under one lock of the interpreter. Here a thread takes the next event of a completion
queue, whatever call it is of, and does what is due, as gRPC's servers in C++ do. An echo server answers several times
as many calls a second this way (docs/benchmarks.md), and a caller that sends nothing keeps no thread.

    server = grpc.server(...)
    queue = call_queue.CallQueue(server, {"/tensorflow.serving.PredictionService/Predict": handler}, threads=8)
    server.start()
    queue.start()

Everything else goes through `server` as ever. The names of gRPC's that are used here are not public; they are the same
from 1.64 to 1.85, and `is_possible` says whether they are there. What cannot be answered here, `server` answers.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
import logging
import threading
import time
from typing import Any

import grpc

try:
    from grpc._cython import cygrpc
except ImportError:  # gRPC without Cython, of which nothing is known here
    cygrpc = None

_logger = logging.getLogger(__name__)

_NO_FLAGS = 0
# So many calls of a method gRPC's core hands over though all threads compute. At a stop, these are answered, and those
# beyond refused.
_REQUESTED = 100
# Threads that compute for longer get company; without such, it goes again after that many looks.
_LOOK_SECS = 0.002
_LOOKS_TO_KEEP = 50


def is_possible(server: grpc.Server) -> bool:
    """Whether gRPC has what a CallQueue needs of it."""
    core = getattr(getattr(server, "_state", None), "server", None)
    needed = ("register_completion_queue", "register_method", "request_registered_call")
    return cygrpc is not None and all(hasattr(core, name) for name in needed)


class CallQueue:
    """Answers the unary calls of some methods of a server."""

    def __init__(
        self, server: grpc.Server, handlers: Mapping[str, grpc.RpcMethodHandler], threads: int
    ) -> None:
        """Takes the methods; the server has not started.

        Args:
            server: whose ports the calls come from.
            handlers: full name of a method -> what answers it, with a serializer and a deserializer. Of a context, a
                behaviour has `time_remaining`, `is_active` and `abort`.
            threads: how many calls may compute at once.
        """
        self._core = server._state.server  # type: ignore[attr-defined]
        self._queue = cygrpc.CompletionQueue()
        self._core.register_completion_queue(self._queue)
        for method in handlers:
            self._core.register_method(method)
        self._handlers = handlers
        self._limit = threads
        self._lock = threading.Lock()
        self._computing = 0
        self._begun = 0
        self._ready: collections.deque[_Call] = collections.deque()
        # Calls that gRPC may hand over, and operations that it will tell the end of.
        self._open = 0
        self._stopping = False
        # Threads that take events or compute, and how many may; the others wait. More than one of them cost short calls
        # a third of their number: each keeps the interpreter's lock from the others.
        self._active = 0
        self._wanted = 1
        self._may_work = threading.Condition(self._lock)
        self._has_work = threading.Event()
        self._ended = threading.Event()

    def start(self) -> None:
        """Begins to answer; the server has started."""
        for method in self._handlers:
            for _ in range(_REQUESTED):
                self._request(method)
        # One more than may compute, so that one is always free to hear that a caller has gone.
        for number in range(self._limit + 1):
            name = f"grpc-call-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        threading.Thread(target=self._watch, name="grpc-calls-watch", daemon=True).start()

    def stop(self) -> None:
        """Lets the threads end with their calls; the server has been told to stop."""
        with self._lock:
            self._stopping = True
            self._end_if_done()

    def _work(self) -> None:
        while not self._ended.is_set():
            with self._may_work:
                while self._active >= self._wanted and not self._ended.is_set():
                    self._may_work.wait()
                self._active += 1
            self._take_events()

    def _take_events(self) -> None:
        """Does what is due, until others do enough."""
        while True:
            event = self._queue.poll()
            if event.completion_type == cygrpc.CompletionType.queue_shutdown:
                self._ended.set()
                self._has_work.set()  # so that the watch sees it
                with self._may_work:
                    self._may_work.notify_all()
                return
            try:
                event.tag(event)
            except Exception:  # our own mistake, of which the other calls must not die
                _logger.exception("A gRPC event failed unexpectedly")
            # An event holds its call, which ends when nobody holds it any more.
            event = None
            if self._active > self._wanted:
                with self._lock:
                    if self._active > self._wanted:
                        self._active -= 1
                        return

    def _watch(self) -> None:
        """Lets one more thread work when all that do compute for long, and one less when that was long ago."""
        begun_before = looks = 0
        while not self._ended.wait(_LOOK_SECS):
            with self._lock:
                stalled = self._computing >= self._active and self._begun == begun_before
                idle = not self._computing and self._begun == begun_before
                begun_before = self._begun
                looks = 0 if stalled else looks + 1
                if stalled and self._wanted <= self._limit:
                    self._wanted += 1
                    self._may_work.notify()
                elif looks >= _LOOKS_TO_KEEP and self._wanted > 1:
                    self._wanted -= 1
                    looks = 0
            if idle and self._wanted == 1:
                self._has_work.clear()
                # A call that begins after this look sets it again, and so does the end.
                if not self._computing and not self._ended.is_set():
                    self._has_work.wait()

    def _request(self, method: str) -> None:
        """Asks for one more call of a method."""

        def arrived(event: Any) -> None:
            if event.success:
                _Call(self, event, method, self._handlers[method])
                self._request(method)
            self.closed()

        self.opened()
        try:
            self._core.request_registered_call(self._queue, self._queue, method, arrived)
        except ValueError:  # the server takes no more calls
            self.closed()

    def opened(self) -> None:
        """Counts an operation that gRPC will tell the end of."""
        with self._lock:
            self._open += 1

    def closed(self) -> None:
        """Counts the end of one."""
        with self._lock:
            self._open -= 1
            self._end_if_done()

    def _end_if_done(self) -> None:
        # Nothing may begin on a queue that was shut down: gRPC would abort the process.
        if self._stopping and not self._open:
            self._queue.shutdown()

    def answer(self, call: _Call) -> None:
        """Answers a call here and now, and then those that wait; or lets it wait, if as many compute as may."""
        with self._lock:
            if self._computing >= self._limit:
                self._ready.append(call)
                return
            self._computing += 1
            self._begun += 1
        if not self._has_work.is_set():
            self._has_work.set()
        following: _Call | None = call
        while following is not None:
            following.answer()
            with self._lock:
                following = self._ready.popleft() if self._ready else None
                if following is None:
                    self._computing -= 1
                else:
                    self._begun += 1


class _Aborted(Exception):
    """Ends a behaviour whose call has its status."""


class _Call:
    """One call, and the context of its behaviour."""

    __slots__ = (
        "_queue",
        "_call",
        "_deadline",
        "_method",
        "_handler",
        "_request",
        "_gone",
        "_status",
    )

    def __init__(
        self, queue: CallQueue, event: Any, method: str, handler: grpc.RpcMethodHandler
    ) -> None:
        self._queue = queue
        self._call = event.call
        self._deadline = event.call_details.deadline
        self._method = method
        self._handler = handler
        self._request: bytes | None = None
        self._gone = False
        self._status: tuple[Any, bytes] = (cygrpc.StatusCode.ok, b"")
        self._begin((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self._on_message)
        self._begin((cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._on_close)

    def time_remaining(self) -> float:
        """Seconds left to the call."""
        return max(self._deadline - time.time(), 0)

    def is_active(self) -> bool:
        """Whether somebody waits for the answer."""
        return not self._gone

    def abort(self, code: grpc.StatusCode, details: bytes | str) -> None:
        """Ends the call with a status, by an exception."""
        encoded = details.encode() if isinstance(details, str) else details
        self._status = (code.value[0], encoded)
        raise _Aborted

    def answer(self) -> None:
        """Runs the behaviour and sends what it returns."""
        response = None
        try:
            request = self._handler.request_deserializer(self._request)
        except Exception:  # of protobuf, whose class is another in each of its versions
            self._status = (cygrpc.StatusCode.internal, b"Exception deserializing request!")
        else:
            self._request = None
            try:
                response = self._handler.response_serializer(
                    self._handler.unary_unary(request, self)
                )
            except _Aborted:
                pass
            except Exception as error:
                _logger.exception("A call failed unexpectedly")
                self._status = (
                    cygrpc.StatusCode.unknown,
                    f"Exception calling application: {error}".encode(),
                )
        self._send(response)

    def _send(self, response: bytes | None) -> None:
        if self._gone:
            return
        operations = [
            cygrpc.SendInitialMetadataOperation((), _NO_FLAGS),
            cygrpc.SendStatusFromServerOperation((), *self._status, _NO_FLAGS),
        ]
        if response is not None:
            operations.append(cygrpc.SendMessageOperation(response, _NO_FLAGS))
        self._begin(operations, self._on_sent)

    def _begin(self, operations: Any, tag: Any) -> None:
        self._queue.opened()
        self._call.start_server_batch(operations, tag)

    def _on_message(self, event: Any) -> None:
        self._request = event.batch_operations[0].message()
        event = None
        if self._request is not None:
            self._queue.answer(self)
        elif not self._gone:  # it ended without a message
            details = f'"{self._method}" requires exactly one request message.'
            self._status = (cygrpc.StatusCode.unimplemented, details.encode())
            self._send(None)
        self._queue.closed()

    def _on_close(self, event: Any) -> None:
        if event.batch_operations[0].cancelled():
            self._gone = True
        self._queue.closed()

    def _on_sent(self, event: Any) -> None:
        del event
        self._queue.closed()
