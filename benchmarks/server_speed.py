"""The server against what people use, all in one run, the sides in turn.

    python -m benchmarks.server_speed [calls] [images] [switch] [processes]

* calls: the premade DNNClassifier of TensorFlow's Iris tutorial (one input `x` of four numbers; layers of 10, 20, 10;
  three classes), one row a request, one of its outputs asked for, with a deadline: queries a second and latencies at
  concurrency 1, 8 and 64, against the usual Python server and an echo server on the same grpcio (see `model_servers`).
  The callers are one process, the same for all (`grpc_load`).
* images: a batch of 100 images of 28 x 28 to two convolutional networks (one of 6 ms a batch, and the six convolutions
  of `cnn_functional`): calls a second, one at a time, by a stub with a ready-made message, against `Session.run` on the
  same array in a process of its own.
* switch: ten new versions while four threads ask: how many calls failed, or had another answer than that of the version
  that they name.
* processes: queries a second with `--num_processes` of 1 and 2, over 32 connections.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from typing import Any, Iterator

from benchmarks import grpc_load, model_servers, sides

TURNS, SECS = 3, 2.0
CONCURRENCIES = (1, 8, 64)
IMAGES = (100, 28, 28)
NEW_VERSIONS = 10
# Of each convolution: its channels, its stride, and that of the pooling after it (1 for none).
_NETWORKS = {
    "small": ((32, 1, 2), (64, 1, 2)),
    "cnn_functional": (
        (32, 1, 1),
        (32, 2, 1),
        (64, 1, 1),
        (64, 2, 1),
        (64, 1, 1),
        (64, 1, 1),
    ),
}
_SIDE = "benchmarks.server_speed"
_SIGNATURE, _OUTPUT = "predict", "probabilities"
_DIRECT_CALLS = 150


def main() -> None:
    """Prints all figures with their targets."""
    wanted = sys.argv[1:] or ["calls", "images", "switch", "processes"]
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        if {"calls", "processes"} & set(wanted):
            sides.measure(_SIDE, ["side", "iris", str(base / "iris")])
        if "calls" in wanted:
            _calls(base)
        if "images" in wanted:
            _images(base)
        if "switch" in wanted:
            _switch(base)
        if "processes" in wanted:
            _processes(base)


# ------------------------------------------------------------------------------------------ calls


def _calls(base: pathlib.Path) -> None:
    sides.heading("one row a request to a tiny DNN")
    request = _iris_request(base)
    (model_dir,) = (base / "iris").iterdir()
    response = base / "response.bin"
    with contextlib.ExitStack() as stack:
        ours, _ = stack.enter_context(model_servers.started_ours(str(base / "iris")))
        addresses = {
            "ours": ours,
            "usual": stack.enter_context(model_servers.started("usual", str(model_dir))),
        }
        answers = {
            name: base64.b64decode(grpc_load.measure(address, request, 1, 0.1)["answer"])
            for name, address in addresses.items()
        }
        _check_same(answers)
        response.write_bytes(answers["ours"])
        addresses["echo"] = stack.enter_context(model_servers.started("echo", str(response)))
        for concurrency in CONCURRENCIES:
            _compare(addresses, request, concurrency)


def _compare(addresses: dict[str, str], request: pathlib.Path, concurrency: int) -> None:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in addresses}
    for _ in range(TURNS):
        for name, address in addresses.items():
            found[name].append(grpc_load.measure(address, request, concurrency, SECS))
    for name, figures in found.items():
        shown = "   ".join(
            f"{figure} {statistics.median(one[figure] for one in figures):8,.2f}"
            for figure in ("QPS", "p50 ms", "p99 ms")
        )
        bad = sum(one["failed"] + one["wrong"] for one in figures)
        busy = statistics.median(one["load"] for one in figures)
        print(
            f"   {concurrency:2} at a time  {name:<6} {shown}   {bad} bad, load {busy:.2f} cores",
            flush=True,
        )

    def column(name: str, figure: str) -> list[float]:
        return [one[figure] for one in found[name]]

    usual = sides.ratio(column("ours", "QPS"), column("usual", "QPS"))
    echo = sides.ratio(column("ours", "QPS"), column("echo", "QPS"))
    tail = sides.ratio(column("ours", "p99 ms"), column("usual", "p99 ms"))
    print(
        f"   ours / usual: {usual:.2f} (target: at least 3), p99 {tail:.2f} (below 1); "
        f"ours / echo: {echo:.2f} (at least 0.7)",
        flush=True,
    )


def _iris_request(base: pathlib.Path) -> pathlib.Path:
    import numpy as np

    from serving_client import wire

    request = wire.PredictRequest(output_filter=[_OUTPUT])
    request.model_spec.name = "model"
    request.model_spec.signature_name = _SIGNATURE
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[5.1, 3.3, 1.7, 0.5]])))
    path = base / "request.bin"
    path.write_bytes(request.SerializeToString())
    return path


def _check_same(answers: dict[str, bytes]) -> None:
    import numpy as np

    from serving_client import wire

    arrays = [
        wire.to_array(wire.PredictResponse.FromString(answer).outputs[_OUTPUT])
        for answer in answers.values()
    ]
    np.testing.assert_allclose(arrays[0], arrays[1], rtol=1e-5)
    assert arrays[0].shape == (1, 3)


# ----------------------------------------------------------------------------------------- images


def _images(base: pathlib.Path) -> None:
    for name in _NETWORKS:
        _compare_images(base, name)


def _compare_images(base: pathlib.Path, name: str) -> None:
    import numpy as np

    from serving_client import wire

    sides.heading(
        f"a batch of {IMAGES[0]} images of {IMAGES[1]} x {IMAGES[2]} to {name}, one at a time"
    )
    served = base / name
    sides.measure(_SIDE, ["side", "convolutions", str(served), name])
    request = wire.PredictRequest()
    request.model_spec.name = "model"
    request.inputs["images"].CopyFrom(wire.to_tensor_proto(np.full(IMAGES, 0.5, np.float32)))
    path = base / "images.bin"
    path.write_bytes(request.SerializeToString())
    with model_servers.started_ours(str(served)) as (address, _):
        found = sides.measure_in_turn(
            TURNS,
            {
                "ours": lambda: sides.measure(_SIDE, ["side", "stub", address, str(path)]),
                "session": lambda: sides.measure(_SIDE, ["side", "session", str(served / "1")]),
            },
            "QPS",
        )
    ratio = sides.ratio(found["ours"], found["session"])
    print(f"   ours / session: {ratio:.2f}   (target: at least 0.9)", flush=True)


def _stub_side(address: str, request_file: str) -> None:
    import grpc

    request = pathlib.Path(request_file).read_bytes()
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        for _ in range(_DIRECT_CALLS // 5):
            call(request, timeout=60)
        start = time.perf_counter()
        for _ in range(_DIRECT_CALLS):
            call(request, timeout=60)
        secs = time.perf_counter() - start
    sides.report({"QPS": _DIRECT_CALLS / secs})


def _session_side(model_dir: str) -> None:
    import numpy as np
    import tensorflow as tf

    images = np.full(IMAGES, 0.5, np.float32)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], model_dir)
        signature = meta_graph.signature_def["serving_default"]
        fetches = {name: tensor.name for name, tensor in signature.outputs.items()}
        feeds = {signature.inputs["images"].name: images}
        for _ in range(_DIRECT_CALLS // 5):
            session.run(fetches, feeds)
        start = time.perf_counter()
        for _ in range(_DIRECT_CALLS):
            session.run(fetches, feeds)
        secs = time.perf_counter() - start
    sides.report({"QPS": _DIRECT_CALLS / secs})


# ----------------------------------------------------------------------------------------- switch


def _switch(base: pathlib.Path) -> None:
    sides.heading(f"{NEW_VERSIONS} new versions while 4 threads ask")
    staged, served = base / "staged", base / "served"
    sides.measure(_SIDE, ["side", "versions", str(staged)])
    served.mkdir()
    (staged / "1").rename(served / "1")
    with model_servers.started_ours(str(served)) as (address, _):
        with _asking(address) as counts:
            for version in range(2, NEW_VERSIONS + 2):
                (staged / str(version)).rename(served / str(version))
                deadline = time.monotonic() + 30
                while not counts.get(version) and time.monotonic() < deadline:
                    time.sleep(0.05)
    answered = {version: count for version, count in counts.items() if isinstance(version, int)}
    print(f"   answered by version: {answered}")
    print(
        f"   {sum(answered.values()):,} calls, {counts.get('failed', 0)} failed, "
        f"{counts.get('wrong', 0)} wrong   (target: 0 and 0)",
        flush=True,
    )


@contextlib.contextmanager
def _asking(address: str) -> Iterator[dict[Any, int]]:
    """Four threads ask a model that multiplies by its version; gives how often each version answered."""
    import grpc
    import numpy as np

    from serving_client import wire

    counts: dict[Any, int] = {}
    lock, done = threading.Lock(), threading.Event()
    method = wire.METHODS["Predict"]

    def ask(call: Any, value: float) -> Any:
        request = wire.PredictRequest()
        request.model_spec.name = "model"
        request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([value])))
        try:
            response = call(request, timeout=30)
        except grpc.RpcError:
            return "failed"
        version = response.model_spec.version.value
        right = wire.to_array(response.outputs["y"]).tolist() == [value * version]
        return version if right else "wrong"

    def ask_on(number: int) -> None:
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary(
                method.path, method.request.SerializeToString, method.response.FromString
            )
            while not done.is_set():
                outcome = ask(call, float(number))
                with lock:
                    counts[outcome] = counts.get(outcome, 0) + 1

    threads = [threading.Thread(target=ask_on, args=[number]) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        done.set()
        for thread in threads:
            thread.join()


# -------------------------------------------------------------------------------------- processes


def _processes(base: pathlib.Path) -> None:
    sides.heading("one row a request to a tiny DNN, 64 at a time, by number of processes")
    request = _iris_request(base)
    with contextlib.ExitStack() as stack:
        addresses = {
            f"{count} processes": stack.enter_context(
                model_servers.started_ours(str(base / "iris"), f"--num_processes={count}")
            )[0]
            for count in (1, 2)
        }
        found = sides.measure_in_turn(
            TURNS,
            {
                name: functools.partial(grpc_load.measure, address, request, 64, SECS, 32)
                for name, address in addresses.items()
            },
            "QPS",
        )
    ratio = sides.ratio(found["2 processes"], found["1 processes"])
    print(f"   2 / 1: {ratio:.2f}   (the load takes a part of the two cores)", flush=True)


# ----------------------------------------------------------------------------------------- models


def _iris_side(base: str) -> None:
    """Trains for a moment and exports what the Iris tutorial has."""
    import numpy as np
    import tensorflow as tf

    from estimator_app.compat import estimator as tf_estimator

    rng = np.random.default_rng(0)
    flowers = rng.random((150, 4), np.float32)
    species = flowers.sum(axis=1).astype(np.int64) % 3

    def receiver() -> Any:
        features = {"x": tf.compat.v1.placeholder(tf.float32, [None, 4])}
        return tf_estimator.export.ServingInputReceiver(features, features)

    with tempfile.TemporaryDirectory() as model_dir:
        classifier = tf_estimator.DNNClassifier(
            [10, 20, 10],
            [tf.feature_column.numeric_column("x", shape=[4])],
            n_classes=3,
            model_dir=model_dir,
        )
        classifier.train(
            lambda: tf.data.Dataset.from_tensors(({"x": flowers}, species)).repeat(), max_steps=20
        )
        classifier.export_saved_model(base, receiver)
    sides.report({})


def _convolutions_side(base: str, name: str) -> None:
    """Writes a convolutional network without Keras."""
    import tensorflow as tf

    rng = tf.random.Generator.from_seed(0)

    class Network(tf.Module):
        """Convolutions of 3 x 3 with ReLU, the mean of each channel, and a dense layer."""

        def __init__(self) -> None:
            super().__init__()
            self.kernels, before = [], 1
            for channels, _, _ in _NETWORKS[name]:
                deviation = (2 / (9 * before)) ** 0.5
                self.kernels.append(tf.Variable(deviation * rng.normal([3, 3, before, channels])))
                before = channels
            self.dense = tf.Variable(rng.normal([before, 10]) / before**0.5)

        @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.float32, "images")])
        def __call__(self, images: Any) -> dict[str, Any]:
            hidden = images[..., tf.newaxis]
            for kernel, (_, stride, pool) in zip(self.kernels, _NETWORKS[name]):
                hidden = tf.nn.relu(tf.nn.conv2d(hidden, kernel, stride, "SAME"))
                if pool > 1:
                    hidden = tf.nn.max_pool2d(hidden, pool, pool, "SAME")
            return {"probabilities": tf.nn.softmax(tf.reduce_mean(hidden, [1, 2]) @ self.dense)}

    network = Network()
    tf.saved_model.save(network, f"{base}/1", signatures=network.__call__)
    sides.report({})


def _versions_side(base: str) -> None:
    """Writes the versions of a model that multiplies by its version."""
    import tensorflow as tf

    for version in range(1, NEW_VERSIONS + 2):
        module = tf.Module()
        module.factor = tf.Variable(float(version))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def times(x: Any, module: Any = module) -> dict[str, Any]:
            return {"y": x * module.factor}

        tf.saved_model.save(module, f"{base}/{version}", signatures=times)
    sides.report({})


_SIDES: dict[str, Any] = {
    "iris": _iris_side,
    "convolutions": _convolutions_side,
    "versions": _versions_side,
    "session": _session_side,
    "stub": _stub_side,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["side"]:
        _SIDES[sys.argv[2]](*sys.argv[3:])
    else:
        main()
