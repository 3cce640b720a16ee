"""Warm-up: requests that lie in a version's directory are run before it serves.

    load = warm_up.WarmUp(warm_up_metrics.WarmUpMetrics()).after(servable.Servable)
    model = load("/models/census/3")

The first run of a graph is slow: memory is allocated, kernels are chosen, XLA compiles. Records,
their limits and their sentences are TF Serving's (saved_model_warmup.cc, saved_model_warmup_util.cc).
"""

from collections.abc import Callable, Iterator
import contextlib
import logging
import time
from typing import Any

from google.protobuf import message
import tensorflow as tf

from estimator_app.serving import servicers, warm_up_metrics
from export import errors, servable, warmup_file
from serving_client import wire

_logger = logging.getLogger(__name__)

_LoadFn = Callable[[str], servable.Servable]


class WarmUp:
    """Runs a version's warm-up requests when it is loaded."""

    def __init__(self, counted: warm_up_metrics.WarmUpMetrics, iterations: int = 1) -> None:
        """Runs each record `iterations` times and counts in `counted`."""
        self._counted = counted
        self._iterations = iterations

    def after(self, load_fn: _LoadFn) -> _LoadFn:
        """Returns what loads by `load_fn` and then warms up; a record that fails is a load that fails."""

        def load(path: str) -> servable.Servable:
            model = load_fn(path)
            try:
                self.run(path, model)
            except BaseException:
                model.close()
                model.free()
                raise
            return model

        return load

    def run(self, path: str, model: servable.Servable) -> None:
        """Runs the requests that the version at `path` carries; nothing if it has none.

        Raises:
            errors.ServableError: the file cannot be read, has too many records, or a request fails.
        """
        file = warmup_file.path_of(path)
        if not tf.io.gfile.exists(file):
            return
        _logger.info("Starting to read warmup data for model at %s", file)
        started = time.perf_counter()
        count = 0
        try:
            for record in warmup_file.read(file):
                log = _parse(record, file)
                count += 1
                if count > warmup_file.MAX_RECORDS:
                    raise errors.invalid_argument(
                        "Number of warmup records exceeds the maximum "
                        f"({warmup_file.MAX_RECORDS}) at {file}"
                    )
                for _ in range(self._iterations):
                    run_record(log, model)
        except errors.ServableError as error:
            if error.code == errors.Code.DATA_LOSS:
                self._count(path, str(error), started, count)
            raise
        self._count(path, errors.Code.OK.name, started, count)
        _logger.info(
            "Finished reading warmup data for model at %s. Number of warmup records read: %d. "
            "Elapsed time (microseconds): %d.",
            file,
            count,
            (time.perf_counter() - started) * 1e6,
        )

    def _count(self, path: str, status: str, started: float, count: int) -> None:
        self._counted.latency.add(path, status, value=(time.perf_counter() - started) * 1e6)
        self._counted.records_read.add(path, status, amount=count)


def run_record(log: Any, model: servable.Servable) -> None:
    """Asks `model` what a `PredictionLog` asks; the answer is made and dropped.

    Which model and which version the record names is not looked at. One without a request, or of a
    kind that this program does not know, does nothing.

    Raises:
        errors.ServableError: `UNIMPLEMENTED` for a kind that cannot warm up; what the model says.
    """
    service = servicers.PredictionService(_Alone(model))
    methods: dict[str, Callable[[Any, int], Any]] = {
        "predict_log": service.predict,
        "classify_log": service.classify,
        "regress_log": service.regress,
        "multi_inference_log": service.multi_inference,
    }
    kind = log.WhichOneof("log_type")
    if kind is None:
        return
    if kind not in methods:
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise errors.ServableError(
            errors.Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}"
        )
    request = getattr(log, kind).request
    if kind != "multi_inference_log":
        request.model_spec.SetInParent()  # A record needs none, a call does.
    methods[kind](request, 0)


class _Alone:
    """One loaded version, which answers whatever a request names."""

    def __init__(self, model: servable.Servable) -> None:
        self._model = model

    @contextlib.contextmanager
    def acquire(
        self, name: str, version: int | None = None, label: str | None = None, timeout_ms: int = 0
    ) -> Iterator[tuple[int, servable.Servable, int]]:
        """See model_table.ModelTable.acquire."""
        del name, version, label
        yield 0, self._model, timeout_ms


def _parse(record: bytes, file: str) -> Any:
    try:
        return wire.PredictionLog.FromString(record)
    except message.DecodeError as error:
        shown = record.decode("utf-8", "surrogateescape")
        raise errors.invalid_argument(
            f"Failed to parse warmup record: {shown} from {file}"
        ) from error
