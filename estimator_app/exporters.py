"""The exporter of a job: stage beside the versions, verify, rename, prune.

The wheel's exporters write straight into the place where servers look, and its BestExporter forgets over a restart
what was best (tensorflow/tensorflow#47396). This one writes into a staging directory, compares the staged model's
answers with the Estimator's own, and only then renames it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import logging
import os
import time
from typing import Any, Optional

from estimator_app import export_record, verification, warm_up_records
from estimator_app.compat import estimator
from export import receivers
from export import settings as export_settings
from export import versions
from input_fns import schema as schema_lib

# What a server calls a model whose name nobody gave.
_MODEL_NAME = "default"

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Published:
    """One published version.

    Attributes:
      path: the version's directory.
      global_step: step of the checkpoint it was made from.
      comparison: how its answers compare with the Estimator's.
    """

    path: str
    global_step: int
    comparison: verification.Comparison


class PublishingExporter(estimator.Exporter):
    """Exports when `ExportSettings.exporter` says so.

    Attributes:
      published: what it published, oldest first.
      evaluated: the metrics of the last evaluation; empty before the first one.
    """

    def __init__(
        self,
        settings: export_settings.ExportSettings,
        export_dir: str,
        schema: schema_lib.Schema,
        rows: verification.SampleRows,
        record: export_record.ExportRecord,
        assets_extra: Mapping[str, str],
        on_evaluation: Callable[[int, Mapping[str, Any]], None],
        on_answers: Callable[[Mapping[str, Any]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Makes the exporter.

        Args:
          settings: which exporter decides, how many versions stay.
          export_dir: base path of the versions.
          schema: what receivers parse.
          rows: evaluation rows to verify with.
          record: remembers what this job published.
          assets_extra: name under `assets.extra/` -> file to copy there.
          on_evaluation: called with step and metrics of every evaluation.
          on_answers: called with the Estimator's own predictions on `rows`, after they were verified.
          clock: seconds since the epoch; versions are named by it.
        """
        self.published: list[Published] = []
        self.evaluated: Mapping[str, Any] = {}
        self._settings = settings
        self._export_dir = export_dir
        self._schema = schema
        self._rows = rows
        self._record = record
        self._assets_extra = dict(assets_extra)
        self._on_evaluation = on_evaluation
        self._on_answers = on_answers
        self._clock = clock

    @property
    def name(self) -> str:
        return "versions"

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str,
        eval_result: Mapping[str, Any],
        is_the_final_export: bool,
    ) -> Optional[str]:
        """Called by `train_and_evaluate` after every evaluation; returns the published path, or None."""
        step, loss = int(eval_result["global_step"]), float(eval_result["loss"])
        self.evaluated = eval_result
        self._on_evaluation(step, eval_result)
        if not self._is_due(loss, is_the_final_export):
            return None
        with versions.staging_dir(self._export_dir) as staging:
            staged = os.fsdecode(
                estimator.export_saved_model(
                    staging,
                    self._serving_input_receiver,
                    assets_extra=self._assets_extra,
                    checkpoint_path=checkpoint_path,
                )
            )
            answers = verification.predict_locally(estimator, self._rows, checkpoint_path)
            comparison = verification.verify(staged, self._schema, self._rows, answers)
            self._add_warm_up(staged)
            version = versions.next_version(self._export_dir, self._clock())
            path = versions.publish(staged, self._export_dir, version)
        self._record.add(version, loss)
        self._on_answers(answers)
        self.published.append(Published(path, step, comparison))
        for removed in self._record.prune(self._settings.exports_to_keep):
            _logger.info("Removed exported version %d", removed)
        return path

    def _add_warm_up(self, staged: str) -> None:
        """Puts the first rows into the export as requests that a server warms up with."""
        if count := self._settings.export_warmup_rows:
            rows = {name: values[:count] for name, values in self._rows.features.items()}
            warm_up_records.write(staged, self._schema, rows, _MODEL_NAME)

    def _is_due(self, loss: float, is_the_final_export: bool) -> bool:
        if self._settings.exporter == "final":
            return is_the_final_export
        return self._settings.exporter == "latest" or loss < self._record.best_loss

    def _serving_input_receiver(self) -> Any:
        return estimator.export.ServingInputReceiver(*receivers.make_receiver(self._schema))
