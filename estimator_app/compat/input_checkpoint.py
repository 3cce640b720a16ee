"""`tf.data.experimental.CheckpointInputPipelineHook`, removed with 2.16, written anew so that training resumes at the
very next batch.

TensorFlow's own saved the input on a schedule of its own, beside that of the model, and restored the newest. After an
interruption the two were of different steps, and batches were repeated or left out; and a hook object that served a
second `train` restored nothing (tensorflow/tensorflow#24408). Here one hook saves both at the same steps, and restores
the input of exactly the step that the model was restored to.
"""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
from tensorflow.python.data.ops import iterator_ops

v1 = tf.compat.v1
_CheckpointSaverHook: Any = v1.train.CheckpointSaverHook

_POLICIES = {
    "fail": tf.data.experimental.ExternalStatePolicy.FAIL,
    "ignore": tf.data.experimental.ExternalStatePolicy.IGNORE,
    "warn": tf.data.experimental.ExternalStatePolicy.WARN,
}


class CheckpointInputPipelineHook(_CheckpointSaverHook):
    """Saves the state of the input with every checkpoint of the model, and continues from it.

        hook = tf.data.experimental.CheckpointInputPipelineHook(estimator)
        estimator.train(input_fn, hooks=[hook], max_steps=1000)

    The next `train` with such a hook, in this process or in another, sees the batch after the last one that the
    restored model has seen. An input that has ended stays ended. The state lies beside the checkpoints, as
    `input.ckpt-<step>` (one that holds shuffle buffers may be large), and is removed with them. On the chief the hook
    takes the place of the Estimator's own CheckpointSaverHook; other workers of a parameter server cluster save their
    input only, as `input_<type>_<index>.ckpt-<step>`.
    """

    def __init__(self, estimator: Any, external_state_policy: str | None = None) -> None:
        """Initializes the hook.

        Args:
          estimator: the Estimator whose `train` it is handed to; its RunConfig says when to save, and how many to keep.
          external_state_policy: what to do about state outside of the input, such as a Python generator's, which cannot
            be saved: "fail" (the default), "warn" or "ignore".

        Raises:
          ValueError: the policy is another one, the RunConfig never saves, or it asks for a strategy over several
            workers.
        """
        policy = external_state_policy or "fail"
        if policy not in _POLICIES:
            raise ValueError(
                f"Expected external_state_policy to be one of {', '.join(_POLICIES)}, found "
                f"{policy!r}. Use one of them."
            )
        config = estimator.config
        if not (config.save_checkpoints_secs or config.save_checkpoints_steps):
            raise ValueError(
                "Expected a RunConfig that saves checkpoints, found neither save_checkpoints_secs nor "
                "save_checkpoints_steps. Set one of them, or leave the hook out."
            )
        if config.train_distribute:
            raise ValueError(
                "Expected an Estimator without train_distribute, found "
                f"{type(config.train_distribute).__name__}, whose iterators cannot be saved. Leave the hook out, or "
                "train without a strategy."
            )
        super().__init__(
            estimator.model_dir,
            save_secs=config.save_checkpoints_secs,
            save_steps=config.save_checkpoints_steps,
            save_graph_def=config.checkpoint_save_graph_def,
        )
        self._policy = _POLICIES[policy]
        self._saves_model = config.is_chief
        self._keep = {
            "max_to_keep": config.keep_checkpoint_max,
            "keep_checkpoint_every_n_hours": config.keep_checkpoint_every_n_hours,
        }
        # The names that TensorFlow's own hook used, so that it and this one read each other's files.
        prefix = "input"
        if config.num_worker_replicas > 1:
            prefix = f"input_{config.task_type}_{config.task_id}"
        self._input_path = os.path.join(estimator.model_dir, f"{prefix}.ckpt")
        self._state_file = f"checkpoint_{prefix}"
        self._input_saver: Any = None
        self._restored = False

    def begin(self) -> None:
        """Adds the operations that save and restore the input.

        Raises:
          ValueError: there is no iterator in the graph.
        """
        self._saver = None  # of the graph of an earlier `train`
        self._timer.reset()
        super().begin()
        iterators = v1.get_collection(iterator_ops.GLOBAL_ITERATORS)
        if not iterators:
            raise ValueError(
                "Expected an input_fn that returns a tf.data.Dataset, found no iterator in the graph. "
                "Return a Dataset, or leave CheckpointInputPipelineHook out."
            )
        self._input_saver = v1.train.Saver(
            [
                iterator_ops._IteratorSaveable(
                    resource, resource.name, external_state_policy=self._policy
                )
                for resource in iterators
            ],
            save_relative_paths=True,
            **self._keep,
        )

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Saves the model, on the chief; the input may not be initialized yet."""
        self._restored = False
        if self._saves_model:
            super().after_create_session(session, coord)
        else:
            self._timer.update_last_triggered_step(session.run(self._global_step_tensor))

    def before_run(self, run_context: Any) -> Any:
        """Restores the input ahead of the first step, after every hook has initialized what it has to."""
        if not self._restored:
            self._restore_input(run_context.session)
            self._restored = True
        return super().before_run(run_context)

    def end(self, session: Any) -> None:
        """Saves the last step."""
        super().end(session)
        self._listeners: list[Any] = []  # the next `train` brings its own

    def _save(self, session: Any, step: int) -> bool:
        # The input first: a model whose input is missing could not be continued exactly.
        if self._restored:
            self._save_input(session, step)
        return super()._save(session, step) if self._saves_model else False

    def _save_input(self, session: Any, step: int) -> None:
        self._input_saver.save(
            session,
            self._input_path,
            global_step=step,
            latest_filename=self._state_file,
            write_meta_graph=False,
        )

    def _restore_input(self, session: Any) -> None:
        """Restores the input of the model's step, or the newest before it, and saves it if it was not there."""
        step = int(session.run(self._global_step_tensor))
        directory = os.path.dirname(self._input_path)
        state = tf.train.get_checkpoint_state(directory, self._state_file)
        paths = [
            path
            for path in (state.all_model_checkpoint_paths if state else ())
            if v1.train.checkpoint_exists(path)
        ]
        self._input_saver.recover_last_checkpoints(paths)
        steps = {int(path.rpartition("-")[2]): path for path in paths}
        found = max((known for known in steps if known <= step), default=None)
        if found is not None:
            self._input_saver.restore(session, steps[found])
        if found != step:
            if step > 0:
                tf.get_logger().warning(
                    "No state of the input was saved at step %d; it goes on from %s, and batches may be repeated.",
                    step,
                    "its beginning" if found is None else f"step {found}",
                )
            self._save_input(session, step)
