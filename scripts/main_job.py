"""The main job from end to end: train on census, export, serve, query, compare. `make run` calls it.

Each part is the program that users have, as its own process: `estimator-train`, `estimator-serve`, and a
`PredictionClient`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any, Iterator

import serving_client

_MODEL = "census"
_ROWS_SHOWN = 8
_START_TIMEOUT_SECS = 120.0


def main() -> int:
    """Runs the job; returns the exit code of the first part that fails, or 0."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Other flags go to estimator-train.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model_dir", default="runs/census", help="where the job lies")
    known, train_flags = parser.parse_known_args()
    model_dir = known.model_dir

    trained = subprocess.run(
        [
            *(sys.executable, "-m", "estimator_app.main", "--data=census", "--model=dnn_linear"),
            *(f"--model_dir={model_dir}", *train_flags),
        ],
        check=False,
    )
    if trained.returncode:
        return trained.returncode

    rows = _read_lines(os.path.join(model_dir, "sample_rows.jsonl"))
    local = _read_lines(os.path.join(model_dir, "sample_predictions.jsonl"))
    log = os.path.join(model_dir, "server.log")
    with _serve(os.path.join(model_dir, "export"), log) as address:
        print(f"\nServing {_MODEL} on {address}, asking for {len(rows)} rows over gRPC\n")
        with serving_client.PredictionClient(address, _MODEL) as client:
            names = client.model_metadata().signatures["tensors:predict"].inputs
            served = client.predict(
                {name: [row[name] for row in rows] for name in names},
                signature_name="tensors:predict",
            )
    equal = [
        served["classes"][row][0].decode() == local[row]["classes"][0]
        and max(
            abs(a - b) for a, b in zip(served["probabilities"][row], local[row]["probabilities"])
        )
        <= 1e-6
        for row in range(len(rows))
    ]
    print(
        f"{'row':>4}  {'age':>3}  {'occupation':<18} {'label':<6} {'served':<6} {'P(>50K)':>8}  same as local"
    )
    for row in range(_ROWS_SHOWN):
        print(
            f"{row + 1:>4}  {rows[row]['age']:>3}  {rows[row]['occupation']:<18} {rows[row]['income']:<6} "
            f"{served['classes'][row][0].decode():<6} {served['probabilities'][row][1]:>8.4f}  "
            f"{'yes' if equal[row] else 'NO'}"
        )
    print(
        f"\n{sum(equal)} of {len(rows)} served answers equal the Estimator's own (within 1e-6).\n\n"
        f"model        {model_dir}\n"
        f"export       {os.path.join(model_dir, 'export')}\n"
        f"server log   {log}\n"
        "more steps   make run ARGS=--max_steps=5000\n"
        f"TensorBoard  {os.path.join(os.path.dirname(sys.executable), 'tensorboard')} --logdir={model_dir}"
    )
    return 0 if all(equal) else 1


@contextlib.contextmanager
def _serve(base_path: str, log: str) -> Iterator[str]:
    """Starts `estimator-serve` on a free port; yields its address and ends the process afterwards, whatever happens."""
    with tempfile.TemporaryDirectory() as directory, open(log, "wb") as log_file:
        port_file = pathlib.Path(directory, "ports.json")
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "estimator_app.serve_main",
                "--host=127.0.0.1",
                "--port=0",
                f"--model_name={_MODEL}",
                f"--model_base_path={os.path.abspath(base_path)}",
                f"--port_file={port_file}",
            ],
            stdout=log_file,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + _START_TIMEOUT_SECS
            while not port_file.exists():
                if server.poll() is not None:
                    raise SystemExit(
                        f"error: estimator-serve ended with exit code {server.returncode}; see {log}."
                    )
                if time.monotonic() > deadline:
                    raise SystemExit(
                        f"error: estimator-serve did not serve within {_START_TIMEOUT_SECS:.0f} s; see {log}."
                    )
                time.sleep(0.05)
            yield f"127.0.0.1:{json.loads(port_file.read_text())['port']}"
        finally:
            server.terminate()
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _read_lines(path: str) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    sys.exit(main())
