"""What is counted of warm-ups (TF Serving: saved_model_warmup_util.cc)."""

from collections.abc import Sequence

from estimator_app.serving import metrics

_LABELS = ("model_path", "status")


class WarmUpMetrics:
    """The two metrics of warm-ups.

    Attributes:
        latency: microseconds of whole warm-ups, by directory of the version and how they ended.
        records_read: records that were run, likewise.
    """

    def __init__(self) -> None:
        prefix = "/tensorflow/serving/model_warmup"
        self.latency = metrics.Histogram(
            f"{prefix}_latency", _LABELS, metrics.exponential(10, 1.8, 33)
        )
        self.records_read = metrics.Counter(f"{prefix}_records_read", _LABELS)

    def all(self) -> Sequence[metrics.Counter | metrics.Histogram]:
        """Every metric, for the page."""
        return (self.latency, self.records_read)
