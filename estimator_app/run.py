"""The story of one job: check, read the data, build the model, train and evaluate, export, record."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import math
import os
import time
from typing import Any, Optional, TextIO

import tensorflow as tf

from estimator_app import (
    export_record,
    exporters,
    input_positions,
    interruption,
    job_dir,
    preparation,
    progress,
)
from estimator_app import result as result_lib
from estimator_app import sample
from estimator_app import settings as settings_lib
from estimator_app import step_guard, training, verification
from estimator_app import warm_start as warm_start_lib
from estimator_app.models import feature_parser, registry
from estimator_app.models.problem import Problem
from export import versions
from input_fns import errors


def run(
    settings: settings_lib.RunSettings, progress_stream: Optional[TextIO] = None
) -> result_lib.RunResult:
    """Runs a job, from wherever its model directory stands, to its end.

    1. The model directory and the model's name are checked; nothing is written yet.
    2. The data is read once: schema, statistics, number of rows, bad rows.
    3. The settings are recorded and the Estimator is built.
    4. `train_and_evaluate` up to the last step, publishing exports on the way.
    5. The result is recorded; a start that finds it has nothing to do.

    Args:
      settings: the job.
      progress_stream: where progress goes; None means nowhere.

    Raises:
      ValueError: the request was wrong; one sentence. (InputError, JobDirError, UnknownModelError)
      VerificationError: an export does not answer as the Estimator does; it was not published.
      Interrupted: SIGTERM or Ctrl-C, after the checkpoint was written.
    """
    say = progress.make_sayer(settings.train.progress, progress_stream)
    config = training.make_run_config(settings.train)
    if settings.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    with contextlib.ExitStack() as stack:
        # A parameter server waits inside TensorFlow, where Python's handlers do not run; it has nothing to save either.
        interrupted = stack.enter_context(interruption.Interruption(config.task_type != "ps"))
        job_dir.check(settings)
        model = registry.choose(settings.model)
        warm_start = _warm_start(settings)
        data = preparation.prepare(settings, say, config.is_chief)
        max_steps = _max_steps(settings, data.num_train_rows, model.one_pass)
        done = _already_finished(settings, max_steps, data.bad_rows)
        # A task of a cluster with parameter servers goes on, to tell them that it is done; they wait for that.
        if done and (not config.num_ps_replicas or config.task_type == "evaluator"):
            return done
        if config.is_chief:
            stack.enter_context(job_dir.lock(settings.train.model_dir))
            versions.remove_stale(settings.export_dir, time.time())
            job_dir.remove_leftovers(settings.train.model_dir)
            job_dir.record(settings)
            preparation.record(settings, data)

        problem = Problem(
            data.model_schema,
            data.statistics,
            settings.model,
            config,
            feature_parser.read(settings.model.features),
        )
        estimator = registry.build(model, problem)
        hooks: list[Any] = [
            interrupted.train_hook(),
            step_guard.StepGuardHook(settings.model.model),
        ]
        if warm_start:
            hooks.append(
                warm_start_lib.WarmStartHook(
                    warm_start, problem, settings.train.warm_start_vars, say
                )
            )
        inputs, listeners = _make_inputs(settings, data, model, config)
        exporter = _make_exporter(settings, data, say)
        started = time.monotonic()
        try:
            _train(
                settings,
                estimator,
                inputs,
                max_steps,
                exporter,
                interrupted,
                listeners,
                hooks,
                progress_stream,
            )
        except BaseException:
            if config.is_chief:  # the others' saves are the chief's to finish
                job_dir.remove_leftovers(settings.train.model_dir)
            raise
        interrupted.check()

    result = result_lib.RunResult(
        model_dir=settings.train.model_dir,
        export_dir=settings.export_dir,
        global_step=_checkpoint_step(settings.train.model_dir),
        max_steps=max_steps,
        metrics={
            name: float(value)
            for name, value in exporter.evaluated.items()
            if name != "global_step"
        },
        exports=tuple(exporter.published),
        bad_rows=data.bad_rows,
        train_secs=time.monotonic() - started,
    )
    if result.metrics:
        job_dir.write_json(
            os.path.join(settings.train.model_dir, job_dir.RESULT),
            {
                "global_step": result.global_step,
                "metrics": dict(result.metrics),
                "asked": _asked(settings),
            },
        )
    return result


def describe_interruption(
    settings: settings_lib.RunSettings, interrupted: interruption.Interrupted
) -> str:
    """Returns one sentence on where the job stands after a signal."""
    model_dir = settings.train.model_dir
    if interrupted.saved_step is not None:
        written = f"the checkpoint of step {interrupted.saved_step} is written to {model_dir}"
    elif job_dir.is_started(model_dir):
        written = (
            f"the last checkpoint in {model_dir} is that of step {_checkpoint_step(model_dir)}"
        )
    else:
        return "Interrupted before the first checkpoint; nothing was written that has to be kept."
    return f"Interrupted; {written}. Start again with the same flags to go on from there."


def _train(
    settings: settings_lib.RunSettings,
    estimator: Any,
    inputs: training.Inputs,
    max_steps: int,
    exporter: exporters.PublishingExporter,
    interrupted: interruption.Interruption,
    saving_listeners: list[Any],
    hooks: list[Any],
    progress_stream: Optional[TextIO],
) -> None:
    """Trains what is left to train; a job that was killed between its last step and its export only gets the rest."""
    checkpoint = tf.train.latest_checkpoint(settings.train.model_dir)
    if checkpoint and _checkpoint_step(settings.train.model_dir) >= max_steps:
        training.evaluate_and_export(
            estimator, inputs, settings.train, exporter, checkpoint, [interrupted.eval_hook()]
        )
        return
    bar = (
        progress.make_hook(settings.train.progress, max_steps, progress_stream)
        if progress_stream
        else None
    )
    training.train_and_evaluate(
        estimator,
        inputs,
        max_steps,
        settings.train,
        exporter,
        train_hooks=hooks + ([bar] if bar else []),
        saving_listeners=saving_listeners + [interrupted.saving_listener()],
        eval_hooks=[interrupted.eval_hook()],
    )


def _make_inputs(
    settings: settings_lib.RunSettings, data: preparation.Data, model: registry.Model, config: Any
) -> tuple[training.Inputs, list[Any]]:
    """Returns the input functions, and what keeps at each checkpoint where in the data training stands."""
    model_dir = settings.train.model_dir
    step = _checkpoint_step(model_dir)
    shard = _shard(config)
    # The workers of a cluster take turns as they come: a step says nothing about what one of them has read. A model of
    # one pass reads from the first row on.
    alone = shard[1] == 1 and config.train_distribute is None and not model.one_pass
    start = input_positions.read(model_dir, step) if alone else None
    train = data.train_input_fn(model.label_as, shard, step, start)
    listeners = [input_positions.Keeper(model_dir, train, step)] if alone else []
    return training.Inputs(train=train, eval=data.eval_input_fn(model.label_as)), listeners


def _warm_start(settings: settings_lib.RunSettings) -> Optional[warm_start_lib.Origin]:
    """Returns what the job begins with; None where that is not asked for, or the job has begun before."""
    path = settings.train.warm_start_from
    if not path or job_dir.is_started(settings.train.model_dir):
        return None
    return warm_start_lib.find(path)


def _make_exporter(
    settings: settings_lib.RunSettings, data: preparation.Data, say: Callable[[str], None]
) -> exporters.PublishingExporter:
    model_dir = settings.train.model_dir
    rows = data.sample_rows(verification.ROWS)
    return exporters.PublishingExporter(
        settings.export,
        settings.export_dir,
        data.schema,
        rows,
        export_record.ExportRecord(model_dir, settings.export_dir),
        assets_extra={job_dir.SCHEMA: os.path.join(model_dir, job_dir.SCHEMA)},
        on_evaluation=lambda step, metrics: say(progress.evaluation_line(step, metrics)),
        on_answers=lambda answers: sample.write(model_dir, rows, answers),
    )


def _asked(settings: settings_lib.RunSettings) -> dict[str, Any]:
    """Returns what an evaluation and its export were asked to be; a finished job that is asked for another does it."""
    given = settings.as_dict()["input"]  # without passwords
    return {
        "eval_data": given["eval_data"],
        "eval_query": given["eval_query"],
        "eval_steps": settings.train.eval_steps,
        "export_dir": os.path.abspath(settings.export_dir),
        "exporter": settings.export.exporter,
    }


def _already_finished(
    settings: settings_lib.RunSettings, max_steps: int, bad_rows: int
) -> Optional[result_lib.RunResult]:
    recorded = job_dir.read_result(settings.train.model_dir)
    step = _checkpoint_step(settings.train.model_dir)
    if recorded is None or recorded["global_step"] != step or step < max_steps:
        return None
    exported = export_record.ExportRecord(settings.train.model_dir, settings.export_dir).versions
    if recorded.get("asked") != _asked(settings) or not exported:
        return None
    return result_lib.RunResult(
        model_dir=settings.train.model_dir,
        export_dir=settings.export_dir,
        global_step=step,
        max_steps=max_steps,
        metrics=recorded["metrics"],
        bad_rows=bad_rows,
        already_finished=True,
    )


def _max_steps(settings: settings_lib.RunSettings, num_rows: int, one_pass: bool) -> int:
    """Returns the step at which training ends; epochs are turned into steps, the last batch of the last one is full.

    Raises:
      SettingsError: a model of one pass is asked for more.
    """
    train = settings.train
    if train.max_steps is not None:
        return train.max_steps
    epochs = train.train_epochs
    if epochs is None:
        epochs = 1 if one_pass else train.DEFAULT_TRAIN_EPOCHS
    if one_pass and epochs > 1:
        raise errors.SettingsError(
            f"Expected --train_epochs of 1 or less with --model={settings.model.model}, which learns from one pass "
            f"over the rows; found {epochs:g}. Leave --train_epochs out."
        )
    return max(1, math.ceil(epochs * num_rows / settings.input.batch_size))


def _shard(config: Any) -> tuple[int, int]:
    """Returns (index, count): which part of the training data this task of the cluster reads."""
    count = max(1, config.num_worker_replicas)
    return (config.global_id_in_cluster or 0) % count, count


def _checkpoint_step(model_dir: str) -> int:
    """Returns the step of the latest checkpoint, 0 without one.

    The step is read off the name, `model.ckpt-<step>`: inside, a converted Keras model's checkpoint calls it
    differently.
    """
    checkpoint = tf.train.latest_checkpoint(model_dir)
    return int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0
