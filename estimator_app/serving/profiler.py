"""TensorFlow's profiler on the gRPC port: what `tf.profiler.experimental.client.trace` calls.

The stock server registers TensorFlow's own service. Python cannot, and TensorFlow's other way, a
profiler server on a second port, would listen on all addresses without TLS; so the calls are
answered here with TensorFlow's profiler of this process (TensorFlow: profiler_service_impl.cc,
profiler_service.proto).
"""

import pathlib
import tempfile
import threading
from typing import Any

import grpc
import tensorflow as tf

from estimator_app.serving import own_messages, status
from export import errors

SERVICE = "tensorflow.ProfilerService"

# message -> its fields that are read or written here.
_FIELDS: dict[str, tuple[own_messages.Field, ...]] = {
    "ProfileOptions": (
        ("host_tracer_level", 2, own_messages.UINT32),
        ("device_tracer_level", 3, own_messages.UINT32),
        ("python_tracer_level", 4, own_messages.UINT32),
        ("version", 5, own_messages.UINT32),
    ),
    "ProfileRequest": (
        ("duration_ms", 1, own_messages.UINT64),
        ("opts", 4, "ProfileOptions"),
        ("repository_root", 5, own_messages.STRING),
        ("session_id", 6, own_messages.STRING),
        ("host_name", 7, own_messages.STRING),
        ("emit_xspace", 9, own_messages.BOOL),
    ),
    # A message field and a bytes field look alike on the wire; nothing here looks into an XSpace.
    "ProfileResponse": (("empty_trace", 7, own_messages.BOOL), ("xspace", 8, own_messages.BYTES)),
    "TerminateRequest": (("session_id", 1, own_messages.STRING),),
    "TerminateResponse": (),
}
_CALLS = ("Profile", "Terminate")
_ANOTHER = "Another profiler session is active."


POOL = own_messages.make_pool(
    "estimator_app/serving/profiler.proto", "tensorflow", _FIELDS, "ProfilerService", _CALLS
)


def _message_class(name: str) -> Any:
    return own_messages.message_class(POOL, f"tensorflow.{name}")


ProfileRequest = _message_class("ProfileRequest")
ProfileResponse = _message_class("ProfileResponse")
TerminateRequest = _message_class("TerminateRequest")
TerminateResponse = _message_class("TerminateResponse")


def generic_handler() -> grpc.GenericRpcHandler:
    """What a gRPC server needs in order to be profiled."""
    service = ProfilerService()
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "Profile": grpc.unary_unary_rpc_method_handler(
                status.guarded(service.profile),
                request_deserializer=ProfileRequest.FromString,
                response_serializer=ProfileResponse.SerializeToString,
            ),
            "Terminate": grpc.unary_unary_rpc_method_handler(
                status.guarded(service.terminate),
                request_deserializer=TerminateRequest.FromString,
                response_serializer=TerminateResponse.SerializeToString,
            ),
        },
    )


class ProfilerService:
    """Profiles this process, once at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Session -> set to end it early.
        self._ends: dict[str, threading.Event] = {}

    def profile(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Profiles for `duration_ms`, or until the session is terminated or the caller has gone.

        The profile is the answer if `emit_xspace` is set. Otherwise it is written to
        `<repository_root>/<session_id>/<host_name>.xplane.pb`.

        Raises:
            errors.ServableError: the profile has no place, or another one is being taken.
        """
        _check_place(request)
        end = threading.Event()
        with self._lock:
            if self._ends:
                raise errors.ServableError(errors.Code.INTERNAL, _ANOTHER)
            self._ends[request.session_id] = end
        try:
            # Also called at once if the caller has gone by now.
            if not context.add_callback(end.set):
                end.set()
            data = _take(request, end)
        finally:
            with self._lock:
                del self._ends[request.session_id]
        if not context.is_active():
            raise errors.ServableError(errors.Code.CANCELLED, "The caller has gone.")
        response = ProfileResponse(empty_trace=not data)
        if request.emit_xspace:
            response.xspace = data
        elif data:
            folder = f"{request.repository_root}/{request.session_id}"
            tf.io.gfile.makedirs(folder)
            name = request.host_name.replace(":", "_")
            with tf.io.gfile.GFile(f"{folder}/{name}.xplane.pb", "wb") as file:
                file.write(data)
        return response

    def terminate(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Ends a session early; its Profile then answers with what there is."""
        del context  # Takes no time.
        with self._lock:
            if request.session_id in self._ends:
                self._ends[request.session_id].set()
        return TerminateResponse()


def _check_place(request: Any) -> None:
    """Demands a place for a profile that is to be written: a root, and names that stay in it."""
    if request.emit_xspace:
        return
    if not request.repository_root:
        raise errors.invalid_argument(
            "Expected repository_root to be a directory, found ''. Set it, or emit_xspace."
        )
    for field in ("session_id", "host_name"):
        name = getattr(request, field)
        if name in ("", ".", "..") or "/" in name:
            raise errors.invalid_argument(
                f"Expected {field} to be a name without '/', found {name!r}. Choose another one."
            )


def _take(request: Any, end: threading.Event) -> bytes:
    """Returns the serialized XSpace of a profile that lasts until `end`, at most `duration_ms`."""
    options = tf.profiler.experimental.ProfilerOptions()
    if request.opts.version:
        # Only then the levels were chosen; otherwise they are zeros that mean nothing.
        options = tf.profiler.experimental.ProfilerOptions(
            host_tracer_level=request.opts.host_tracer_level,
            device_tracer_level=request.opts.device_tracer_level,
            python_tracer_level=request.opts.python_tracer_level,
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            tf.profiler.experimental.start(folder, options)
        except tf.errors.AlreadyExistsError as error:
            raise errors.ServableError(errors.Code.INTERNAL, _ANOTHER) from error
        try:
            end.wait(request.duration_ms / 1e3)
        finally:
            tf.profiler.experimental.stop()
        return b"".join(path.read_bytes() for path in pathlib.Path(folder).rglob("*.xplane.pb"))
