"""Estimator's own parts of a job: RunConfig, TrainSpec, EvalSpec; one call of `train_and_evaluate`."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from estimator_app import exporters
from estimator_app import settings as settings_lib
from estimator_app.compat import estimator, parameter_servers


class ClusterError(ValueError):
    """TF_CONFIG does not describe a cluster."""


def make_run_config(train: settings_lib.TrainSettings) -> Any:
    """Returns the RunConfig of a job; the cluster, if any, comes from TF_CONFIG.

    Raises:
      ClusterError: TF_CONFIG does not describe a cluster.
    """
    try:
        return _make_run_config(train)
    except (TypeError, ValueError) as error:
        if "TF_CONFIG" not in os.environ:
            raise
        raise ClusterError(
            f"Expected TF_CONFIG to describe a cluster and this task of it, found: {error}. Correct it, or unset it to "
            f"train in one process."
        ) from error


def _make_run_config(train: settings_lib.TrainSettings) -> Any:
    return estimator.RunConfig(
        model_dir=train.model_dir,
        tf_random_seed=train.seed,
        save_checkpoints_steps=train.save_checkpoints_steps,
        keep_checkpoint_max=train.keep_checkpoint_max,
        save_summary_steps=train.save_summary_steps,
        # Written with the summaries: one point of steps/s for each point of the loss.
        log_step_count_steps=train.save_summary_steps,
    )


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The two input functions of a job: no arguments, a dataset of (features, labels) each."""

    train: Any
    eval: Any


def train_and_evaluate(
    model: Any,
    inputs: Inputs,
    max_steps: int,
    train: settings_lib.TrainSettings,
    exporter: exporters.PublishingExporter,
    train_hooks: list[Any],
    saving_listeners: list[Any],
    eval_hooks: list[Any],
) -> None:
    """Trains up to `max_steps`, evaluating and exporting on the way, from wherever the model directory's checkpoint
    stands. The exporter is told of every evaluation.

    A task of a cluster does its own part: a parameter server returns when every other task has trained to the end.
    """
    train_spec = estimator.TrainSpec(
        inputs.train, max_steps=max_steps, hooks=train_hooks, saving_listeners=saving_listeners
    )
    eval_spec = estimator.EvalSpec(
        inputs.eval,
        steps=train.eval_steps,
        hooks=eval_hooks,
        exporters=exporter,
        # Every checkpoint is evaluated: how often is said once, by save_checkpoints_steps. An evaluator of a cluster
        # looks for new ones in a loop, which has to pause.
        start_delay_secs=0,
        throttle_secs=1 if model.config.task_type == "evaluator" else 0,
    )
    parameter_servers.train_and_evaluate(model, train_spec, eval_spec)


def evaluate_and_export(
    model: Any,
    inputs: Inputs,
    train: settings_lib.TrainSettings,
    exporter: exporters.PublishingExporter,
    checkpoint_path: str,
    eval_hooks: list[Any],
) -> None:
    """Evaluates and exports one checkpoint: what is left of a job that ended between its last step and its export.

    In a cluster with parameter servers that is the evaluator's part.
    """
    if model.config.num_ps_replicas and model.config.task_type != "evaluator":
        # This task came after the others had ended; parameter servers wait for every chief and worker.
        if model.config.task_type != "ps":
            parameter_servers.report_done(model.config)
        return
    metrics = model.evaluate(
        inputs.eval, steps=train.eval_steps, hooks=eval_hooks, checkpoint_path=checkpoint_path
    )
    exporter.export(model, train.model_dir, checkpoint_path, metrics, is_the_final_export=True)
