"""Census CSV into a DNNClassifier, batch 128: our path, the widely taught pattern, and one constant batch (the limit).

The model, the RunConfig and the hooks are the same on all three sides; only the input function differs.
"""

from __future__ import annotations

import gzip
import os
import statistics
import sys
import tempfile
import time
from typing import Any

from benchmarks import sides

BATCH_SIZE = 128
WARM_UP_STEPS = 300
STEPS = {"taught": 600, "ours": 4000, "constant": 4000}
TURNS = 3


def main() -> None:
    """Prints examples/s of the three sides and the two ratios."""
    sides.heading("census CSV -> DNNClassifier, batch 128, examples/s")
    with tempfile.TemporaryDirectory() as directory:
        csv = os.path.join(directory, "train.csv")
        _unpack(csv)
        figures = sides.measure_in_turn(
            TURNS,
            {
                name: lambda name=name: sides.measure("benchmarks.input_speed", [name, csv])  # type: ignore[misc]
                for name in STEPS
            },
            "examples/s",
        )
    for name, values in figures.items():
        median = statistics.median(values)
        print(f"   {name:<10} {median:10,.0f} examples/s  {median / BATCH_SIZE:8.0f} steps/s")
    print(
        f"   ours / taught    {sides.ratio(figures['ours'], figures['taught']):6.2f}   (target: at least 5)"
    )
    print(
        f"   ours / constant  {sides.ratio(figures['ours'], figures['constant']):6.2f}   (target: at least 0.9)"
    )


def _unpack(path: str) -> None:
    from input_fns import packaged

    with gzip.open(packaged.find("census").train_files[0]) as packed, open(path, "wb") as plain:
        plain.write(packed.read())


def _run_side(name: str, csv: str) -> None:
    """Trains on one side's input and reports examples/s after the warm-up."""
    import tensorflow as tf

    from estimator_app import progress
    from estimator_app import settings as settings_lib
    from estimator_app import training
    from estimator_app.models import premade
    from estimator_app.models.problem import Problem
    from input_fns import inference, pipeline
    from input_fns import settings as input_settings
    from input_fns import sources

    tf.get_logger().setLevel("ERROR")
    settings = input_settings.InputSettings(
        train_data=csv, label_column="income", batch_size=BATCH_SIZE, seed=1
    )
    source = sources.open_source(settings, "train")
    scanned = inference.scan(source, settings)
    ours = pipeline.make_input_fn(source, scanned.schema, settings, "train")

    def constant() -> Any:
        return tf.data.Dataset.from_tensors(batch).repeat()

    def taught() -> Any:
        return _taught_pattern(csv, source.column_names, scanned.schema)

    with tempfile.TemporaryDirectory() as model_dir:
        train = settings_lib.TrainSettings(model_dir=model_dir, save_checkpoints_steps=10**9)
        estimator = premade.dnn(
            Problem(
                scanned.schema,
                scanned.statistics,
                settings_lib.ModelSettings(),
                training.make_run_config(train),
            )
        )
        if name == "constant":
            batch = tf.nest.map_structure(lambda tensor: tensor.numpy(), next(iter(ours())))
        clock = _Clock(WARM_UP_STEPS)
        hook = progress.LinesHook(WARM_UP_STEPS + STEPS[name], sys.stderr)
        estimator.train(
            {"ours": ours, "constant": constant, "taught": taught}[name],
            max_steps=WARM_UP_STEPS + STEPS[name],
            hooks=[clock.hook(), hook],
        )
    sides.report({"examples/s": clock.steps_per_sec() * BATCH_SIZE})


def _taught_pattern(path: str, columns: Any, schema: Any) -> Any:
    """The pattern of TensorFlow's own Estimator tutorials and most of the samples that followed them."""
    import tensorflow as tf

    dtypes = {column.name: column.dtype for column in schema.columns}
    defaults = [[""] if dtypes[name] == "string" else [0] for name in columns]

    def parse(line: Any) -> Any:
        values = tf.io.decode_csv(line, defaults)
        features = {
            name: tf.cast(value, tf.int64) if dtypes[name] == "int64" else value
            for name, value in zip(columns, values)
        }
        return features, features.pop("income")

    lines = tf.data.TextLineDataset(path).skip(1)
    return lines.map(parse).shuffle(10_000).repeat().batch(BATCH_SIZE).prefetch(1)


class _Clock:
    """Measures the steps after a warm-up."""

    def __init__(self, warm_up_steps: int) -> None:
        self._warm_up_steps = warm_up_steps
        self._steps = 0
        self._started = 0.0
        self._ended = 0.0

    def hook(self) -> Any:
        """Returns the hook that reads the clock."""
        import tensorflow as tf

        clock = self

        class Hook(tf.compat.v1.train.SessionRunHook):
            def after_run(self, run_context: Any, run_values: Any) -> None:
                clock._steps += 1
                if clock._steps == clock._warm_up_steps:
                    clock._started = time.perf_counter()
                clock._ended = time.perf_counter()

        return Hook()

    def steps_per_sec(self) -> float:
        """Returns steps a second after the warm-up."""
        return (self._steps - self._warm_up_steps) / (self._ended - self._started)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _run_side(*sys.argv[1:])
    else:
        main()
