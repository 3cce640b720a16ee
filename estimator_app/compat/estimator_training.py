"""`tensorflow.python.distribute.estimator_training`, removed with 2.16: the bridge between RunConfig and the distribute
coordinator.

Without a strategy (one process, or a parameter server cluster from TF_CONFIG) RunConfig only needs its settings read
from TF_CONFIG; a strategy in one process needs nothing more.
"""

from __future__ import annotations

from typing import Any, NoReturn

from estimator_app.compat import versions


def init_run_config(config: Any, tf_config: dict[str, Any]) -> None:
    """Fills the distribution settings of a RunConfig from its arguments and TF_CONFIG."""
    distribute = config._experimental_distribute
    for name in ("train_distribute", "eval_distribute"):
        if distribute and getattr(distribute, name):
            if getattr(config, f"_{name}"):
                raise ValueError(
                    f"Expected one of `{name}` and `experimental_distribute.{name}`, found both. Set one."
                )
            setattr(config, f"_{name}", getattr(distribute, name))

    cluster = tf_config.get("cluster") or (distribute and distribute.remote_cluster)
    if cluster and config._train_distribute:
        _refuse_coordinator()

    config._distribute_coordinator_mode = None
    config._init_distributed_setting_from_environment_var(tf_config)
    config._maybe_overwrite_session_config_for_distributed_training()


def should_run_distribute_coordinator(unused_config: Any) -> bool:
    """Returns whether the coordinator runs this job."""
    return False


def _refuse_coordinator(*unused_args: object, **unused_kwargs: object) -> NoReturn:
    raise versions.UnsupportedTensorFlowError(
        "Expected a cluster without `train_distribute` (parameter servers from TF_CONFIG), found a distribution "
        "strategy over several processes, which this release supports on TensorFlow 2.15 only. Leave "
        "`train_distribute` out, or use TensorFlow 2.15."
    )


train_and_evaluate = estimator_train = estimator_evaluate = _refuse_coordinator
