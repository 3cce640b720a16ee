"""What is counted of requests: the one place for gRPC and REST, with the stock server's metrics.

    counted = request_metrics.RequestMetrics()
    with counted.request("GRPC", "Predict", "census"):
        model.predict(inputs)

Names, labels and buckets are those of TF Serving's servables/tensorflow/util.cc.
"""

from collections.abc import Callable
import contextlib
import contextvars
import dataclasses
import time
from typing import Any

from estimator_app.serving import batching_metrics, metrics, warm_up_metrics
from export import errors

GRPC = "GRPC"
REST = "REST"

_COUNTED_RPCS = ("Predict", "Classify", "Regress")
_RUNTIME = "TF1"
_LATENCY_LIMITS_USEC = metrics.exponential(10, 1.8, 33)
_EXAMPLE_LIMITS = metrics.exponential(1, 2, 15)


@dataclasses.dataclass
class Call:
    """A request under way.

    Attributes:
        model_name: the model that it names; empty as long as that is not known.
        api: `Predict`, `Classify` and so on, in small letters for REST; empty for what is no inference.
    """

    model_name: str
    api: str


# The request that the running thread works for, so that a run of a session finds its model's name.
_current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("current_call", default=None)


class RequestMetrics:
    """Counts requests, and times them. Methods may be called from several threads at once.

    Attributes:
        request_count: requests by model and status.
        request_latency: microseconds of requests that succeeded, by model, API and entrypoint.
        warm_up: what is counted of warm-ups.
        others: further counters of the page.
        batching: what is counted of batches.
    """

    def __init__(self) -> None:
        prefix = "/tensorflow/serving/"
        self.request_count = metrics.Counter(f"{prefix}request_count", ("model_name", "status"))
        self.request_latency = metrics.Histogram(
            f"{prefix}request_latency", ("model_name", "API", "entrypoint"), _LATENCY_LIMITS_USEC
        )
        self._runtime_latency = metrics.Histogram(
            f"{prefix}runtime_latency", ("model_name", "API", "runtime"), _LATENCY_LIMITS_USEC
        )
        self._example_counts = metrics.Histogram(
            f"{prefix}request_example_counts", ("model",), _EXAMPLE_LIMITS
        )
        self._example_count_total = metrics.Counter(
            f"{prefix}request_example_count_total", ("model",)
        )
        self.others: list[metrics.Counter] = []
        self.warm_up = warm_up_metrics.WarmUpMetrics()
        self.batching = batching_metrics.BatchingMetrics()

    def page(self) -> str:
        """The page for Prometheus."""
        return metrics.page(
            (
                self.request_count,
                self.request_latency,
                self._runtime_latency,
                self._example_counts,
                self._example_count_total,
                *self.warm_up.all(),
                *self.others,
                *self.batching.all(),
            )
        )

    def request(
        self, entrypoint: str, api: str = "", model_name: str = ""
    ) -> contextlib.AbstractContextManager[Call]:
        """Counts what happens inside as one request; its errors pass through.

        Args:
            entrypoint: GRPC or REST.
            api: see Call.
            model_name: see Call.

        Returns:
            what yields the Call, whose attributes may be set as soon as they are known.
        """
        return _Request(self, entrypoint, Call(model_name, api))

    def add_run(self, secs: float) -> None:
        """Adds the time of a session's run; one that is for no request (such as a warm-up) does not count."""
        call = _current.get()
        if call is not None:
            api = call.api.capitalize()
            self._runtime_latency.add(call.model_name, api, _RUNTIME, value=secs * 1e6)

    def counted_rpcs(self, methods: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
        """The methods of the gRPC services, those counted that the stock server counts.

        Args:
            methods: RPC name -> method, whose first argument is the request.
        """
        return {name: self._counted(name, method) for name, method in methods.items()}

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        if name in _COUNTED_RPCS:

            def counted(request: Any, *args: Any) -> Any:
                with self.request(GRPC, name, request.model_spec.name):
                    return method(request, *args)

            return counted
        if name == "MultiInference":

            def with_examples(request: Any, *args: Any) -> Any:
                response = method(request, *args)
                kind = request.input.WhichOneof("kind")
                count = len(getattr(request.input, kind).examples) if kind else 0
                model = request.tasks[0].model_spec.name if request.tasks else ""
                self._example_counts.add(model, value=count)
                self._example_count_total.add(model, amount=count)
                return response

            return with_examples
        return method


class _Request:
    """Counts one request; a class, since a generator takes as long as all the rest of it."""

    __slots__ = ("_metrics", "_entrypoint", "_call", "_token", "_started")

    def __init__(self, metrics_of: RequestMetrics, entrypoint: str, call: Call) -> None:
        self._metrics = metrics_of
        self._entrypoint = entrypoint
        self._call = call

    def __enter__(self) -> Call:
        self._token = _current.set(self._call)
        self._started = time.perf_counter()
        return self._call

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        call = self._call
        _current.reset(self._token)
        if error is None:
            usec = (time.perf_counter() - self._started) * 1e6
            self._metrics.request_count.add(call.model_name, errors.Code.OK.name)
            self._metrics.request_latency.add(
                call.model_name, call.api, self._entrypoint, value=usec
            )
        elif isinstance(error, errors.ServableError):
            self._metrics.request_count.add(call.model_name, error.code.name)
        elif isinstance(error, Exception):
            self._metrics.request_count.add(call.model_name, errors.Code.INTERNAL.name)
