"""What bounds a training, and what would help: the input's stages and the model, timed one by one."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import os
import time
from typing import Any, Optional

import tensorflow as tf

from estimator_app import preparation
from estimator_app import settings as settings_lib
from estimator_app import training
from estimator_app.models import feature_parser, registry
from estimator_app.models.problem import Problem
from input_fns import files, formats, inference, row_order, row_streams, sources, stage_speed

_ENOUGH = 0.9  # of the model's own speed: then the input is not what one waits for
_WARM_UP_STEPS = 20
_NEVER = 1_000_000_000  # steps


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What was measured.

    Attributes:
      num_rows: training rows.
      row_bytes: that a row takes in memory.
      format: of the files, a name of `formats.FORMATS`; empty for packaged data.
      batch_size: of the job.
      first_pass: rows/s of the pass that finds schema and statistics.
      stages: of the input, each with those before it.
      cached: rows/s of the batches with --cache=memory; None if the job holds its rows already.
      model: steps/s on one batch, over and over.
      training: steps/s on the data.
      num_parts: files, or row groups, that can be read side by side.
    """

    num_rows: int
    row_bytes: float
    format: str
    batch_size: int
    first_pass: float
    stages: tuple[stage_speed.Stage, ...]
    cached: Optional[float]
    model: float
    training: float
    num_parts: int

    @property
    def share(self) -> float:
        """Which share of the model's own speed the training reaches."""
        return self.training / self.model

    @property
    def slowest(self) -> stage_speed.Stage:
        """The stage that adds most to the time of a row."""
        before, worst, most = 0.0, self.stages[0], -1.0
        for stage in self.stages:
            if self.cached is None and stage.name in ("disk", "read", "type"):
                continue  # held rows go through these once
            secs = 1 / stage.rows_per_sec
            if secs - before > most:
                worst, most = stage, secs - before
            before = max(before, secs)
        return worst

    @property
    def bound(self) -> str:
        """What training waits for: "model", "disk" or "input"."""
        if self.share >= _ENOUGH:
            return "model"
        return "disk" if self.slowest.name == "disk" else "input"


def diagnose(
    settings: settings_lib.RunSettings, secs: float, begin: Callable[[str], None]
) -> Diagnosis:
    """Times the job's input and model; trains for some seconds into the settings' model directory.

    Args:
      settings: the job; its model directory is to be one that nobody needs.
      secs: seconds for each measurement.
      begin: called with the name of what is measured next.

    Raises:
      ValueError: the request was wrong; one sentence.
    """
    model = registry.choose(settings.model)
    known, _ = preparation.known_data(settings)
    source = sources.open_source(settings.input, "train", known)
    begin("first pass")
    started = time.perf_counter()
    scanned = inference.scan(source, settings.input, known)
    first_pass = scanned.num_rows / (time.perf_counter() - started)
    scanned.schema.task  # raises for a label that cannot be learnt
    data = preparation.Data(
        schema=scanned.schema,
        statistics=scanned.statistics,
        num_train_rows=scanned.num_rows,
        bad_rows=scanned.bad_rows,
        settings=preparation.with_cache_dir(settings),
        train=source,
        eval=source,
    )
    reader = row_streams.Reader(source, scanned.schema, data.settings, with_label=True)
    block = next(reader.read())
    sizes = [version[0] for path in source.files if (version := files.version(path))]
    whole = len(sizes) == len(source.files)
    stages = stage_speed.measure(
        source,
        scanned.schema,
        data.settings,
        sum(sizes) / scanned.num_rows if whole else 0.0,
        secs,
        begin,
    )
    row_bytes = block.nbytes / block.num_rows
    held = data.settings.cache != "none" or (
        scanned.num_rows <= data.settings.shuffle_buffer
        and scanned.num_rows * row_bytes <= row_order.HELD_BYTES
    )
    cached = None
    if not held:
        begin("cached")
        cached = stage_speed.measure_dataset(
            source, scanned.schema, dataclasses.replace(data.settings, cache="memory"), secs
        )
    constant, with_input = _train(model, data, settings, secs, begin)
    return Diagnosis(
        num_rows=scanned.num_rows,
        row_bytes=row_bytes,
        format="" if settings.input.data else _format_of(settings, source),
        batch_size=settings.input.batch_size,
        first_pass=first_pass,
        stages=stages,
        cached=cached,
        model=constant,
        training=with_input,
        num_parts=len(source.shards),
    )


def _format_of(settings: settings_lib.RunSettings, source: sources.Source) -> str:
    return settings.input.format or formats.tell(source.files[0])


def _train(
    model: registry.Model,
    data: preparation.Data,
    settings: settings_lib.RunSettings,
    secs: float,
    begin: Callable[[str], None],
) -> tuple[float, float]:
    """Returns steps/s of the model on one batch over and over, and on the data."""
    input_fn = data.train_input_fn(model.label_as, (0, 1), 0, None)
    features = feature_parser.read(settings.model.features)

    def constant_fn() -> tf.data.Dataset:
        return input_fn().take(1).cache().repeat().prefetch(2)

    rates = []
    for name, fn in (("model", constant_fn), ("training", input_fn)):
        begin(name)
        # An Estimator each: those with Keras' optimizers train once only.
        config = training.make_run_config(
            dataclasses.replace(
                settings.train,
                model_dir=os.path.join(settings.train.model_dir, name),
                save_checkpoints_steps=_NEVER,
            )
        )
        problem = Problem(data.model_schema, data.statistics, settings.model, config, features)
        clock = _Clock(secs)
        registry.build(model, problem).train(fn, hooks=[clock])
        rates.append(clock.steps_per_sec)
    return rates[0], rates[1]


class _Clock(tf.compat.v1.train.SessionRunHook):
    """Ends a training after some seconds, and knows how fast it was; the first steps are not timed."""

    def __init__(self, secs: float) -> None:
        self._secs, self._steps, self._start = secs, 0, 0.0
        self.steps_per_sec = 0.0

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._steps += 1
        if self._steps == _WARM_UP_STEPS:
            self._start = time.perf_counter()
        elif self._steps > _WARM_UP_STEPS:
            taken = time.perf_counter() - self._start
            if taken >= self._secs:
                self.steps_per_sec = (self._steps - _WARM_UP_STEPS) / taken
                run_context.request_stop()


def advice(found: Diagnosis) -> list[str]:
    """Returns what would help, the most helpful first; a line each."""
    if found.bound == "model":
        return [
            "The input keeps up; a faster one would change nothing. A larger --batch_size does more rows a step."
        ]
    lines = []
    needed = found.model * found.batch_size
    if found.cached is not None:
        megabytes = found.num_rows * found.row_bytes / 1e6
        gain = found.cached / found.stages[-1].rows_per_sec
        place = "memory" if megabytes < 0.25 * _memory_bytes() / 1e6 else "file"
        if gain > 1.1:
            lines.append(
                f"--cache={place}: the rows take {megabytes:,.0f} MB; batches then come {gain:.1f} times as fast."
            )
    slowest = found.slowest.name
    if slowest == "disk":
        lines.append(
            "The disk is the slowest part: keep the files on a faster one, or compressed: estimator-train convert IN "
            "OUT.parquet."
        )
    elif slowest in ("read", "type") and found.format not in (
        "parquet",
        "arrow",
        "tfrecord",
        "numpy",
    ):
        lines.append(
            f"Reading {formats.FORMATS[found.format].what if found.format else 'the files'} is the slowest part: "
            "estimator-train convert IN OUT.parquet, and train on that."
        )
    if slowest in ("read", "type") and found.num_parts > 1 and (os.cpu_count() or 1) > 2:
        lines.append(
            f"--read_threads=4: the data has {found.num_parts} parts that can be read side by side."
        )
    if slowest in ("order", "dataset") or not lines:
        lines.append(
            f"--batch_size={found.batch_size * 4}: handing over a batch costs much the same whatever its size."
        )
    if found.stages[-1].rows_per_sec > 1.5 * needed:
        lines.append(
            "Alone, the input would be fast enough; beside the model it is not: both share the cores of this machine."
        )
    return lines


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
