"""What newer TensorFlow took away and the untouched wheel `tensorflow-estimator==2.15.0` still imports.

Every piece names the release that removed it. `apply()` supplies only what is missing, so it does nothing on 2.15 and
nothing the second time.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any, NoReturn

from estimator_app.compat import versions


def apply() -> None:
    """Supplies the missing pieces, so that `import tensorflow_estimator` works on the imported TensorFlow."""
    _add_estimator_api_name()
    _add_module(
        "tensorflow.python.distribute.estimator_training",
        init_run_config=_init_run_config,
        should_run_distribute_coordinator=_should_run_distribute_coordinator,
        train_and_evaluate=_refuse_coordinator,
        estimator_train=_refuse_coordinator,
        estimator_evaluate=_refuse_coordinator,
    )
    # Removed with 2.16: TPU embedding of Estimators. tpu_estimator.py imports these names at its top, and
    # `tensorflow_estimator` imports tpu_estimator.py, although nothing of them is called without a TPU.
    _add_module(
        "tensorflow.python.tpu.tpu_embedding",
        **{name: _absent(name) for name in _TPU_EMBEDDING_NAMES},
    )
    _add_module("tensorflow.python.tpu.tpu_embedding_gradient")
    _add_module("tensorflow.python.tpu.session_support")


_TPU_EMBEDDING_NAMES = (
    "AdagradParameters",
    "AdamParameters",
    "FtrlParameters",
    "MomentumParameters",
    "ProximalAdagradParameters",
    "RMSPropParameters",
    "StochasticGradientDescentParameters",
)


def _absent(name: str) -> type:
    """Returns a class that can be named and compared with `isinstance`, but not made."""

    def __init__(self: object, *unused_args: object, **unused_kwargs: object) -> None:
        raise versions.UnsupportedTensorFlowError(
            f"Expected a TensorFlow with TPU embedding for Estimators, found one of 2.16 or later, which removed "
            f"{name}. Use TensorFlow 2.15 for TPU embeddings."
        )

    return type(name, (), {"__init__": __init__})


def _add_module(name: str, **members: Any) -> None:
    """Registers a stand-in for the module `name`, unless TensorFlow has it."""
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    module = types.ModuleType(name, "Stand-in supplied by estimator_app.compat.patches.")
    vars(module).update(members)
    sys.modules[name] = module
    parent, child = name.rsplit(".", 1)
    setattr(importlib.import_module(parent), child, module)


def _add_estimator_api_name() -> None:
    """Teaches `tf_export` the API name "estimator", removed with 2.16; every public class of the wheel uses it."""
    from tensorflow.python.util import tf_export

    if hasattr(tf_export, "ESTIMATOR_API_NAME"):
        return
    tf_export.ESTIMATOR_API_NAME = "estimator"
    tf_export.API_ATTRS["estimator"] = tf_export._Attributes(
        "_estimator_api_names", "_estimator_api_constants"
    )
    tf_export.API_ATTRS_V1["estimator"] = tf_export._Attributes(
        "_estimator_api_names_v1", "_estimator_api_constants_v1"
    )


# The three functions below stand for `estimator_training`, removed with 2.16: the bridge between RunConfig and the
# distribute coordinator. Without a strategy (one process, or a parameter server cluster from TF_CONFIG) RunConfig only
# needs its settings read from TF_CONFIG; a strategy in one process needs nothing more.


def _init_run_config(config: Any, tf_config: dict[str, Any]) -> None:
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


def _should_run_distribute_coordinator(unused_config: Any) -> bool:
    return False


def _refuse_coordinator(*unused_args: object, **unused_kwargs: object) -> NoReturn:
    raise versions.UnsupportedTensorFlowError(
        "Expected a cluster without `train_distribute` (parameter servers from TF_CONFIG), found a distribution "
        "strategy over several processes, which this release supports on TensorFlow 2.15 only. Leave "
        "`train_distribute` out, or use TensorFlow 2.15."
    )
