"""Threads for gRPC calls, of which slow callers cannot take the last.

gRPC's server gives a call a thread as soon as its headers are there. A caller that sends nothing more, or opens a
stream and falls silent, keeps the thread; as many such callers as there are threads would stop the server.
"""

from collections.abc import Callable, Collection
from concurrent import futures
import functools
import threading
from typing import Any

import grpc

from estimator_app.serving import readable_requests

_LOOK_SECS = 0.2


class CallPool(futures.ThreadPoolExecutor):
    """Threads for as many calls as may compute at once, and more when all the others wait for their callers."""

    def __init__(self, computing: int, waiting: int = 1000) -> None:
        """Starts without threads.

        Args:
            computing: how many calls may compute at once.
            waiting: how many further threads calls may hold that do not. Once there, a thread stays, so that after
                an attack more calls than `computing` may compute.
        """
        super().__init__(computing, thread_name_prefix="grpc-call")
        self._computing_limit = computing
        self._most_threads = computing + waiting
        self._count_lock = threading.Lock()
        self._begun = 0
        self._ended = 0
        self._shut_down = threading.Event()
        threading.Thread(target=self._watch, name="grpc-calls", daemon=True).start()

    def computing(self, behavior: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """The behaviour of a call, counted as computing while it runs."""

        @functools.wraps(behavior)
        def counted(request: Any, context: grpc.ServicerContext) -> Any:
            with self._count_lock:
                self._begun += 1
            try:
                return behavior(request, context)
            finally:
                with self._count_lock:
                    self._ended += 1

        return counted

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._shut_down.set()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _watch(self) -> None:
        """Adds threads while calls wait for one and none of them gets to compute."""
        begun_before = -1
        while not self._shut_down.wait(_LOOK_SECS):
            with self._count_lock:
                begun, computing = self._begun, self._begun - self._ended
            stalled = self._work_queue.qsize() > 0 and begun == begun_before
            begun_before = begun
            if stalled and computing < self._computing_limit:
                threads = len(self._threads)
                missing = self._computing_limit - computing
                # ThreadPoolExecutor has no other way to grow; these names are the same from Python 3.8 to 3.14.
                self._max_workers = min(threads + missing, self._most_threads)
                for _ in range(self._max_workers - threads):
                    self._adjust_thread_count()


class CountedHandler(grpc.GenericRpcHandler):
    """A handler whose unary calls count as computing in a pool, but for those that mostly wait; it reads
    what is no message without harm."""

    def __init__(
        self, handler: grpc.GenericRpcHandler, pool: CallPool, waiting: Collection[str]
    ) -> None:
        """Answers what `handler` answers.

        Args:
            handler: what answers.
            pool: where its calls count.
            waiting: full names of the calls that do not.
        """
        self._handler = handler
        self._pool = pool
        self._waiting = waiting
        self._counted: dict[str, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method
        if method in self._counted:
            return self._counted[method]
        found = self._handler.service(handler_call_details)
        if found is None or found.unary_unary is None:
            return found
        behavior = found.unary_unary
        if method not in self._waiting:
            behavior = self._pool.computing(behavior)
        self._counted[method] = grpc.unary_unary_rpc_method_handler(
            readable_requests.answering(behavior),
            request_deserializer=readable_requests.reading(found.request_deserializer),
            response_serializer=found.response_serializer,
        )
        return self._counted[method]
