"""How many rows a second each stage of the input gives: disk, reading, typing, ordering, handing over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import itertools
import os
import time

import tensorflow as tf

from input_fns import batching, files, pipeline, row_order, row_streams
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

_PIECE_BYTES = 1 << 20
_TAKEN = 16  # batches a call, as many as a training loop takes between two looks at the clock


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage with all before it.

    Attributes:
        name: "disk", "read", "type", "order" or "dataset".
        rows_per_sec: of the stage and those before it.
        what: for people.
    """

    name: str
    rows_per_sec: float
    what: str


def measure(
    source: sources.Source,
    schema: schema_lib.Schema,
    settings: settings_lib.InputSettings,
    bytes_per_row: float,
    secs: float,
    begin: Callable[[str], None],
) -> tuple[Stage, ...]:
    """The stages in their order; each is measured for some seconds.

    The first rows of "order" and "dataset" are not timed: a source whose rows are held is read before them.

    Args:
        source: the training rows.
        schema: what they hold.
        settings: as of the job.
        bytes_per_row: in the files; 0 if that is not known, which leaves out "disk".
        secs: seconds for each stage.
        begin: called with the stage's name.
    """
    reader = row_streams.Reader(source, schema, settings, with_label=True)
    stages = []

    def add(name: str, what: str, counts: Iterator[float], untimed: int = 0) -> None:
        begin(name)
        stages.append(Stage(name, _rate(counts, secs, untimed), what))

    if bytes_per_row:
        add("disk", "the files' bytes", (n / bytes_per_row for n in _bytes_of(source.files)))
    raw = (
        len(raw.rows) for _ in itertools.count() for s in source.shards for raw in source.read(s)
    )
    add("read", "cells of the format", raw)
    typed = (block.num_rows for _ in itertools.count() for block in reader.read())
    add("type", "values of the schema", typed)
    size = batching.super_batch(schema.columns, settings.batch_size)
    order = row_order.RowOrder(reader, settings, True, size)
    add("order", "rows in their order", (b.num_rows for b in order.super_batches()), untimed=1)
    begin("dataset")
    rate = measure_dataset(source, schema, settings, secs)
    return (*stages, Stage("dataset", rate, "batches in TensorFlow"))


def measure_dataset(
    source: sources.Source,
    schema: schema_lib.Schema,
    settings: settings_lib.InputSettings,
    secs: float,
) -> float:
    """Rows/s of the training batches as a loop takes them that does nothing else."""
    # Balanced classes cost next to nothing, and would need the statistics.
    plain = dataclasses.replace(settings, class_balance="none")
    dataset = pipeline.make_input_fn(source, schema, plain, "train")()
    return _rate(_rows_of(dataset, settings.batch_size), secs, untimed=1)


def _rate(counts: Iterator[float], secs: float, untimed: int) -> float:
    for _ in itertools.islice(counts, untimed):
        pass
    start = time.perf_counter()
    total = taken = 0.0
    for count in counts:
        total += count
        taken = time.perf_counter() - start
        if taken >= secs:
            break
    return total / max(taken, 1e-9)


def _bytes_of(paths: tuple[str, ...]) -> Iterator[int]:
    """The sizes of pieces as they come from the disk, over and over."""
    while True:
        for path in paths:
            with files.open_raw(path) as file:
                with contextlib.suppress(OSError, AttributeError):  # a file that is no local one
                    # So that the disk is read, and not the memory in which the system keeps what was read lately.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                while piece := file.read(_PIECE_BYTES):
                    yield len(piece)


def _rows_of(dataset: tf.data.Dataset, batch_size: int) -> Iterator[int]:
    """The rows of batches as a training loop takes them: in a graph, some at a time."""
    iterator = iter(dataset)

    @tf.function
    def take() -> None:
        for _ in tf.range(_TAKEN):
            next(iterator)

    while True:
        take()
        yield _TAKEN * batch_size
