"""Settings of the export step."""

from __future__ import annotations

import dataclasses

EXPORTERS = ("final", "latest", "best")


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """When a SavedModel is exported and where its version directories lie.

    Attributes:
      export_dir: base path of the version directories, what a model server is started with; empty
        means `<model_dir>/export`.
      exporter: "final" exports once, after the last step; "latest" after every evaluation; "best"
        after every evaluation with a lower loss than all before it.
      exports_to_keep: how many versions stay; older ones are removed. At least 1.
    """

    export_dir: str = ""
    exporter: str = "final"
    exports_to_keep: int = 5

    def __post_init__(self) -> None:
        if self.exporter not in EXPORTERS:
            raise ValueError(
                f"Expected --exporter to be one of {', '.join(EXPORTERS)}; found '{self.exporter}'."
            )
        if self.exports_to_keep < 1:
            raise ValueError(f"Expected --exports_to_keep >= 1, found {self.exports_to_keep}.")
