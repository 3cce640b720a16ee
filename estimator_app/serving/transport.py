"""The gRPC end of the server: its port, its Unix socket, and how they speak."""

from collections.abc import Sequence
import os
import socket
import stat
from typing import Any, NamedTuple

import grpc

from estimator_app.serving import call_pool, call_queue, credentials, ports, profiler
from estimator_app.serving import settings as serving_settings
from export import errors
from serving_client import wire

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    # As large as the wire allows, in both directions (TF Serving: server.cc).
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.max_send_message_length", -1),
)
# These wait for a model or for a time, not for a processor.
_WAITING = frozenset(
    {wire.METHODS["HandleReloadConfigRequest"].path, f"/{profiler.SERVICE}/Profile"}
)


class _CallDetails(NamedTuple):
    """What a handler is asked for."""

    method: str
    invocation_metadata: Sequence[Any] = ()


class GrpcListener:
    """A gRPC server that listens where the settings say.

    Attributes:
        server: the server itself; services are added to it before `start`.
        port: the TCP port, None if there is only the socket.
        addresses: what clients connect to, such as `127.0.0.1:8500` and `unix:/run/census.sock`.
    """

    def __init__(
        self,
        settings: serving_settings.ServerSettings,
        handlers: Sequence[grpc.GenericRpcHandler],
        tls: credentials.Tls | None,
    ) -> None:
        """Takes the port and the socket; `start` begins to answer.

        Raises:
            errors.ServableError: one of them cannot be had.
        """
        threads = settings.grpc_max_threads or 4 * (os.cpu_count() or 1)
        self._pool = call_pool.CallPool(threads)
        # Two servers on one port would share the calls at random; the second one must be refused.
        shared = [("grpc.so_reuseport", int(settings.reuse_port))]
        # Of an argument that is there twice gRPC would take the first.
        options = dict([*_OPTIONS, *shared, *settings.channel_arguments()])
        counted = [call_pool.CountedHandler(each, self._pool, _WAITING) for each in handlers]
        self.server = grpc.server(self._pool, handlers=counted, options=list(options.items()))
        # Before the port: once it is taken, what follows may not fail.
        self._queue: call_queue.CallQueue | None = None
        if call_queue.is_possible(self.server):
            self._queue = call_queue.CallQueue(self.server, _computing(handlers), threads)
        self._tls = tls
        self.port: int | None = None
        self.addresses: list[str] = []
        if settings.listens_on_tcp:
            unusable = ports.unusable(settings.host, settings.port, "port")
            self.port = self._add(ports.address(settings.host, settings.port), unusable)
            self.addresses.append(ports.address(settings.host, self.port))
        if settings.grpc_socket_path:
            address = f"unix:{settings.grpc_socket_path}"
            claim_socket(settings.grpc_socket_path)
            self._add(address, _unusable_socket(settings.grpc_socket_path, "it in use"))
            self.addresses.append(address)

    def start(self) -> None:
        """Begins to answer."""
        self.server.start()
        if self._queue is not None:
            self._queue.start()

    def stop(self, grace_secs: float) -> None:
        """Takes no more calls, waits for those under way, and cancels what is left after that."""
        self.server.stop(grace_secs).wait()
        if self._queue is not None:
            self._queue.stop()
        self._pool.shutdown(wait=False)

    def _add(self, address: str, unusable: errors.ServableError) -> int:
        try:
            if self._tls is None:
                port = self.server.add_insecure_port(address)
            else:
                port = self.server.add_secure_port(address, self._tls.grpc_credentials())
        except RuntimeError as error:
            raise unusable from error
        if port == 0:
            raise unusable
        return port


def _computing(handlers: Sequence[grpc.GenericRpcHandler]) -> dict[str, grpc.RpcMethodHandler]:
    """Full name of a call -> what answers it, of the calls that compute."""
    found = {}
    for method in wire.METHODS.values():
        for each in handlers:
            handler = each.service(_CallDetails(method.path))
            if handler is not None and method.path not in _WAITING:
                found[method.path] = handler
    return found


def claim_socket(path: str) -> None:
    """Makes sure that a Unix socket can be made at `path`; what a dead server left is removed.

    Raises:
        errors.ServableError: another server answers there, or the path serves for no socket.
    """
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(path)
    except FileNotFoundError:
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise _unusable_socket(path, f"no directory {folder}") from None
    except ConnectionRefusedError as error:
        # Nobody listens; a plain file refuses in the same way.
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise _unusable_socket(path, "a file that is no socket") from error
        os.remove(path)
    except OSError as error:
        raise _unusable_socket(path, error.strerror or str(error)) from error
    else:
        raise _unusable_socket(path, "it in use")
    finally:
        probe.close()


def _unusable_socket(path: str, found: str) -> errors.ServableError:
    return errors.ServableError(
        errors.Code.UNAVAILABLE,
        f"Expected {path} to be free for a Unix socket, found {found}. "
        "Stop the program that uses it, or choose another --grpc_socket_path.",
    )
