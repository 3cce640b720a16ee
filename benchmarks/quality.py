"""Census with the defaults of `make run`: accuracy and AUC on UCI's own test rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

from benchmarks import sides

TARGETS = {"accuracy": 0.850, "auc": 0.900}


def main() -> None:
    """Trains once and prints the metrics beside their targets."""
    sides.heading("census, dnn_linear with default flags, 16,281 evaluation rows")
    with tempfile.TemporaryDirectory() as model_dir:
        started = time.perf_counter()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "estimator_app.main",
                "--data=census",
                f"--model_dir={model_dir}",
                "--progress=none",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        passed = time.perf_counter() - started
        with open(os.path.join(model_dir, "run_result.json"), encoding="utf-8") as file:
            result = json.load(file)
    for name, target in TARGETS.items():
        print(f"   {name:<10} {result['metrics'][name]:.4f}   (target: at least {target:.3f})")
    print(f"   {result['global_step']} steps, {passed:.1f} s for the whole program")


if __name__ == "__main__":
    main()
