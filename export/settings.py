"""Settings of the export step."""

from __future__ import annotations

import dataclasses

EXPORTERS = ("final", "latest", "best")
MAX_WARMUP_ROWS = 100


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """When a SavedModel is exported and where its version directories lie.

    Attributes:
      export_dir: base path of the version directories, what a model server is started with; empty
        means `<model_dir>/export`.
      exporter: "final" exports once, after the last step; "latest" after every evaluation; "best"
        after every evaluation with a lower loss than all before it.
      exports_to_keep: how many versions stay; older ones are removed. At least 1.
      export_warmup_rows: rows of evaluation data that an export carries as warm-up requests; 0 for none,
        MAX_WARMUP_ROWS at most.
    """

    export_dir: str = ""
    exporter: str = "final"
    exports_to_keep: int = 5
    export_warmup_rows: int = 0

    def __post_init__(self) -> None:
        if self.exporter not in EXPORTERS:
            raise ValueError(
                f"Expected --exporter to be one of {', '.join(EXPORTERS)}; found '{self.exporter}'."
            )
        if self.exports_to_keep < 1:
            raise ValueError(f"Expected --exports_to_keep >= 1, found {self.exports_to_keep}.")
        if not 0 <= self.export_warmup_rows <= MAX_WARMUP_ROWS:
            raise ValueError(
                f"Expected --export_warmup_rows to be 0 to {MAX_WARMUP_ROWS}, found {self.export_warmup_rows}."
            )
