"""What is counted of batches, with the stock server's metrics (TF Serving: batching_session.cc, batching_util.h)."""

from estimator_app.serving import metrics

_SIZE_LIMITS = metrics.exponential(1, 2, 14)
_LATENCY_LIMITS_USEC = metrics.exponential(100, 1.2, 52)


class BatchingMetrics:
    """Counts batches. May be used from several threads at once.

    Attributes:
        input_batch_size: rows of requests, for each of their tensors.
        padding_size: rows that a batch was filled up with, by the size it has then.
        processed_batch_size: rows of batches once they are filled up.
        queuing_latency: microseconds between a request and the start of its batch. The label is
            empty, as in the stock server.
        wrapped_run_count: runs of sessions.
    """

    def __init__(self) -> None:
        prefix = "/tensorflow/serving/batching_session/"
        self.input_batch_size = metrics.Histogram(f"{prefix}input_batch_size", (), _SIZE_LIMITS)
        self.padding_size = metrics.Histogram(
            f"{prefix}padding_size", ("execution_batch_size",), _SIZE_LIMITS
        )
        self.processed_batch_size = metrics.Histogram(
            f"{prefix}processed_batch_size", (), _SIZE_LIMITS
        )
        self.queuing_latency = metrics.Histogram(
            f"{prefix}queuing_latency", ("thread_pool_name",), _LATENCY_LIMITS_USEC
        )
        self.wrapped_run_count = metrics.Counter(f"{prefix}wrapped_run_count", ())

    def all(self) -> tuple[metrics.Counter | metrics.Histogram, ...]:
        """Every one of them."""
        return (
            self.input_batch_size,
            self.padding_size,
            self.processed_batch_size,
            self.queuing_latency,
            self.wrapped_run_count,
        )
