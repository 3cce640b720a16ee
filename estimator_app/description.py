"""What data holds: schema, statistics, and of images the mean and some of them, from one pass."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import os
from typing import Optional

import numpy as np

from input_fns import bad_rows as bad_rows_lib
from input_fns import blocks, inference
from input_fns import schema as schema_lib
from input_fns import settings as input_settings
from input_fns import sources, watched_sources

NUM_IMAGES = 40
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the quantiles that are shown
TYPES = {"int64": "INT", "float32": "FLOAT", "string": "BYTES"}  # dtype -> TFX's name
_MIN_SIDE = 4  # a smaller matrix is no picture

# Called with a title and how many rows there are, if that is known; gives what is called with each block's rows.
Watch = Callable[[str, Optional[int]], contextlib.AbstractContextManager[Callable[[int], None]]]


@dataclasses.dataclass
class Images:
    """A feature whose values are pictures.

    Attributes:
      total: [height, width] or [height, width, channels] float64, the sum of all values.
      count: how many there are.
      first: at most NUM_IMAGES of them, each of the shape of `total`.
    """

    total: np.ndarray
    count: int = 0
    first: list[np.ndarray] = dataclasses.field(default_factory=list)

    @property
    def mean(self) -> np.ndarray:
        """The mean of all, of the same shape."""
        return np.asarray(self.total / max(self.count, 1))


@dataclasses.dataclass(frozen=True)
class Description:
    """What data holds.

    Attributes:
      name: of the data, for a person.
      scan: schema, statistics and the rows that do not fit.
      images: feature -> its pictures, for those that are some.
      num_files: how many files were read.
      num_bytes: their size; 0 if they are no files here.
    """

    name: str
    scan: inference.ScanResult
    images: dict[str, Images]
    num_files: int
    num_bytes: int


def describe(
    source: sources.Source,
    settings: input_settings.InputSettings,
    known: Optional[schema_lib.Schema],
    watch: Watch,
    bad_rows: Optional[bad_rows_lib.Writer] = None,
) -> Description:
    """Reads the rows once.

    Args:
      source: the rows.
      settings: says what becomes of bad rows.
      known: the schema to hold them against; None infers it.
      watch: is told of the progress.
      bad_rows: where rows that do not fit are kept, if they are skipped.

    Raises:
      InputError: the data cannot be used; one sentence.
    """
    images: dict[str, Images] = {}
    with watch("reading", None) as add:

        def see(raw: blocks.RawBlock) -> None:
            _add_images(images, raw)
            add(len(raw.rows))

        scan = inference.scan(watched_sources.WatchedSource(source, see), settings, known, bad_rows)
    files = [path for path in source.files if os.path.isfile(path)]
    return Description(
        _name_of(source.files), scan, images, len(source.files), sum(map(os.path.getsize, files))
    )


def _add_images(images: dict[str, Images], raw: blocks.RawBlock) -> None:
    for name, cells in raw.cells.items():
        if not isinstance(cells, np.ndarray) or not _are_pictures(cells.shape[1:]):
            continue
        found = images.setdefault(name, Images(np.zeros(cells.shape[1:])))
        found.total += np.nan_to_num(cells, posinf=0, neginf=0).sum(axis=0, dtype=np.float64)
        found.count += len(cells)
        found.first += list(cells[: NUM_IMAGES - len(found.first)])


def _are_pictures(shape: tuple[int, ...]) -> bool:
    return len(shape) in (2, 3) and min(shape[:2]) >= _MIN_SIDE and shape[2:] in ((), (1,), (3,))


def _name_of(paths: tuple[str, ...]) -> str:
    first = os.path.basename(paths[0].rstrip("/")) or paths[0]
    return first if len(paths) == 1 else f"{first} and {len(paths) - 1} more"
