"""A MultiWorkerMirroredStrategy in the evaluator of a cluster, on every TensorFlow, 2.15 too.

The evaluator runs the same program as the workers, so it makes the same strategy, but it trains nothing and is alone.
TensorFlow, up to 2.22 at least, makes it a cluster of one all the same, and that fails with `KeyError: 'evaluator'` if
TF_CONFIG's cluster does not list it, as the guides say it should not, and otherwise in `train_and_evaluate` with
"cannot be deep copied in eager mode". Here it becomes what it is, a strategy of one process.
"""

from __future__ import annotations

import functools
from typing import Any

from tensorflow.python.distribute import collective_all_reduce_strategy

_Extended = collective_all_reduce_strategy.CollectiveAllReduceExtended
_WRAPPED = "__wrapped__"


def install() -> None:
    """Makes strategies that are made from now on local where TF_CONFIG, or their cluster resolver, says "evaluator"."""
    original = _Extended._initialize_strategy
    if hasattr(original, _WRAPPED):
        return

    @functools.wraps(original)
    def initialize_strategy(self: Any, cluster_resolver: Any, devices: Any) -> None:
        if cluster_resolver.task_type == "evaluator":
            self._initialize_local(cluster_resolver, devices=devices)
        else:
            original(self, cluster_resolver, devices=devices)

    _Extended._initialize_strategy = initialize_strategy
