"""`tensorflow.python.distribute.estimator_training`, removed with 2.16: between an Estimator's RunConfig and the
distribute coordinator, which is still there.

The coordinator is used by a RunConfig with `train_distribute` and a cluster, in one of its two modes:

* independent worker: the cluster is TF_CONFIG's, every task runs the same program;
* standalone client: the cluster is `experimental_distribute.remote_cluster`, servers that wait; this program is none of
  them and drives all.

Any other job (one process with or without a strategy, parameter servers without one, a cluster with a `master`) needs
its settings read from TF_CONFIG and no more. Names, results and the texts of errors are those of TensorFlow 2.15.
"""

from __future__ import annotations

from collections.abc import Callable
import copy
import logging
from typing import Any, Optional

from tensorflow.python.distribute import collective_all_reduce_strategy
from tensorflow.python.distribute import distribute_coordinator as dc
from tensorflow.python.distribute import distribute_coordinator_context as dc_context
from tensorflow.python.distribute import multi_worker_util
from tensorflow.python.training import server_lib

_logger = logging.getLogger(__name__)

CHIEF = dc._TaskType.CHIEF
EVALUATOR = dc._TaskType.EVALUATOR
PS = dc._TaskType.PS
WORKER = dc._TaskType.WORKER

# With it a remote cluster's client hangs on 2.15: the workers do not know each other's devices. Its V1 twin works.
_MULTI_WORKER = collective_all_reduce_strategy.CollectiveAllReduceStrategy

_STANDALONE = dc.CoordinatorMode.STANDALONE_CLIENT
_INDEPENDENT = dc.CoordinatorMode.INDEPENDENT_WORKER

# The two roles of a strategy: RunConfig keeps it as `_<role>_distribute`, an Estimator as `_<role>_distribution`.
_TRAIN = "train"
_EVAL = "eval"


def init_run_config(config: Any, tf_config: dict[str, Any]) -> None:
    """Sets the distribution settings of `config`, a RunConfig that was given a strategy.

    Args:
      config: the RunConfig; `experimental_distribute`'s strategies move to `train_distribute` and `eval_distribute`,
        and what is known of the cluster is filled in. With the coordinator that is the cluster alone: it tells each
        task later which one it is.
      tf_config: TF_CONFIG, parsed.

    Raises:
      ValueError: a strategy or the cluster is given twice, TF_CONFIG describes no cluster, or the strategy cannot be
        driven by the client of a remote cluster.
    """
    for role in (_TRAIN, _EVAL):
        _take_strategy(config, f"{role}_distribute")
    in_environment = server_lib.ClusterSpec(tf_config.get("cluster", {}))
    config._init_distributed_setting_from_environment_var({})

    remote = config._experimental_distribute and config._experimental_distribute.remote_cluster
    if config._train_distribute and remote:
        if in_environment:
            raise ValueError(
                'Cannot set both "cluster_spec" of TF_CONFIG and `experimental_distribute.remote_cluster`'
            )
        if isinstance(config._train_distribute, _MULTI_WORKER):
            raise ValueError(
                "Expected a strategy that one client can drive (MirroredStrategy or ParameterServerStrategy) with "
                f"`experimental_distribute.remote_cluster`, found {type(config._train_distribute).__name__}: its "
                "workers would wait for each other for ever. Start the program once a worker, with TF_CONFIG."
            )
        config._distribute_coordinator_mode = _STANDALONE
        config._cluster_spec = remote
    elif config._train_distribute and in_environment and "master" not in in_environment.jobs:
        config._distribute_coordinator_mode = _INDEPENDENT
        config._cluster_spec = in_environment
    else:
        config._distribute_coordinator_mode = None
        config._init_distributed_setting_from_environment_var(tf_config)
        config._maybe_overwrite_session_config_for_distributed_training()
    _logger.info("Distribute coordinator: %s", config._distribute_coordinator_mode or "not used")


def _take_strategy(config: Any, name: str) -> None:
    given = getattr(config._experimental_distribute, name, None)
    if not given:
        return
    if getattr(config, f"_{name}"):
        # One sentence with TensorFlow's own slip in it: programs may look for it.
        raise ValueError(f"Either `{name}` or`experimental_distribute.{name}` can be set.")
    setattr(config, f"_{name}", given)


def should_run_distribute_coordinator(config: Any) -> bool:
    """Returns whether `train_and_evaluate` with this RunConfig is a matter of the coordinator."""
    mode = getattr(config, "_distribute_coordinator_mode", None)
    if mode is None:
        return False
    if mode not in (_STANDALONE, _INDEPENDENT):
        _logger.warning("Unexpected distribute_coordinator_mode: %r", mode)
        return False
    if not config.cluster_spec:
        _logger.warning(
            "Running `train_and_evaluate` locally, ignoring `experimental_distribute_coordinator_mode`."
        )
        return False
    return True


def train_and_evaluate(
    estimator: Any, train_spec: Any, eval_spec: Any, executor_cls: Callable[..., Any]
) -> None:
    """Runs `estimator.train_and_evaluate` in the coordinator: this task's part of it, or, as the client of a remote
    cluster, all of it. Parameter servers do not return.

    As on TensorFlow 2.15, `train_spec.saving_listeners` are not used.

    Args:
      estimator: the Estimator.
      train_spec: TrainSpec. Its hooks run in every independent worker, and in a remote cluster, where threads stand for
        the workers, on the chief alone.
      eval_spec: EvalSpec, for the evaluator.
      executor_cls: the wheel's class that evaluates and exports each new checkpoint.

    Raises:
      ValueError: the Estimator's RunConfig does not use the coordinator.
    """
    mode = estimator.config._distribute_coordinator_mode
    if not mode:
        raise ValueError("Distribute coordinator mode is not specified in `RunConfig`.")

    def train(strategy: Any) -> None:
        context = dc_context.get_current_worker_context()
        local = _in_this_task(estimator, _TRAIN, strategy, context)
        # Or `train` would start the coordinator within the coordinator.
        local._config._distribute_coordinator_mode = None
        local.train(
            input_fn=train_spec.input_fn,
            max_steps=train_spec.max_steps,
            hooks=list(train_spec.hooks) if mode == _INDEPENDENT or context.is_chief else [],
        )

    def evaluate(strategy: Any) -> None:
        context = dc_context.get_current_worker_context()
        local = _in_this_task(estimator, _EVAL, strategy, context)
        local._config._distribute_coordinator_mode = None
        executor_cls(local, train_spec, eval_spec)._start_continuous_evaluation()

    _coordinate(
        estimator.config,
        train,
        estimator.config.train_distribute,
        # Without one given, the coordinator reads TF_CONFIG for the cluster and for this task of it.
        estimator.config.cluster_spec if mode == _STANDALONE else None,
        evaluate,
        estimator.config.eval_distribute,
    )


def estimator_train(
    estimator: Any, train_distributed_fn: Callable[[Any, Any, list[Any]], Any], hooks: list[Any]
) -> Any:
    """Runs `Estimator.train` as the client of a remote cluster.

    Args:
      estimator: the Estimator.
      train_distributed_fn: trains; takes a copy of the Estimator set up for its task, the strategy, the hooks.
      hooks: for the chief.

    Returns:
      the copy of the Estimator that was trained.

    Raises:
      ValueError: the cluster has an evaluator, is TF_CONFIG's, or the strategy builds one graph a worker.
    """

    def train(strategy: Any) -> Any:
        context = dc_context.get_current_worker_context()
        local = _in_this_task(estimator, _TRAIN, strategy, context)
        train_distributed_fn(local, strategy, hooks if context.is_chief else [])
        return local

    return _coordinate_one_call(estimator, train, _TRAIN, "`estimator.train`", "`Estimator.train`")


def estimator_evaluate(
    estimator: Any,
    evaluate_distributed_fn: Callable[[Any, Any, list[Any]], Any],
    hooks: list[Any],
) -> Any:
    """Runs `Estimator.evaluate` as the client of a remote cluster.

    Args:
      estimator: the Estimator.
      evaluate_distributed_fn: evaluates; takes a copy of the Estimator set up for its task, the strategy, the hooks.
      hooks: for the chief.

    Returns:
      what `evaluate_distributed_fn` returned: the metrics.

    Raises:
      ValueError: as `estimator_train`.
    """

    def evaluate(strategy: Any) -> Any:
        context = dc_context.get_current_worker_context()
        local = _in_this_task(estimator, _EVAL, strategy, context)
        return evaluate_distributed_fn(local, strategy, hooks if context.is_chief else [])

    name = "`Estimator.evaluate`"
    return _coordinate_one_call(estimator, evaluate, _EVAL, name, name)


def _coordinate_one_call(
    estimator: Any, worker_fn: Callable[[Any], Any], role: str, called: str, api: str
) -> Any:
    config = estimator._config
    strategy = getattr(config, f"_{role}_distribute")
    assert config._distribute_coordinator_mode and config.cluster_spec and strategy
    cluster_spec = multi_worker_util.normalize_cluster_spec(config.cluster_spec)
    if EVALUATOR in cluster_spec.jobs:
        raise ValueError("'evaluator' job is not supported if you don't use `train_and_evaluate`")
    if config._distribute_coordinator_mode != _STANDALONE:
        raise ValueError(f"Only `STANDALONE_CLIENT` mode is supported when you call {called}")
    if strategy.extended.experimental_between_graph:
        # Several workers would each return something, and there is one caller.
        raise ValueError(
            f"{api} API is not supported for {type(strategy).__name__} with `STANDALONE_CLIENT` mode."
        )
    return _coordinate(config, worker_fn, strategy, cluster_spec)


def _coordinate(
    config: Any,
    worker_fn: Callable[[Any], Any],
    strategy: Any,
    cluster_spec: Any,
    eval_fn: Optional[Callable[[Any], Any]] = None,
    eval_strategy: Any = None,
) -> Any:
    return dc.run_distribute_coordinator(
        worker_fn,
        strategy,
        eval_fn,
        eval_strategy,
        mode=config._distribute_coordinator_mode,
        cluster_spec=cluster_spec,
        session_config=config.session_config,
    )


def _in_this_task(estimator: Any, role: str, strategy: Any, context: Any) -> Any:
    """Returns a copy of the Estimator for the task that `context`, the coordinator's, describes.

    A copy, because in a remote cluster each task is a thread of one program.
    """
    local = copy.deepcopy(estimator)
    setattr(local._config, f"_{role}_distribute", strategy)
    setattr(local, f"_{role}_distribution", strategy)
    _set_task(local._config, context)
    _logger.info("Config of this task: %s", vars(local._config))
    return local


def _set_task(config: Any, context: Any) -> None:
    cluster_spec = context.cluster_spec
    config._service = None
    config._cluster_spec = cluster_spec
    config._task_type = context.task_type
    config._task_id = context.task_id
    config._master = config._evaluation_master = context.master_target
    config._is_chief = context.is_chief
    if not cluster_spec:
        config._global_id_in_cluster = 0
        config._num_ps_replicas = 0
        config._num_worker_replicas = 1
    elif context.task_type == EVALUATOR:
        # An evaluator is alone: it must not see the others.
        config._cluster_spec = server_lib.ClusterSpec({})
        config._global_id_in_cluster = None
        config._num_ps_replicas = 0
        config._num_worker_replicas = 0
    else:
        config._global_id_in_cluster = _global_id(cluster_spec, context.task_type, context.task_id)
        config._num_ps_replicas = multi_worker_util.task_count(cluster_spec, PS)
        config._num_worker_replicas = sum(
            multi_worker_util.task_count(cluster_spec, job) for job in (CHIEF, WORKER)
        )


def _global_id(cluster_spec: Any, task_type: Optional[str], task_id: Optional[int]) -> int:
    """Returns the task's place in the cluster: the chief, then every other job by name, parameter servers last."""
    if not task_type:  # the client of a remote cluster
        return 0
    jobs = sorted(cluster_spec.jobs, key=lambda job: (job != CHIEF, job == PS, job))
    before = jobs[: jobs.index(task_type)]
    return sum(cluster_spec.num_tasks(job) for job in before) + (task_id or 0)
