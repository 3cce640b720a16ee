"""Peak resident memory of `estimator-train` on census from 33 thousand to 10 million rows, streamed and with caches."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import tempfile

from benchmarks import sides

# --cache -> how many times census is repeated: 32,561 rows, a million, ten million
REPEATS = {"none": (1, 31, 308), "file": (31, 308), "memory": (1, 31)}
SHUFFLE_BUFFER = 20_000  # below the rows of one repeat, so that every size is streamed
BATCH_SIZE = 128


def main() -> None:
    """Prints peak MiB by size, and the growth from size to size."""
    sides.heading(
        f"peak resident memory of estimator-train, one epoch of dnn, shuffle_buffer {SHUFFLE_BUFFER:,}"
    )
    with tempfile.TemporaryDirectory() as directory:
        sizes = sorted({repeat for repeats in REPEATS.values() for repeat in repeats})
        files = {repeat: _repeat_census(directory, repeat) for repeat in sizes}
        for cache, repeats in REPEATS.items():
            before = None
            for repeat in repeats:
                path, rows = files[repeat]
                peak = sides.measure("benchmarks.memory", [path, cache, str(rows // BATCH_SIZE)])[
                    "MiB"
                ]
                size = os.path.getsize(path) / 2**20
                grown = "" if before is None else f"{peak - before:+7.0f} MiB"
                print(
                    f"   --cache={cache:<7} {rows:>10,} rows {size:>7.1f} MiB of CSV: peak {peak:7.0f} MiB {grown}",
                    flush=True,
                )
                before = peak


def _repeat_census(directory: str, repeat: int) -> tuple[str, int]:
    """Writes census's training rows `repeat` times under one header; returns path and number of rows."""
    from input_fns import packaged

    with gzip.open(packaged.find("census").train_files[0]) as file:
        header, *rows = file.read().splitlines(keepends=True)
    path = os.path.join(directory, f"census_{repeat}.csv")
    with open(path, "wb") as file:
        file.write(header)
        for _ in range(repeat):
            file.writelines(rows)
    return path, repeat * len(rows)


def _run_side(path: str, cache: str, steps: str) -> None:
    """Runs the program on one file and reports its peak resident memory."""
    from input_fns import packaged

    with tempfile.TemporaryDirectory() as model_dir:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "estimator_app.main",
                f"--train_data={path}",
                f"--eval_data={packaged.find('census').eval_files[0]}",
                "--label_column=income",
                "--model=dnn",
                f"--batch_size={BATCH_SIZE}",
                f"--model_dir={model_dir}",
                f"--max_steps={steps}",
                f"--save_checkpoints_steps={steps}",
                f"--shuffle_buffer={SHUFFLE_BUFFER}",
                f"--cache={cache}",
                "--progress=none",
            ],
            check=True,
        )
    # Kilobytes on Linux (getrusage(2)).
    sides.report({"MiB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024})


if __name__ == "__main__":
    if len(sys.argv) == 4:
        _run_side(*sys.argv[1:])
    else:
        main()
