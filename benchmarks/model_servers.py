"""The servers that `server_speed` compares, each run as a process of its own that prints its address.

    python -m benchmarks.model_servers usual MODEL_DIR
    python -m benchmarks.model_servers echo RESPONSE_FILE

* usual: what people write who serve a SavedModel from Python: `tf.saved_model.load`, a gRPC server with a thread pool,
  the official stubs, `tf.make_ndarray` and `tf.make_tensor_proto`.
* echo: the same gRPC server, which reads nothing and answers with ready-made bytes: the limit of Python's gRPC.
"""

from __future__ import annotations

from concurrent import futures
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any, Iterator

_SERVE = "estimator_app.serve_main"


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[str]:
    """Runs one of this module's servers; gives its address."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextlib.contextmanager
def started_ours(base_path: str, *flags: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Runs estimator-serve on a base path; gives its address and its process.

    Raises:
      RuntimeError: it ended before it served.
    """
    with started_with("--model_name=model", f"--model_base_path={base_path}", *flags) as served:
        yield served


@contextlib.contextmanager
def started_with(*flags: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Runs estimator-serve with these flags, on a free port; gives its address and its process.

    Raises:
      RuntimeError: it ended before it served.
    """
    with tempfile.TemporaryDirectory() as folder:
        port_file = pathlib.Path(folder) / "port.json"
        with subprocess.Popen(
            [sys.executable, "-m", _SERVE, "--port=0", f"--port_file={port_file}", *flags],
            stdout=subprocess.PIPE,
        ) as process:
            try:
                while not port_file.exists():
                    if process.poll() is not None:
                        raise RuntimeError(f"estimator-serve ended: {process.communicate()[0]!r}")
                    time.sleep(0.05)
                yield f"127.0.0.1:{json.loads(port_file.read_text())['port']}", process
            finally:
                process.kill()


def _usual(model_dir: str) -> None:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
        """Answers Predict from one model."""

        def __init__(self) -> None:
            self.model = tf.saved_model.load(model_dir)

        def Predict(self, request: Any, context: Any) -> Any:
            """Runs one signature."""
            name = request.model_spec.signature_name or "serving_default"
            inputs = {
                key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()
            }
            outputs = self.model.signatures[name](**inputs)
            response = predict_pb2.PredictResponse()
            response.model_spec.CopyFrom(request.model_spec)
            for key in request.output_filter or outputs:
                response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key].numpy()))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(), server)
    _run(server)


def _echo(response_file: str) -> None:
    import grpc

    response = pathlib.Path(response_file).read_bytes()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: response)
    service = "tensorflow.serving.PredictionService"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"Predict": handler}),)
    )
    _run(server)


def _run(server: Any) -> None:
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    {"usual": _usual, "echo": _echo}[sys.argv[1]](sys.argv[2])
