"""What batching gives: calls of one row, 64 at a time, with and without, the sides in turn.

    python -m benchmarks.batching_speed [server] [ops]

* server: queries a second of estimator-serve with `--enable_batching` and without, for a tiny model (layers of 16) and
  a wide one (layers of 2048, whose weights alone take longer to read than a call costs).
* ops: runs a second of a session in 64 threads of one process: alone, with our queue before it, and with TensorFlow's
  own batch operations in its graph.

Weights are powers of two, so that answers have the same bits in batches of any size.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import sys
import tempfile
import threading
import time
from typing import Any, Callable

from benchmarks import grpc_load, model_servers, sides

TURNS, SECS = 3, 2.0
CONCURRENCY = 64
WIDTHS = {"tiny": 16, "wide": 2048}
_LAYERS = 3
_SIDE = "benchmarks.batching_speed"
_PARAMETERS = {"max_batch_size": 64, "max_enqueued_batches": 100, "num_batch_threads": 2}


def main() -> None:
    """Prints all figures."""
    wanted = sys.argv[1:] or ["server", "ops"]
    for name, width in WIDTHS.items():
        if "server" in wanted:
            _servers(name, width)
        if "ops" in wanted:
            _ops(name, width)


def _servers(name: str, width: int) -> None:
    sides.heading(f"a {name} model, {CONCURRENCY} calls at a time, one row each")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        base = pathlib.Path(folder)
        sides.measure(_SIDE, ["side", "write", str(width), str(base / "model" / "1")])
        request = _request(base, width)
        parameters = base / "batching.txt"
        parameters.write_text(
            "\n".join(f"{field} {{ value: {value} }}" for field, value in _PARAMETERS.items())
        )
        threads = f"--grpc_max_threads={CONCURRENCY}"
        flags = {
            "plain": [threads],
            "batched": [threads, "--enable_batching", f"--batching_parameters_file={parameters}"],
        }
        addresses = {
            side: stack.enter_context(model_servers.started_ours(str(base / "model"), *given))[0]
            for side, given in flags.items()
        }
        found = sides.measure_in_turn(
            TURNS,
            {
                side: functools.partial(grpc_load.measure, address, request, CONCURRENCY, SECS)
                for side, address in addresses.items()
            },
            "QPS",
        )
    print(f"   batched / plain: {sides.ratio(found['batched'], found['plain']):.2f}", flush=True)


def _request(base: pathlib.Path, width: int) -> pathlib.Path:
    import numpy as np

    from serving_client import wire

    request = wire.PredictRequest()
    request.model_spec.name = "model"
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.ones([1, width], np.float32)))
    path = base / "request.bin"
    path.write_bytes(request.SerializeToString())
    return path


def _ops(name: str, width: int) -> None:
    sides.heading(f"a session of the {name} model, {CONCURRENCY} threads, one row each")
    found = sides.measure_in_turn(
        TURNS,
        {
            side: lambda side=side: sides.measure(_SIDE, ["side", "run", str(width), side])
            for side in _GRAPHS
        },
        "runs a second",
    )
    for side in list(_GRAPHS)[1:]:
        print(f"   {side} / alone: {sides.ratio(found[side], found['alone']):.2f}", flush=True)


# ----------------------------------------------------------------------------------------- models


def _network(x: Any) -> Any:
    import tensorflow as tf

    width = int(x.shape[1])
    for _ in range(_LAYERS):
        x = tf.nn.relu(tf.matmul(x, tf.fill([width, width], 1 / width)))
    return x[:, :2]


def _write_side(width: int, path: str) -> None:
    """Writes the model, with variables."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = hidden = tf.compat.v1.placeholder(tf.float32, [None, width])
        for layer in range(_LAYERS):
            weights = tf.compat.v1.get_variable(
                f"weights_{layer}",
                [width, width],
                initializer=tf.compat.v1.constant_initializer(1 / width),
            )
            hidden = tf.nn.relu(tf.matmul(hidden, weights))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, path, {"x": x}, {"y": hidden[:, :2]})
    sides.report({})


def _with_batch_ops(x: Any) -> Any:
    import tensorflow as tf

    batched, index, key = tf.raw_ops.Batch(
        in_tensors=[x],
        max_batch_size=_PARAMETERS["max_batch_size"],
        max_enqueued_batches=_PARAMETERS["max_enqueued_batches"],
        num_batch_threads=_PARAMETERS["num_batch_threads"],
        batch_timeout_micros=0,
        grad_timeout_micros=0,
    )
    return tf.raw_ops.Unbatch(
        batched_tensor=_network(batched[0]), batch_index=index, id=key, timeout_micros=10**7
    )


def _with_batch_function(x: Any) -> Any:
    import tensorflow as tf

    return tf.nondifferentiable_batch_function(
        _PARAMETERS["num_batch_threads"],
        _PARAMETERS["max_batch_size"],
        0,
        max_enqueued_batches=_PARAMETERS["max_enqueued_batches"],
    )(_network)(x)


_GRAPHS: dict[str, Callable[[Any], Any]] = {
    "alone": _network,
    "our queue": _network,
    "Batch and Unbatch": _with_batch_ops,
    "BatchFunction": _with_batch_function,
}


def _run_side(width: int, side: str) -> None:
    import numpy as np
    import tensorflow as tf

    from estimator_app.serving import batching, batching_parameters

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None, width])
        y = _GRAPHS[side](x)
        session._extend_graph()
        feed, fetch = x._as_tf_output(), y._as_tf_output()

        def run(row: np.ndarray) -> np.ndarray:
            # What estimator-serve calls, too.
            (value,) = session._call_tf_sessionrun(None, {feed: row}, [fetch], [], None)
            return value

        call: Callable[[np.ndarray], Any] = run
        if side == "our queue":
            batched = batching.Batcher(batching_parameters.BatchingParameters(**_PARAMETERS)).wrap(
                "", lambda feeds, fetches, timeout_ms: [run(feeds["x"])]
            )
            assert batched is not None
            call = lambda row: batched({"x": row}, ["y"], 0)[0]  # noqa: E731
        row = np.ones([1, width], np.float32)
        np.testing.assert_array_equal(call(row), [[1, 1]])
        sides.report({"runs a second": _rate(lambda: call(row))})


def _rate(call: Callable[[], Any]) -> float:
    """How often `call` ends in a second, in as many threads as there are calls at a time."""
    counts = []
    end = time.perf_counter() + SECS

    def work() -> None:
        count = 0
        while time.perf_counter() < end:
            call()
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=work) for _ in range(CONCURRENCY)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


if __name__ == "__main__":
    if sys.argv[1:2] == ["side"]:
        {"write": _write_side, "run": _run_side}[sys.argv[2]](int(sys.argv[3]), sys.argv[4])
    else:
        main()
