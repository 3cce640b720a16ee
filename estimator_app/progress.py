"""Progress of training: a bar on a terminal, plain lines in a log.

The loss is fetched only when something is about to be shown, so that the hook costs a clock reading a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import re
import shutil
import time
from typing import Any, Optional, TextIO

import tensorflow as tf
import tqdm

_BAR_EVERY_SECS = 0.2
_LINE_EVERY_SECS = 10.0

# What is worth a line after an evaluation, most telling first.
_TELLING_METRICS = ("accuracy", "auc", "average_loss", "loss", "mae")
_MAX_TOLD_BY_LABEL = 9
_THRESHOLD = re.compile(
    r"/positive_threshold_[0-9.]+$"
)  # of a MultiLabelHead, over all its classes


def make_hook(
    kind: str, max_steps: int, stream: TextIO
) -> Optional[tf.compat.v1.train.SessionRunHook]:
    """Returns the hook for `TrainSettings.progress`, or None for "none".

    Args:
      kind: "auto", "bar", "lines" or "none"; "auto" is a bar if `stream` is a terminal.
      max_steps: the global step at which training ends.
      stream: where progress is written.
    """
    if kind == "auto":
        kind = "bar" if stream.isatty() else "lines"
    if kind == "none":
        return None
    return BarHook(max_steps, stream) if kind == "bar" else LinesHook(max_steps, stream)


def make_sayer(kind: str, stream: Optional[TextIO]) -> Callable[[str], None]:
    """Returns a function that writes one line to `stream`, above the bar if there is one; silent for "none"."""
    if stream is None or kind == "none":
        return lambda line: None
    return lambda line: tqdm.tqdm.write(line, file=stream)


def evaluation_line(step: int, metrics: Mapping[str, Any]) -> str:
    """Returns one line on an evaluation, such as "evaluated at step 1000: accuracy 0.8530, auc 0.9047"."""
    return f"evaluated at step {step}: {metrics_text(metrics)}"


def metrics_text(metrics: Mapping[str, Any]) -> str:
    """Returns the telling ones, such as "accuracy 0.8530, auc 0.9047"; empty if there is none.

    Of several labels there is one for each, called `<metric>/<label>`; some of them are told.
    """
    own = [name for name in _TELLING_METRICS if name in metrics]
    by_label = [
        name
        for telling in ("accuracy", "auc", "average_loss")
        for name in metrics
        if name.startswith(f"{telling}/") and not _THRESHOLD.search(name)
    ]
    names = own + by_label[:_MAX_TOLD_BY_LABEL]
    return ", ".join(f"{name} {float(metrics[name]):.4f}" for name in names)


class _ProgressHook(tf.compat.v1.train.SessionRunHook):
    """Fetches step and loss every `every_secs` seconds and hands them to `show`."""

    def __init__(
        self, max_steps: int, stream: TextIO, every_secs: float, clock: Callable[[], float]
    ) -> None:
        self._max_steps = max_steps
        self._stream = stream
        self._every_secs = every_secs
        self._clock = clock
        self._due = 0.0

    def begin(self) -> None:
        self._fetches = {
            "step": tf.compat.v1.train.get_global_step(),
            "loss": tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.LOSSES)[-1],
        }

    def after_create_session(self, session: Any, coord: Any) -> None:
        self._first_step = int(session.run(self._fetches["step"]))
        self._first_time = self._clock()
        self._due = self._first_time + self._every_secs
        self._start(self._first_step)

    def before_run(self, run_context: Any) -> Any:
        if self._clock() < self._due:
            return None
        self._due = self._clock() + self._every_secs
        return tf.compat.v1.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if run_values.results is not None:
            self._show(int(run_values.results["step"]), float(run_values.results["loss"]))

    def end(self, session: Any) -> None:
        self._finish(int(session.run(self._fetches["step"])))

    def _start(self, step: int) -> None:
        """Called with the step that the session starts from."""

    def _show(self, step: int, loss: float) -> None:
        raise NotImplementedError

    def _finish(self, step: int) -> None:
        """Called with the step that the session ended at."""


class BarHook(_ProgressHook):
    """A tqdm bar with steps, steps/s, time left and the loss."""

    def __init__(self, max_steps: int, stream: TextIO) -> None:
        super().__init__(max_steps, stream, _BAR_EVERY_SECS, time.monotonic)

    def _start(self, step: int) -> None:
        # A terminal may not know its size (0 x 0 in some containers), and tqdm then shows nothing.
        size = shutil.get_terminal_size()
        self._bar = tqdm.tqdm(
            total=self._max_steps,
            initial=step,
            unit="step",
            file=self._stream,
            desc="training",
            mininterval=0,
            ncols=size.columns,
            nrows=size.lines,
        )

    def _show(self, step: int, loss: float) -> None:
        self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        self._bar.update(step - self._bar.n)

    def _finish(self, step: int) -> None:
        self._bar.update(step - self._bar.n)
        self._bar.close()


class LinesHook(_ProgressHook):
    """A line every few seconds, and one at the end."""

    def __init__(
        self,
        max_steps: int,
        stream: TextIO,
        every_secs: float = _LINE_EVERY_SECS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(max_steps, stream, every_secs, clock)

    def _show(self, step: int, loss: float) -> None:
        rate = self._rate(step)
        left = f", {(self._max_steps - step) / rate:.0f} s left" if rate else ""
        self._print(f"step {step}/{self._max_steps}, loss {loss:.4f}, {rate:.0f} steps/s{left}")

    def _finish(self, step: int) -> None:
        self._print(
            f"step {step}/{self._max_steps}, {self._rate(step):.0f} steps/s with evaluations"
        )

    def _rate(self, step: int) -> float:
        """Steps a second since the session started; 0 while no time has passed."""
        passed = self._clock() - self._first_time
        return (step - self._first_step) / passed if passed > 0 else 0.0

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
