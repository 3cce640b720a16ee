"""The newest TensorFlow against 2.15.1 in turn: steps/s of a premade Estimator, and what importing compat costs.

    python -m benchmarks.stack_speed                                             .venvs/tf-2.15 and .venvs/tf-2.21
    python -m benchmarks.stack_speed --old=OTHER/bin/python --new=ANOTHER/bin/python --turns=9

It compares two environments, so it is no part of `make bench`, which runs within one. Training is
`DNNLinearCombinedClassifier` on census with default sizes, batch 128, on batches in memory; steps are counted by
the wall and by the processor's time, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time
from typing import Any

from benchmarks import sides

ROOT = pathlib.Path(__file__).parents[1]
BATCH_SIZE = 128
BATCHES = 64
WARM_UP_STEPS = 200
STEPS = 1500
TURNS = 5
STEPS_TARGET = 0.95
IMPORT_TARGET_SECS = 1.0


def main() -> None:
    """Prints both figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, environment in (("old", "tf-2.15"), ("new", "tf-2.21")):
        parser.add_argument(f"--{name}", default=str(ROOT / ".venvs" / environment / "bin/python"))
    parser.add_argument("--turns", type=int, default=TURNS)
    flags = parser.parse_args()
    pythons = {"old": flags.old, "new": flags.new}

    print(
        f"\n== dnn_linear on census, batch {BATCH_SIZE}, {STEPS:,} steps, and the import of Estimators"
    )
    load = os.getloadavg()[0]
    print(f"   {platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before the first turn")
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    for turn, (name, python) in itertools.product(range(flags.turns), pythons.items()):
        figures = {
            **sides.measure("benchmarks.stack_speed", ["side", "import", name], python),
            **sides.measure("benchmarks.stack_speed", ["side", "train", name], python),
        }
        found[name].append(figures)
        print(
            f"   turn {turn + 1}: {figures['tensorflow']:<8} {figures['steps/s']:7.0f} steps/s   "
            f"{figures['steps/CPU s']:7.0f} steps per processor second   import {figures['import s']:.2f} s",
            flush=True,
        )
    _summarise(found["old"], found["new"])


def _summarise(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    def column(side: list[dict[str, Any]], figure: str) -> list[float]:
        return [float(figures[figure]) for figures in side]

    for side in (old, new):
        print(f"   {side[0]['tensorflow']}")
        for figure in ("steps/s", "steps/CPU s", "import s"):
            values = column(side, figure)
            print(
                f"      {figure:<12} median {statistics.median(values):8.2f}, "
                f"from {min(values):.2f} to {max(values):.2f}"
            )
    for figure in ("steps/s", "steps/CPU s"):
        ratio = sides.ratio(column(new, figure), column(old, figure))
        print(f"   new / old, {figure:<12} {ratio:6.3f}   (target: at least {STEPS_TARGET})")
    more = statistics.median(column(new, "import s")) - statistics.median(column(old, "import s"))
    print(f"   new - old, import       {more:+6.2f} s (target: at most +{IMPORT_TARGET_SECS})")


def _measure_import(name: str) -> None:
    """Reports the seconds that Estimators take on top of TensorFlow: natively on the old side, by compat on the new."""
    import tensorflow as tf

    start = time.perf_counter()
    if name == "old":
        import tensorflow_estimator  # noqa: F401
    else:
        import estimator_app.compat  # noqa: F401
    sides.report({"import s": time.perf_counter() - start, "tensorflow": tf.__version__})


def _measure_training(unused_name: str) -> None:
    """Reports the steps per second after the warm-up."""
    import tensorflow as tf

    from estimator_app import settings as settings_lib
    from estimator_app import training
    from estimator_app.compat import estimator
    from estimator_app.models import premade
    from estimator_app.models.problem import Problem
    from input_fns import inference, packaged, pipeline
    from input_fns import settings as input_settings
    from input_fns import sources

    tf.get_logger().setLevel("ERROR")
    settings = input_settings.InputSettings(
        train_data=packaged.find("census").train_files[0],
        label_column="income",
        batch_size=BATCH_SIZE,
        seed=1,
    )
    source = sources.open_source(settings, "train")
    scanned = inference.scan(source, settings)
    read = pipeline.make_input_fn(source, scanned.schema, settings, "train")
    batches = [
        tf.nest.map_structure(lambda tensor: tensor.numpy(), batch)
        for batch in read().take(BATCHES)
    ]
    stacked = tf.nest.map_structure(lambda *parts: tf.stack(parts).numpy(), *batches)

    def input_fn() -> Any:
        return tf.data.Dataset.from_tensor_slices(stacked).cache().repeat().prefetch(2)

    class Clock(estimator.SessionRunHook):  # type: ignore[misc]
        """Reads both clocks after the warm-up and after the last step."""

        def __init__(self) -> None:
            self.steps = 0
            self.readings: dict[int, tuple[float, float]] = {}

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self.steps += 1
            if self.steps in (WARM_UP_STEPS, WARM_UP_STEPS + STEPS):
                self.readings[self.steps] = (time.perf_counter(), time.process_time())

    clock = Clock()
    with tempfile.TemporaryDirectory() as model_dir:
        train = settings_lib.TrainSettings(model_dir=model_dir, save_checkpoints_steps=10**9)
        problem = Problem(
            scanned.schema,
            scanned.statistics,
            settings_lib.ModelSettings(),
            training.make_run_config(train),
        )
        premade.dnn_linear(problem).train(input_fn, max_steps=WARM_UP_STEPS + STEPS, hooks=[clock])
    (wall, cpu), (wall_end, cpu_end) = clock.readings.values()
    sides.report({"steps/s": STEPS / (wall_end - wall), "steps/CPU s": STEPS / (cpu_end - cpu)})


if __name__ == "__main__":
    if sys.argv[1:2] == ["side"]:
        {"import": _measure_import, "train": _measure_training}[sys.argv[2]](sys.argv[3])
    else:
        main()
