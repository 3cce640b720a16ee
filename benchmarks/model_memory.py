"""Resident memory of `estimator-serve`: what a large model gives back when it is unloaded, and what thousands of loads
and unloads of a small one leave behind.

    python -m benchmarks.model_memory [CYCLES]

Models come and go by HandleReloadConfigRequest; a cycle is over when GetModelStatus says `END`.
"""

from __future__ import annotations

import mmap
import os
import pathlib
import sys
import tempfile
import time

from benchmarks import model_servers, sides

CYCLES = 2_000
# Before the first figure: threads, arenas and caches are there.
WARM_UP_CYCLES = 50
LARGE_MIB = 400
_WIDTH = 1024
_NO_MODELS = "model_config_list {}"


def main() -> None:
    """Prints resident MiB before, with and after a large model of each kind, and along the cycles."""
    cycles = int(sys.argv[1]) if sys.argv[1:] else CYCLES
    sides.heading("resident memory of estimator-serve")
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        for kind in ("variables", "constants", "small"):
            sides.measure("benchmarks.model_memory", ["write", kind, str(base / kind)])
        for kind in ("variables", "constants"):
            _large(base, kind)
        _cycles(base, cycles)


def _large(base: pathlib.Path, kind: str) -> None:
    """Loads and unloads a large model twice, in a server of its own."""
    with model_servers.started_with(*_no_models(base)) as (address, process):
        pid = process.pid
        print(f"   {LARGE_MIB} MiB of {kind}: server without models {_resident_mib(pid):7.1f} MiB")
        for turn in (1, 2):
            _load(address, base, kind, ask=True)
            loaded = _resident_mib(pid)
            _unload(address, kind)
            after = _resident_mib(pid)
            print(
                f"   turn {turn}: loaded {loaded:7.1f} MiB, unloaded {after:7.1f} MiB", flush=True
            )


def _cycles(base: pathlib.Path, cycles: int) -> None:
    """Loads and unloads a small model again and again."""
    with model_servers.started_with(*_no_models(base)) as (address, process):
        pid = process.pid
        for _ in range(WARM_UP_CYCLES):
            _load(address, base, "small")
            _unload(address, "small")
        first = _resident_mib(pid)
        started = time.perf_counter()
        for cycle in range(1, cycles + 1):
            _load(address, base, "small", ask=cycle % 10 == 0)
            _unload(address, "small")
            if cycle % max(cycles // 5, 1) == 0:
                now = _resident_mib(pid)
                each = (time.perf_counter() - started) / cycle * 1e3
                print(
                    f"   {cycle:>6,} cycles of a small model: {now:7.1f} MiB, {now - first:+6.1f} MiB, "
                    f"{each:.0f} ms each",
                    flush=True,
                )


def _no_models(base: pathlib.Path) -> list[str]:
    """Returns the flags of a server that begins without models, and does not tell of each load."""
    config = base / "none.txt"
    config.write_text(_NO_MODELS)
    return [f"--model_config_file={config}", "--verbosity=-1"]


def _load(address: str, base: pathlib.Path, name: str, ask: bool = False) -> None:
    """Lets the server load one model; asks it one question if told to."""
    import serving_client

    with serving_client.PredictionClient(address, name) as client:
        client.reload_config(
            f'model_config_list {{ config {{ name: "{name}" base_path: "{base / name}" '
            'model_platform: "tensorflow" } }',
            timeout_secs=120,
        )
        if ask:
            client.predict({"x": [[1.0] * _WIDTH]})


def _unload(address: str, name: str) -> None:
    import serving_client

    with serving_client.PredictionClient(address, name) as client:
        client.reload_config(_NO_MODELS)
        while client.model_status()[0].state != "END":
            time.sleep(0.002)


def _resident_mib(pid: int) -> float:
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * mmap.PAGESIZE / 2**20


def _write(kind: str, base: str) -> None:
    """Writes version 1 of a model whose weights are variables or constants, or small ones."""
    import tensorflow as tf

    v1 = tf.compat.v1
    columns = 1 if kind == "small" else _WIDTH
    layers = 1 if kind == "small" else LARGE_MIB * 2**20 // (4 * _WIDTH * columns)
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = outputs = v1.placeholder(tf.float32, [None, _WIDTH], name="x")
        for layer in range(layers):
            values = tf.fill([_WIDTH, columns], 0.5)
            if kind == "constants":
                weights = tf.constant(session.run(values))
            else:
                weights = v1.get_variable(f"weights_{layer}", initializer=values, use_resource=True)
            outputs = tf.matmul(outputs, weights)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, os.path.join(base, "1"), {"x": inputs}, {"y": outputs})
    sides.report({})


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        _write(*sys.argv[2:])
    else:
        main()
