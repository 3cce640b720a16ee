"""Parameter servers that end when the training they served is done.

TensorFlow's own wait for ever (`Server.join` never returns). Here every chief and worker that has come to its last step
says so to each parameter server, in a queue that lives on it, and a parameter server returns once all have. A task that
was interrupted or has failed says nothing: it may be started again, and needs its parameter servers then.

Clusters from TF_CONFIG without a strategy; those of a ParameterServerStrategy wait for ever, as TensorFlow's.
"""

from __future__ import annotations

import logging
from typing import Any, Optional

import tensorflow as tf

from estimator_app.compat import estimator

_logger = logging.getLogger(__name__)

# Nobody is there to hear it if a parameter server was ended by hand.
_REPORT_TIMEOUT_MS = 10_000


def train_and_evaluate(model: Any, train_spec: Any, eval_spec: Any) -> Any:
    """Returns what `estimator.train_and_evaluate` returns; None from a parameter server, when every trainer is done.

    A trainer is done when it saw the global step reach `train_spec.max_steps`, found a checkpoint that had, or, without
    `max_steps`, when its training ended.
    """
    config = model.config
    if not config.num_ps_replicas:
        return estimator.train_and_evaluate(model, train_spec, eval_spec)
    if config.task_type == "ps":
        _serve(config)
        return None
    last_step = _LastStep()
    train_spec = train_spec._replace(hooks=(*train_spec.hooks, last_step))
    result = estimator.train_and_evaluate(model, train_spec, eval_spec)
    # No session at all: the checkpoint had come to `max_steps` before.
    if last_step.value is None or last_step.value >= (train_spec.max_steps or 0):
        report_done(config)
    return result


def report_done(config: Any) -> None:
    """Tells every parameter server that this task needs it no more; one that is gone already is left alone."""
    for index, address in enumerate(config.cluster_spec.job_tasks("ps")):
        try:
            with tf.Graph().as_default():
                report = _done(index).enqueue(f"{config.task_type}:{config.task_id}")
                with _session(f"{config.protocol or 'grpc'}://{address}", index) as session:
                    session.run(report)
        except tf.errors.OpError as error:
            _logger.info("Parameter server %s does not answer: %s", address, error.message)


def _serve(config: Any) -> None:
    server = tf.distribute.Server(
        config.cluster_spec,
        job_name=config.task_type,
        task_index=config.task_id,
        config=tf.compat.v1.ConfigProto(
            gpu_options=config.session_config.gpu_options if config.session_config else None
        ),
        protocol=config.protocol,
    )
    spec = config.cluster_spec
    trainers = {
        f"{job}:{index}"
        for job in spec.jobs
        if job not in ("ps", "evaluator")
        for index in spec.task_indices(job)
    }
    with tf.Graph().as_default():
        next_done = _done(config.task_id).dequeue()
        with _session(server.target, config.task_id, timeout_ms=0) as session:
            while trainers:
                trainers.discard(session.run(next_done).decode())


class _LastStep(tf.compat.v1.train.SessionRunHook):
    """Remembers the global step at which training ended."""

    value: Optional[int] = None

    def begin(self) -> None:
        self.value = -1  # training that fails does not come to `end`
        self._global_step = tf.compat.v1.train.get_global_step()

    def end(self, session: Any) -> None:
        self.value = int(session.run(self._global_step))


def _done(index: int) -> Any:
    """Returns the queue of tasks that are done, `"<job>:<index>"` each, on a parameter server."""
    with tf.device(f"/job:ps/task:{index}"):
        return tf.queue.FIFOQueue(-1, [tf.string], shapes=[[]], shared_name="tasks_that_are_done")


def _session(target: str, index: int, timeout_ms: int = _REPORT_TIMEOUT_MS) -> Any:
    # The filter: or the session would wait for every other task of the cluster, and some may have ended.
    return tf.compat.v1.Session(
        target,
        config=tf.compat.v1.ConfigProto(
            device_filters=[f"/job:ps/task:{index}"], operation_timeout_in_ms=timeout_ms
        ),
    )
