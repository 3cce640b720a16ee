"""SIGTERM and Ctrl-C in the middle of a job: write a checkpoint, then leave.

While steps run, a signal only asks the session to stop; the checkpoint hook then saves, and `Interrupted` is raised
with the step that was saved. Outside a session (reading data, building the graph) there is nothing to save and it is
raised at once. A second signal does not wait.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Optional

import tensorflow as tf

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """A signal ended the job.

    A BaseException, as KeyboardInterrupt is: no handler for failures on the way up may take it for one.

    Attributes:
      signum: the signal.
      saved_step: global step of the checkpoint written on the way out; None if there was nothing new to save.
    """

    def __init__(self, signum: int, saved_step: Optional[int] = None) -> None:
        super().__init__(signum, saved_step)
        self.signum = signum
        self.saved_step = saved_step

    @property
    def exit_code(self) -> int:
        """128 + signal number, the shell's convention: 143 for SIGTERM, 130 for Ctrl-C."""
        return 128 + self.signum


class Interruption:
    """Catches the signals while it is entered; gives the hooks that act on them.

    Off the main thread, where Python allows no signal handlers, it does nothing; nor if not `enabled`.
    """

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled
        self.signum: Optional[int] = None
        self._in_session = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if self._enabled and threading.current_thread() is threading.main_thread():
            self._previous = {signum: signal.signal(signum, self._handle) for signum in _SIGNALS}
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, unused_frame: Optional[FrameType]) -> None:
        again = self.signum is not None
        self.signum = signum
        if again or not self._in_session:
            raise Interrupted(signum)

    def check(self, saved_step: Optional[int] = None) -> None:
        """Raises Interrupted if a signal came."""
        if self.signum is not None:
            raise Interrupted(self.signum, saved_step)

    def train_hook(self) -> tf.compat.v1.train.SessionRunHook:
        """Returns the hook that stops the training session after the step in which a signal came."""
        return _TrainHook(self)

    def eval_hook(self) -> tf.compat.v1.train.SessionRunHook:
        """Returns the hook that leaves an evaluation; its checkpoint is on disk already."""
        return _EvalHook(self)

    def saving_listener(self) -> tf.compat.v1.train.CheckpointSaverListener:
        """Returns the listener that raises Interrupted once the checkpoint is written, before it is evaluated."""
        return _Listener(self)


class _TrainHook(tf.compat.v1.train.SessionRunHook):
    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    def after_create_session(self, session: Any, coord: Any) -> None:
        self._interruption._in_session = True

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if self._interruption.signum is not None:
            run_context.request_stop()


class _EvalHook(tf.compat.v1.train.SessionRunHook):
    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._step: Optional[int] = None

    def after_create_session(self, session: Any, coord: Any) -> None:
        self._step = int(session.run(tf.compat.v1.train.get_global_step(session.graph)))

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._interruption.check(self._step)


class _Listener(tf.compat.v1.train.CheckpointSaverListener):
    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    def after_save(self, session: Any, global_step_value: int) -> None:
        self._interruption.check(int(global_step_value))

    def end(self, session: Any, global_step_value: int) -> None:
        self._interruption.check(int(global_step_value))
