"""What tools ask of a gRPC server before they know its API: is it healthy, what does it offer.

The health service is `grpc.health.v1`, under the names that the stock server reports (TF Serving:
server.cc); reflection is `grpc.reflection.v1alpha`, for grpcurl and its like.
"""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf import descriptor_pool
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from estimator_app.serving import profiler, readable_requests
from serving_client import wire

HEALTH_SERVICE = health.SERVICE_NAME
# The empty name, which stands for the server as a whole, is there from the start.
_HEALTH_NAMES = ("ModelService", "PredictionService")


class HealthService(health.HealthServicer):
    """`SERVING` from the start, until it is told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: set[Callable[[Any], None]] = set()
        for name in _HEALTH_NAMES:
            self.set(name, health_pb2.HealthCheckResponse.SERVING)

    def add_to(self, server: grpc.Server) -> None:
        """Lets the server answer with it."""
        health_pb2_grpc.add_HealthServicer_to_server(self, readable_requests.AddsReadable(server))

    def Watch(
        self,
        request: Any,
        context: grpc.ServicerContext,
        send_response_callback: Callable[[Any], None] | None = None,
    ) -> Any:
        """Tells the state and every change of it, until the caller or the server ends."""
        if send_response_callback is not None:
            send = send_response_callback
            self._watchers.add(send)
            context.add_callback(lambda: self._watchers.discard(send))
        return super().Watch(request, context, send_response_callback)

    def stop(self) -> None:
        """Reports `NOT_SERVING` from now on, and ends the calls of those who watch.

        They would last for as long as the server lets calls go on.
        """
        self.enter_graceful_shutdown()
        for send in list(self._watchers):
            send(None)


def add_reflection(server: grpc.Server, services: Iterable[str]) -> None:
    """Lets the server list these services and reflection itself, and describe them.

    Args:
        server: the server.
        services: full names, of TensorFlow Serving's, the profiler's and the health service.
    """
    pool = descriptor_pool.DescriptorPool()
    known: set[str] = set()
    files = [wire.POOL.FindServiceByName(name).file for name in wire.SERVICES]
    files.append(profiler.POOL.FindServiceByName(profiler.SERVICE).file)
    files += [health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR]
    for file in files:
        _add_file(pool, file, known)
    names = [*services, reflection.SERVICE_NAME]
    adds_readable = readable_requests.AddsReadable(server)
    reflection.enable_server_reflection(names, adds_readable, pool=pool)


def _add_file(pool: descriptor_pool.DescriptorPool, file: Any, known: set[str]) -> None:
    """Copies a file into the pool, after those that it imports."""
    if file.name in known:
        return
    known.add(file.name)
    for imported in file.dependencies:
        _add_file(pool, imported, known)
    pool.AddSerializedFile(file.serialized_pb)
