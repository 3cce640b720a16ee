"""Requests for the same tensors of one version, run together.

    batcher = batching.Batcher(batching_parameters.read(path))
    model = servable.Servable(version_path, wrap_run=batcher.wrap)

The counterpart of TF Serving's batching_session.cc: inputs are put below each other, the session runs once, and each
request gets its rows of the outputs. A queue holds what feeds and fetches the same tensors.
"""

from collections.abc import Mapping, Sequence
import threading
import time
from typing import Any

import numpy as np

from estimator_app.serving import (
    batch_arrays,
    batch_scheduler,
    batching_metrics,
    batching_parameters,
)
from export import errors, servable

# Tensors that are fed, each with its dtype, and those that are fetched; both in the order of their names.
_Key = tuple[tuple[tuple[str, Any], ...], tuple[str, ...]]


class Batcher:
    """Batches the runs of all models of a server, which share its threads.

    Attributes:
        metrics: where batches count.
    """

    def __init__(
        self,
        parameters: batching_parameters.BatchingParameters,
        per_model: bool = False,
        metrics: batching_metrics.BatchingMetrics | None = None,
    ) -> None:
        """Starts the threads.

        Args:
            parameters: of the threads and, unless `per_model`, of the queues.
            per_model: whether a version has its queues' parameters in its directory; one without
                is not batched.
            metrics: where batches count.

        Raises:
            errors.ServableError: `INVALID_ARGUMENT`; there would be no thread.
        """
        parameters.check_threads()
        self._parameters = parameters
        self._per_model = per_model
        self.metrics = metrics or batching_metrics.BatchingMetrics()
        self._scheduler = batch_scheduler.BatchScheduler(
            parameters.num_batch_threads, parameters.thread_pool_name
        )

    def wrap(self, path: str, run: servable.RunFn) -> "BatchedRun | None":
        """Returns what batches the runs of one version; None if it is not batched.

        Args:
            path: the version's directory.
            run: runs its session.

        Raises:
            errors.ServableError: its parameters are wrong.
        """
        parameters: batching_parameters.BatchingParameters | None = self._parameters
        if self._per_model:
            parameters = batching_parameters.read_per_model(path)
        if parameters is None:
            return None
        parameters.check_queue()
        return BatchedRun(parameters, run, self._scheduler, self.metrics)

    def hurry(self) -> None:
        """From now on no batch waits for more requests."""
        self._scheduler.hurry()

    def stop(self) -> None:
        """Ends the threads once all requests have their answers; stopping twice does no harm."""
        self._scheduler.stop()


class BatchedRun:
    """Runs the session of one version in batches. May be called from several threads at once.

    Attributes:
        parameters: of its queues.
    """

    def __init__(
        self,
        parameters: batching_parameters.BatchingParameters,
        run: servable.RunFn,
        scheduler: batch_scheduler.BatchScheduler,
        metrics: batching_metrics.BatchingMetrics,
    ) -> None:
        self.parameters = parameters
        self._run = run
        self._scheduler = scheduler
        self._metrics = metrics

    def __call__(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], timeout_ms: int
    ) -> list[np.ndarray]:
        """Runs the request in a batch, and waits for it.

        Args:
            feeds: tensor name -> `[rows, ...]`.
            fetches: tensors, each once.
            timeout_ms: milliseconds from now; 0 for no limit. A batch may run until the last of its
                requests has no time left.

        Returns:
            `[rows, ...]` for each of `fetches`.

        Raises:
            errors.ServableError: with the codes and texts of TF Serving.
        """
        rows = batch_arrays.rows_of(feeds)
        for _ in feeds:
            self._metrics.input_batch_size.add(value=rows)
        # Of another dtype than the model's a request is refused by the runtime: alone, not with others.
        key = (
            tuple((name, feeds[name].dtype) for name in sorted(feeds)),
            tuple(sorted(fetches)),
        )
        tasks = self._scheduler.submit(self, key, _Request(feeds, rows, timeout_ms))
        parts = [task.wait() for task in tasks]
        outputs = batch_arrays.join(parts)
        return [outputs[name] for name in fetches]

    def close(self) -> None:
        """Ends requests that still wait as cancelled; no request may follow."""
        for task in self._scheduler.withdraw(self):
            task.fail(errors.ServableError(errors.Code.CANCELLED, "Session has been closed."))

    def process(self, key: _Key, tasks: Sequence["_Request"]) -> None:
        """Runs a batch, and gives each request its outputs or the error of all."""
        try:
            outputs = self._process(key[1], tasks)
        except errors.ServableError as error:
            failure = error
        except Exception as error:
            failure = errors.ServableError(errors.Code.INTERNAL, f"{type(error).__name__}: {error}")
        else:
            for task, part in zip(tasks, outputs):
                task.succeed(part)
            return
        for task in tasks:
            task.fail(failure)

    def _process(
        self, fetches: tuple[str, ...], tasks: Sequence["_Request"]
    ) -> list[dict[str, np.ndarray]]:
        now = time.monotonic()
        for task in tasks:
            self._metrics.queuing_latency.add("", value=(now - task.enqueued) * 1e6)
        timeout_ms = _timeout_ms(tasks, now)
        sizes = [task.rows for task in tasks]
        rows = self.parameters.padded_size(sum(sizes))
        extra_rows = rows - sum(sizes)
        self._metrics.padding_size.add(str(rows), value=extra_rows)
        self._metrics.processed_batch_size.add(value=rows)
        pad = self.parameters.pad_variable_length_inputs
        feeds = batch_arrays.merge([task.feeds for task in tasks], extra_rows, pad)
        self._metrics.wrapped_run_count.add()
        values = self._run(feeds, fetches, timeout_ms)
        return batch_arrays.split(dict(zip(fetches, values)), sizes, rows)


class _Request:
    """A request, or a part of it, and its way from the thread that asks to the one that answers.

    Attributes:
        feeds: tensor name -> `[rows, ...]`.
        rows: of each tensor.
        enqueued: when it came, by the monotonic clock.
        deadline: until when it may run; None for without limit.
    """

    def __init__(
        self,
        feeds: Mapping[str, np.ndarray],
        rows: int,
        timeout_ms: int,
        enqueued: float | None = None,
    ) -> None:
        self.feeds = feeds
        self.rows = rows
        self.enqueued = time.monotonic() if enqueued is None else enqueued
        self.deadline = self.enqueued + timeout_ms / 1e3 if timeout_ms > 0 else None
        self._timeout_ms = timeout_ms
        self._outputs: dict[str, np.ndarray] = {}
        self._failure: errors.ServableError | None = None
        # The cheapest thing to wait for: it is free once there is an answer.
        self._answered = threading.Lock()
        self._answered.acquire()

    def split(self, sizes: Sequence[int]) -> list["_Request"]:
        """Requests of these many rows, which together are this one."""
        parts = []
        start = 0
        for size in sizes:
            rows = batch_arrays.rows_between(self.feeds, start, start + size)
            parts.append(_Request(rows, size, self._timeout_ms, self.enqueued))
            start += size
        return parts

    def succeed(self, outputs: dict[str, np.ndarray]) -> None:
        """Gives the answer."""
        self._outputs = outputs
        self._answered.release()

    def fail(self, failure: errors.ServableError) -> None:
        """Gives the error."""
        self._failure = failure
        self._answered.release()

    def wait(self) -> dict[str, np.ndarray]:
        """Tensor name -> `[rows, ...]`, once the batch has run.

        Raises:
            errors.ServableError: the batch failed.
        """
        self._answered.acquire()
        if self._failure is not None:
            # One for each request: several threads must not raise the same one.
            raise errors.ServableError(self._failure.code, self._failure.message)
        return self._outputs


def _timeout_ms(tasks: Sequence[_Request], now: float) -> int:
    """Milliseconds that the batch may run: what the last of its requests has left; 0 for no limit.

    Raises:
        errors.ServableError: `RESOURCE_EXHAUSTED`; none has any left.
    """
    deadlines = [task.deadline for task in tasks if task.deadline is not None]
    if len(deadlines) < len(tasks):
        return 0
    left_secs = max(deadlines) - now
    if left_secs <= 0:
        raise errors.ServableError(
            errors.Code.RESOURCE_EXHAUSTED,
            "Run() timeout exceeded while waiting in batching queue",
        )
    return max(int(left_secs * 1e3), 1)
