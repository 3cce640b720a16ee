"""The client alone: what its import costs, its codec, and a call, against what people use, each side in turn.

    python -m benchmarks.client_speed [import] [codec] [call] [first]

* import: time and memory of a process that does nothing but `import serving_client`, against `import grpc, numpy`.
* codec: 1,000,000 float32 to the bytes of a TensorProto with `float_val` and back, against element by element, and
  `tf.make_ndarray` for the way back.
* call: microseconds of `predict` (signature known), against a bare stub that sends the bytes of the same message, made
  beforehand, and does not read the bytes that come back, and against the official stubs with `tf.make_tensor_proto` and
  `tf.make_ndarray`: a row of 10 features of one value; a batch of 100 images of 28 x 28 in float32; a million float32
  both ways. The server answers with bytes made beforehand, so that only the callers differ.
* first: seconds from the start of the interpreter to the first answer, against the official stubs.
"""

from __future__ import annotations

from concurrent import futures
import contextlib
import statistics
import subprocess
import sys
import time
from typing import Any, Iterator

from benchmarks import sides

TURNS = 3
FLOATS = 1_000_000
FEATURES = [f"feature_{n}" for n in range(10)]
IMAGES = (100, 28, 28)
_CODEC_RUNS, _WARM_UP_CALLS = 20, 30
# Payload -> calls that are timed.
_CALLS = {"row": 3000, "images": 600, "floats": 60}
_SIDE = "benchmarks.client_speed"


def main() -> None:
    """Prints all figures with their targets."""
    wanted = sys.argv[1:] or ["import", "codec", "call", "first"]
    if "import" in wanted:
        sides.heading("import serving_client against import grpc, numpy")
        ours, bare = _measure("import", ["ours", "bare"], ["ms", "MiB"])
        print(f"   time: {sides.ratio(ours['ms'], bare['ms']):.2f} of it   (target: at most 1.5)")
        more = statistics.median(ours["MiB"]) - statistics.median(bare["MiB"])
        print(f"   memory: {more:+.1f} MiB   (target: at most +15)")
    if "codec" in wanted:
        sides.heading(f"{FLOATS:,} float32 to the bytes of float_val, and back")
        _measure("codec", ["ours", "elements", "official"], ["ms to write", "ms to read"])
    if "call" in wanted:
        _compare_calls()
    if "first" in wanted:
        sides.heading("start of the interpreter to the first answer")
        with _server() as address:
            ours, official = _measure("first", ["ours", "official"], ["ms"], arguments=[address])
        ratio = sides.ratio(official["ms"], ours["ms"])
        print(f"   official / ours: {ratio:.1f}   (target: at least 10)")


def _compare_calls() -> None:
    titles = {
        "row": f"one row of {len(FEATURES)} features",
        "images": f"a batch of {IMAGES[0]} images",
        "floats": f"{FLOATS:,} float32 both ways",
    }
    for payload, title in titles.items():
        sides.heading(f"{title}, one call after the other")
        with _server(payload) as address:
            ours, bare, official = _measure(
                "call", ["ours", "bare", "official"], ["us"], arguments=[address, payload]
            )
        stub = sides.ratio(ours["us"], bare["us"])
        wanted = "   (target: at most 1.1)" if payload == "row" else ""
        print(f"   ours / bare stub: {stub:.3f}{wanted}")
        print(
            f"   ours / official: {sides.ratio(ours['us'], official['us']):.3f}   (target: below 1)"
        )


def _measure(
    what: str, names: list[str], figures: list[str], arguments: list[str] | None = None
) -> list[dict[str, list[float]]]:
    """Runs the sides in turn; prints and returns their figures."""
    found: dict[str, dict[str, list[float]]] = {
        name: {figure: [] for figure in figures} for name in names
    }
    for _ in range(TURNS):
        for name in names:
            started = [repr(time.time())] if what == "first" else []
            side = sides.measure(_SIDE, ["side", what, name, *(arguments or []), *started])
            for figure in figures:
                found[name][figure].append(float(side[figure]))
    for name in names:
        medians = "   ".join(
            f"{statistics.median(found[name][figure]):10,.2f} {figure}" for figure in figures
        )
        print(f"   {name:<10} {medians}", flush=True)
    return [found[name] for name in names]


# ------------------------------------------------------------------------------------------ sides


def _import_side(name: str) -> None:
    # A process of its own without what this program needs; it prints its own figures.
    module = {"ours": "serving_client", "bare": "grpc, numpy"}[name]
    program = (
        f"import time; start = time.perf_counter(); import {module}; "
        "secs = time.perf_counter() - start; import resource; "
        "print(secs, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    secs, kib = printed.split()
    sides.report({"ms": float(secs) * 1000, "MiB": float(kib) / 1024})


def _codec_side(name: str) -> None:
    import numpy as np

    from serving_client import wire

    array = np.random.default_rng(0).random(FLOATS, np.float32)
    if name == "official":
        import tensorflow as tf

        message: Any = type(tf.make_tensor_proto(0.0))
    else:
        message = wire.TensorProto

    def write() -> bytes:
        if name == "ours":
            return wire.to_tensor_proto(array, as_content=False).SerializeToString()
        proto = message(dtype=1, float_val=array.tolist())
        proto.tensor_shape.dim.add().size = FLOATS
        return proto.SerializeToString()

    def read(data: bytes) -> Any:
        proto = message.FromString(data)
        if name == "ours":
            return wire.to_array(proto)
        if name == "official":
            return tf.make_ndarray(proto)
        return np.array(list(proto.float_val), np.float32)

    data = write()
    assert (read(data) == array).all()
    sides.report({"ms to write": _median_ms(write), "ms to read": _median_ms(lambda: read(data))})


def _median_ms(run: Any) -> float:
    """Returns the median of several runs, in milliseconds."""
    times = []
    for _ in range(_CODEC_RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _call_side(name: str, address: str, payload: str) -> None:
    with _asker(name, address, payload) as ask:
        for _ in range(_WARM_UP_CALLS):
            ask()
        start = time.perf_counter()
        for _ in range(_CALLS[payload]):
            ask()
        secs = time.perf_counter() - start
    sides.report({"us": secs / _CALLS[payload] * 1e6})


def _first_side(name: str, address: str, started: str) -> None:
    with _asker(name, address) as ask:
        ask()
        # Not of the process that started this one, which would wait for the end of the interpreter too.
        secs = time.time() - float(started)
    sides.report({"ms": secs * 1000})


@contextlib.contextmanager
def _asker(name: str, address: str, payload: str = "row") -> Iterator[Any]:
    """Gives a function that asks once."""
    row = _inputs(payload)
    if name == "ours":
        import serving_client

        with serving_client.PredictionClient(address, "model") as client:
            yield lambda: client.predict(row)
        return
    import grpc

    with grpc.insecure_channel(address) as channel:
        if name == "bare":
            from serving_client import wire

            method = wire.METHODS["Predict"]
            call = channel.unary_unary(method.path)  # bytes both ways
            request = _request(wire.PredictRequest, wire.to_tensor_proto, row).SerializeToString()
            yield lambda: call(request, timeout=60)
        else:
            import tensorflow as tf
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

            def ask() -> dict[str, Any]:
                request = _request(predict_pb2.PredictRequest, tf.make_tensor_proto, row)
                outputs = stub.Predict(request, timeout=60).outputs
                return {key: tf.make_ndarray(outputs[key]) for key in outputs}

            yield ask


def _inputs(payload: str) -> dict[str, Any]:
    """Returns what is sent: input name -> float32 array."""
    import numpy as np

    if payload == "row":
        return {feature: np.float32([0.5]) for feature in FEATURES}
    shape = IMAGES if payload == "images" else (FLOATS,)
    return {"x": np.random.default_rng(0).random(shape, np.float32)}


def _request(cls: Any, to_tensor: Any, row: dict[str, Any]) -> Any:
    """Returns a PredictRequest."""
    request = cls()
    request.model_spec.name = "model"
    for name, value in row.items():
        request.inputs[name].CopyFrom(to_tensor(value))
    return request


# ----------------------------------------------------------------------------------------- server


@contextlib.contextmanager
def _server(payload: str = "row") -> Iterator[str]:
    """Runs a server in a process of its own that answers with ready-made bytes; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", _SIDE, "serve", payload], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def _serve(payload: str) -> None:
    import grpc
    import numpy as np

    from serving_client import wire

    inputs = _inputs(payload)
    answer = inputs["x"] if payload == "floats" else np.float32([[0.25, 0.75]])
    probabilities = wire.to_tensor_proto(answer, as_content=False)
    predicted = wire.PredictResponse(outputs={"probabilities": probabilities})
    predicted.model_spec.version.value = 1
    described = wire.GetModelMetadataResponse()
    described.model_spec.version.value = 1
    info = wire.TensorInfo(dtype=wire.DATA_TYPES["DT_FLOAT"])
    for _ in next(iter(inputs.values())).shape:
        info.tensor_shape.dim.add().size = -1
    signature = wire.SignatureDef(inputs={name: info for name in inputs})
    wire.pack_signatures(described, {"serving_default": signature})
    answers = {
        "Predict": predicted.SerializeToString(),
        "GetModelMetadata": described.SerializeToString(),
    }

    def handler(answer: bytes) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)

    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.PredictionService",
                {name: handler(answer) for name, answer in answers.items()},
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


_SIDES = {
    "import": _import_side,
    "codec": _codec_side,
    "call": _call_side,
    "first": _first_side,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        _serve(sys.argv[2])
    elif sys.argv[1:2] == ["side"]:
        _SIDES[sys.argv[2]](*sys.argv[3:])
    else:
        main()
