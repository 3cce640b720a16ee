"""Ends a job whose model never counts its steps, and which would therefore train for ever."""

from __future__ import annotations

from typing import Any, Optional

import tensorflow as tf

RUNS = 100


class StepError(ValueError):
    """The model trains without counting."""


class StepGuardHook(tf.compat.v1.train.SessionRunHook):
    """Reads `global_step` until it has moved once, after which it costs nothing more.

    A `model_fn` may forget to hand `global_step` to its optimizer; TensorFlow ends training by that variable alone.
    """

    def __init__(self, model: str, runs: int = RUNS) -> None:
        """Makes the hook.

        Args:
          model: what --model says, for the sentence.
          runs: training steps after which the variable must have moved.
        """
        self._model, self._runs, self._left = model, runs, runs
        self._first: Optional[int] = None

    def begin(self) -> None:
        """Called with the complete graph as the default one."""
        self._step = tf.compat.v1.train.get_global_step()

    def before_run(self, run_context: Any) -> Any:
        """Called before a training step."""
        return tf.compat.v1.train.SessionRunArgs(self._step) if self._left else None

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Called after a training step.

        Raises:
          StepError: `global_step` stands where it stood at the first one.
        """
        if not self._left:
            return
        step = int(run_values.results)
        self._left -= 1
        if self._first is None:
            self._first = step
        elif step != self._first:
            self._left = 0
        elif not self._left:
            raise StepError(
                f"Expected --model={self._model} to count its training steps in global_step, found {step} after "
                f"{self._runs} of them; it would train for ever. Give minimize() the argument global_step="
                f"tf.compat.v1.train.get_global_step(), or set it as a Keras optimizer's iterations."
            )
