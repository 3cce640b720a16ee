"""What a job came to, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os

from estimator_app import exporters, job_dir, progress


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a start of a job came to.

    Attributes:
      model_dir: where the job lies.
      export_dir: base path of the exported versions.
      global_step: step of the model now.
      max_steps: step at which training was to end.
      metrics: of the last evaluation; empty for a task of a cluster that does not evaluate.
      exports: what this start published, oldest first.
      bad_rows: rows that were skipped, over training and evaluation data.
      train_secs: from the first step to the last, evaluations and exports included.
      already_finished: True if there was nothing left to do.
    """

    model_dir: str
    export_dir: str
    global_step: int
    max_steps: int
    metrics: Mapping[str, float]
    exports: tuple[exporters.Published, ...] = ()
    bad_rows: int = 0
    train_secs: float = 0.0
    already_finished: bool = False

    def lines(self) -> list[str]:
        """Returns what a person wants to read at the end, a line each."""
        lines = []
        if self.already_finished:
            lines.append(
                f"This job is already finished at step {self.global_step}. To train further, raise --max_steps above "
                f"{self.global_step} (or --train_epochs); to start afresh, choose another --model_dir."
            )
        elif self.global_step:
            lines.append(f"trained     to step {self.global_step} in {self.train_secs:.1f} s")
        if self.metrics:
            lines.append(f"evaluation  {progress.metrics_text(self.metrics)}")
        for export in self.exports:
            lines.append(
                f"export      {export.path} ({export.comparison.rows} rows through {len(export.comparison.signatures)} "
                f"signatures, largest difference {export.comparison.worst:g})"
            )
        if self.bad_rows:
            lines.append(
                f"bad rows    {self.bad_rows} skipped, kept in {os.path.join(self.model_dir, job_dir.BAD_ROWS)}"
            )
        lines.append(f"model       {self.model_dir}")
        lines.append(f"TensorBoard tensorboard --logdir={self.model_dir}")
        return lines
