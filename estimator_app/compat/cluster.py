"""Two failures of strategies in clusters, on every TensorFlow, 2.15 too (up to 2.22 at least).

A MultiWorkerMirroredStrategy in the evaluator: it runs the same program as the workers, so it makes the same strategy,
but it trains nothing and is alone. TensorFlow makes it a cluster of one all the same, and that fails with
`KeyError: 'evaluator'` if TF_CONFIG's cluster does not list it, as the guides say it should not, and otherwise in
`train_and_evaluate` with "cannot be deep copied in eager mode". Here it becomes what it is, a strategy of one process.

A remote cluster without an evaluator: what its client raises while it trains, the coordinator keeps for a `join` that
it calls only after an evaluator, and `Estimator.train` returns as if it had trained. Here it is raised.
"""

from __future__ import annotations

import functools
from typing import Any

from tensorflow.python.distribute import collective_all_reduce_strategy
from tensorflow.python.distribute import distribute_coordinator as dc

_EVALUATOR = dc._TaskType.EVALUATOR
_Extended = collective_all_reduce_strategy.CollectiveAllReduceExtended


def install() -> None:
    """Changes TensorFlow in these two places, for the strategies made and the jobs run from now on."""
    _install(_Extended, "_initialize_strategy", _local_in_evaluator)
    _install(dc, "_run_single_worker", _raising)


def _install(owner: Any, name: str, wrap: Any) -> None:
    original = getattr(owner, name)
    if not hasattr(original, "__wrapped__"):
        setattr(owner, name, functools.wraps(original)(wrap(original)))


def _local_in_evaluator(original: Any) -> Any:
    def initialize_strategy(self: Any, cluster_resolver: Any, devices: Any) -> None:
        if cluster_resolver.task_type == _EVALUATOR:
            self._initialize_local(cluster_resolver, devices=devices)
        else:
            original(self, cluster_resolver, devices=devices)

    return initialize_strategy


def _raising(original: Any) -> Any:
    def run_single_worker(
        worker_fn: Any,
        strategy: Any,
        cluster_spec: Any,
        task_type: Any,
        *args: Any,
        coord: Any = None,
        **kwargs: Any,
    ) -> Any:
        result = original(
            worker_fn, strategy, cluster_spec, task_type, *args, coord=coord, **kwargs
        )
        # Only the client itself has no task type; with an evaluator, its thread is joined, and that raises.
        if coord is not None and task_type is None and _EVALUATOR not in cluster_spec.jobs:
            coord.raise_requested_exception()
        return result

    return run_single_worker
