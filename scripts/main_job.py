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
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, Iterator

import serving_client

_MODEL = "census"
_LABELS = ("<=50K", ">50K")
_ROWS_SHOWN = 8
_START_TIMEOUT_SECS = 120.0


def main() -> int:
    """Runs the job; returns the exit code of the first part that fails, or 0."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Other flags go to estimator-train.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --model is estimator-train's, not short for --model_dir
    )
    parser.add_argument("--model_dir", default="runs/census", help="where the job lies")
    parser.add_argument("--export_dir", help="where its versions lie; default: MODEL_DIR/export")
    known, train_flags = parser.parse_known_args()
    model_dir = known.model_dir
    export_dir = known.export_dir or os.path.join(model_dir, "export")

    # An end from outside takes the programs that were started with it.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))

    command = [sys.executable, "-m", "estimator_app.main", "--data=census"]
    command += [f"--model_dir={model_dir}", f"--export_dir={export_dir}", *train_flags]
    with _running(command) as training:
        code = training.wait()
    if code:
        return code

    rows = _read_lines(os.path.join(model_dir, "sample_rows.jsonl"))
    local = _read_lines(os.path.join(model_dir, "sample_predictions.jsonl"))
    log = os.path.join(model_dir, "server.log")
    with _serve(export_dir, log) as address:
        print(f"\nServing {_MODEL} on {address}, asking for {len(rows)} rows over gRPC\n")
        with serving_client.PredictionClient(address, _MODEL) as client:
            names = client.model_metadata().signatures["tensors:predict"].inputs
            served = client.predict(
                {name: [row[name] for row in rows] for name in names},
                signature_name="tensors:predict",
            )
    equal = [
        max(abs(a - b) for a, b in zip(served["probabilities"][row], local[row]["probabilities"]))
        <= 1e-6
        for row in range(len(rows))
    ]
    print(
        f"{'row':>4}  {'age':>3}  {'occupation':<18} {'label':<6} {'served':<6} {'P(>50K)':>8}  same as local"
    )
    for row in range(_ROWS_SHOWN):
        print(
            f"{row + 1:>4}  {rows[row]['age']:>3}  {rows[row]['occupation']:<18} {rows[row]['income']:<6} "
            f"{_LABELS[int(served['probabilities'][row].argmax())]:<6} {served['probabilities'][row][1]:>8.4f}  "
            f"{'yes' if equal[row] else 'NO'}"
        )
    print(
        f"\n{sum(equal)} of {len(rows)} served answers equal the Estimator's own (within 1e-6).\n\n"
        f"model        {model_dir}\n"
        f"export       {export_dir}\n"
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
        command = [sys.executable, "-m", "estimator_app.serve_main", "--host=127.0.0.1", "--port=0"]
        command += [f"--model_name={_MODEL}", f"--model_base_path={os.path.abspath(base_path)}"]
        command += [f"--port_file={port_file}"]
        with _running(command, stdout=log_file, stderr=subprocess.STDOUT) as server:
            deadline = time.monotonic() + _START_TIMEOUT_SECS
            while not port_file.exists():
                if server.poll() is not None:
                    code = server.returncode
                    raise SystemExit(
                        f"error: estimator-serve ended with exit code {code}; see {log}."
                    )
                if time.monotonic() > deadline:
                    wait = f"{_START_TIMEOUT_SECS:.0f} s"
                    raise SystemExit(
                        f"error: estimator-serve did not serve within {wait}; see {log}."
                    )
                time.sleep(0.05)
            yield f"127.0.0.1:{json.loads(port_file.read_text())['port']}"


@contextlib.contextmanager
def _running(command: list[str], **kwargs: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a program; ends it afterwards, whatever happens, and gives it time to save its work."""
    process = subprocess.Popen(command, **kwargs)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _read_lines(path: str) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
