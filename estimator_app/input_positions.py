"""Where in its data a job stood at each checkpoint, so that a resumed one goes on with the next row.

A checkpoint of TensorFlow cannot hold that: the rows come out of Python (see `input_fns.row_order`).
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Optional

import tensorflow as tf

from estimator_app import job_dir
from input_fns import pipeline, row_order


def read(model_dir: str, step: int) -> Optional[row_order.Position]:
    """Returns the place at the checkpoint of that step; None if it is not known.

    Raises:
      JobDirError: the file is damaged.
    """
    known = job_dir.read_json(os.path.join(model_dir, job_dir.POSITIONS)) or {}
    kept = known.get(str(step))
    return row_order.Position(**kept) if kept else None


class Keeper(tf.compat.v1.train.CheckpointSaverListener):
    """Writes the place beside each checkpoint; those of checkpoints that are gone are dropped."""

    def __init__(self, model_dir: str, input_fn: pipeline.InputFn, start_step: int) -> None:
        """Makes a listener.

        Args:
          model_dir: of the job.
          input_fn: that the job trains on, a batch a step.
          start_step: the step that it began with.
        """
        self._model_dir, self._input_fn, self._start_step = model_dir, input_fn, start_step

    def after_save(self, session: Any, global_step_value: int) -> None:
        path = os.path.join(self._model_dir, job_dir.POSITIONS)
        position = self._input_fn.position(int(global_step_value) - self._start_step)
        known = job_dir.read_json(path) or {}
        state = tf.train.get_checkpoint_state(self._model_dir)
        steps = (
            {name.rsplit("-", 1)[1] for name in state.all_model_checkpoint_paths} if state else ()
        )
        kept = {step: known[step] for step in known if step in steps}
        kept[str(int(global_step_value))] = dataclasses.asdict(position)
        job_dir.write_json(path, kept)
