"""Logs of requests: `PredictionLog` records in TFRecord files, which later versions can warm up with.

    logs = request_log.RequestLogs(max_files=100)
    logs.configure({"census": request_log.LogConfig("/logs/census", 0.01)})
    methods = logs.logged_rpcs(methods)

A call pays for a random number and a place in a queue; a thread writes. What the queue cannot hold is
dropped and counted. The stock server has the messages, the metric and the config, but no collector.
"""

from collections.abc import Callable, Mapping
import dataclasses
import itertools
import logging
import os
import queue
import random
import threading
import time
from typing import Any

import tensorflow as tf

from estimator_app.serving import metrics
from export import errors, warmup_file
from serving_client import wire

_logger = logging.getLogger(__name__)

_KINDS = {
    "Predict": "predict_log",
    "Classify": "classify_log",
    "Regress": "regress_log",
    "MultiInference": "multi_inference_log",
}
_MAX_WAITING_BYTES = 64 << 20
# What a record that waits takes beside its messages' own bytes, roughly.
_ENTRY_BYTES = 1024
_CLOSE_SECS = 5.0
_FAILED_PAUSE_SECS = 10.0
_UNFINISHED = ".part"


@dataclasses.dataclass(frozen=True)
class LogConfig:
    """Where a model's requests are logged, and how many.

    Attributes:
        filename_prefix: a path; files are called `<prefix>-<UTC time>-<process>-<number>.tfrecord`.
        sampling_rate: share of the requests, 0 to 1.
    """

    filename_prefix: str
    sampling_rate: float


class RequestLogs:
    """The logs of all models. Methods may be called from several threads at once.

    Attributes:
        count: requests by model and status: OK for those written, RESOURCE_EXHAUSTED for those dropped because too
            many waited, else what the file system said.
    """

    def __init__(self, max_files: int) -> None:
        """Keeps the newest `max_files` files of this process a model; 0 keeps all."""
        self.count = metrics.Counter(
            "/tensorflow/serving/request_log_count", ("model_name", "status")
        )
        self._max_files = max_files
        self._lock = threading.Lock()
        # Replaced, never changed.
        self._logs: Mapping[str, RequestLog] = {}

    def configure(self, configs: Mapping[str, LogConfig]) -> None:
        """Logs the requests of these models from now on; logs that change or go are finished.

        Raises:
            errors.ServableError: the directory of a prefix is not there and cannot be made.
        """
        for config in configs.values():
            _make_directory(config.filename_prefix)
        with self._lock:
            old = self._logs
            logs = {}
            for name, config in configs.items():
                log = old.get(name)
                if log is None or log.config != config:
                    log = RequestLog(name, config, self.count, self._max_files)
                    log.start()
                logs[name] = log
            self._logs = logs
        for name, log in old.items():
            if logs.get(name) is not log:
                log.close()

    def logged_rpcs(
        self, methods: Mapping[str, Callable[[Any, int], Any]]
    ) -> dict[str, Callable[[Any, int], Any]]:
        """The methods of PredictionService, whose answered requests are logged from now on."""
        return {name: self._logged(name, method) for name, method in methods.items()}

    def close(self) -> None:
        """Finishes all logs; what waits is written if that takes no more than some seconds."""
        self.configure({})

    def _logged(self, name: str, method: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
        kind = _KINDS.get(name)
        if kind is None:
            return method

        def logged(request: Any, timeout_ms: int) -> Any:
            response = method(request, timeout_ms)
            if self._logs:
                spec = request.tasks[0].model_spec if request_has_tasks else request.model_spec
                log = self._logs.get(spec.name)
                if log is not None:
                    log.offer(kind, request, response)
            return response

        request_has_tasks = name == "MultiInference"
        return logged


class RequestLog:
    """The log of one model.

    Attributes:
        config: what it was made with.
    """

    def __init__(
        self,
        model_name: str,
        config: LogConfig,
        count: metrics.Counter,
        max_files: int = 0,
        max_waiting_bytes: int = _MAX_WAITING_BYTES,
    ) -> None:
        """Remembers what to do; `start` begins to write.

        Args:
            model_name: goes into the count.
            config: where, and how many.
            count: where records count, by model and status.
            max_files: how many files of this log stay; 0 for all.
            max_waiting_bytes: how much may wait to be written.
        """
        self.config = config
        self._model_name = model_name
        self._count = count
        self._max_files = max_files
        self._max_waiting_bytes = max_waiting_bytes
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._queue: queue.SimpleQueue[tuple[str, Any, Any, int] | None] = queue.SimpleQueue()
        # The thread's own.
        self._numbers = itertools.count(1)
        self._finished: list[str] = []
        self._writer: tf.io.TFRecordWriter | None = None
        self._path = ""
        self._in_file = 0
        self._not_before = 0.0
        self._thread = threading.Thread(
            target=self._write_all, name=f"request-log-{model_name}", daemon=True
        )

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def offer(self, kind: str, request: Any, response: Any) -> None:
        """Takes a request for the log if the sample has it and there is room; never waits for a file.

        Args:
            kind: field of a PredictionLog.
            request: a message, not changed any more.
            response: its answer, likewise; or its bytes.
        """
        if random.random() >= self.config.sampling_rate:
            return
        answer_bytes = len(response) if isinstance(response, bytes) else response.ByteSize()
        size = request.ByteSize() + answer_bytes + _ENTRY_BYTES
        with self._lock:
            full = self._waiting_bytes + size > self._max_waiting_bytes
            if not full:
                self._waiting_bytes += size
        if full:
            self._count.add(self._model_name, errors.Code.RESOURCE_EXHAUSTED.name)
            return
        self._queue.put((kind, request, response, size))

    def close(self) -> None:
        """Writes what waits, for some seconds at most, and finishes the file."""
        self._queue.put(None)
        self._thread.join(_CLOSE_SECS)

    def _write_all(self) -> None:
        while (entry := self._queue.get()) is not None:
            kind, request, response, size = entry
            status = self._write(kind, request, response)
            self._count.add(self._model_name, status.name)
            with self._lock:
                self._waiting_bytes -= size
        self._guarded(self._finish_file)

    def _write(self, kind: str, request: Any, response: Any) -> errors.Code:
        if time.monotonic() < self._not_before:
            return errors.Code.UNAVAILABLE
        try:
            record = self._record(kind, request, response)
        except Exception as error:  # such as one of 2 GiB: the file is as good as before
            _logger.error("A record for %s cannot be made: %s", self.config.filename_prefix, error)
            return errors.Code.INTERNAL

        def append() -> None:
            if self._writer is None:
                self._open_file()
            assert self._writer is not None
            self._writer.write(record)
            if self._queue.empty():
                self._writer.flush()
            self._in_file += 1
            # A file is one that a version can warm up with as it is.
            if self._in_file == warmup_file.MAX_RECORDS:
                self._finish_file()

        return self._guarded(append)

    def _guarded(self, work: Callable[[], None]) -> errors.Code:
        """Works on the file; after a failure it is left alone for a while."""
        try:
            work()
        except Exception as error:
            self._writer = None
            self._not_before = time.monotonic() + _FAILED_PAUSE_SECS
            _logger.error("Logging requests to %s failed: %s", self.config.filename_prefix, error)
            if isinstance(error, tf.errors.OpError):
                return errors.Code(error.error_code)
            return errors.Code.INTERNAL
        return errors.Code.OK

    def _record(self, kind: str, request: Any, response: Any) -> bytes:
        log = wire.PredictionLog()
        pair = getattr(log, kind)
        pair.request.CopyFrom(request)
        if isinstance(response, bytes):
            pair.response.ParseFromString(response)
        else:
            pair.response.CopyFrom(response)
        several = kind == "multi_inference_log"
        answered = pair.response.results[0] if several else pair.response
        log.log_metadata.model_spec.CopyFrom(answered.model_spec)
        log.log_metadata.sampling_config.sampling_rate = self.config.sampling_rate
        log.log_metadata.timestamp_secs = int(time.time())
        return log.SerializeToString()

    def _open_file(self) -> None:
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        number = next(self._numbers)
        self._path = f"{self.config.filename_prefix}-{now}-{os.getpid()}-{number:05}.tfrecord"
        self._in_file = 0
        self._writer = tf.io.TFRecordWriter(self._path + _UNFINISHED)

    def _finish_file(self) -> None:
        """Gives the file its name, and removes the oldest of too many."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.close()
        tf.io.gfile.rename(self._path + _UNFINISHED, self._path)
        self._finished.append(self._path)
        if self._max_files:
            while len(self._finished) > self._max_files:
                tf.io.gfile.remove(self._finished.pop(0))


def _make_directory(prefix: str) -> None:
    directory = os.path.dirname(prefix)
    try:
        tf.io.gfile.makedirs(directory)
    except tf.errors.OpError as error:
        raise errors.invalid_argument(
            f"Expected the log's filename_prefix {prefix} to lie in a directory that is there or can "
            f"be made: {error.message}"
        ) from error
