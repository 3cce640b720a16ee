"""Where converted data goes: names, and files that take their places together when all are complete."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import re
import shutil
import tempfile
from types import TracebackType

from input_fns import errors, files, writers

_SIDE_FILES = ("schema.pbtxt", "statistics.pbtxt", "bad_rows.csv")


@dataclasses.dataclass(frozen=True)
class OutputSettings:
    """What to write.

    Attributes:
        path: the file; of several the name that they have in common.
        format: a name of `writers.WRITERS`; empty tells it by the path's ending.
        compression: one of `writers.COMPRESSIONS`; empty means what the ending tells, or the format's default.
        shards: into how many files the rows are split.
        overwrite: whether files of an earlier conversion to the same path are replaced.
    """

    path: str
    format: str = ""
    compression: str = ""
    shards: int = 1
    overwrite: bool = False

    def __post_init__(self) -> None:
        if files.is_remote(self.path):
            raise errors.SettingsError(
                f"Expected a local path to write to, found {self.path}. Convert to a local folder and copy the files "
                "from there."
            )
        if self.shards < 1 or self.shards > 99_999:
            raise errors.SettingsError(
                f"--shards must be a whole number from 1 to 99999, not {self.shards}."
            )
        object.__setattr__(self, "format", self.format or writers.tell(self.path))
        compression = writers.tell_compression(self.path, self.format, self.compression)
        object.__setattr__(self, "compression", compression)
        if os.path.isdir(self.path):
            raise errors.SettingsError(
                f"Expected the name of a file to write, found the folder {self.path}. Give a name in it."
            )

    @property
    def paths(self) -> tuple[str, ...]:
        """The files with rows: `train.csv`, or `train-00000-of-00008.csv` and so on."""
        if self.shards == 1:
            return (self.path,)
        stem, ending = writers.split_ending(self.path, self.format)
        return tuple(f"{stem}-{i:05d}-of-{self.shards:05d}{ending}" for i in range(self.shards))

    @property
    def pattern(self) -> str:
        """A glob, or the path, that names these files and no other."""
        if self.shards == 1:
            return self.path
        stem, ending = writers.split_ending(self.path, self.format)
        return f"{stem}-*-of-{self.shards:05d}{ending}"

    def side_path(self, name: str) -> str:
        """The path of what is told about the rows: `train.csv.gz.schema.pbtxt` beside `train.csv.gz`."""
        # With the ending, so that the same rows in another format may lie in the same folder.
        return f"{self.path}.{name}"

    def find_present(self) -> tuple[str, ...]:
        """What an earlier conversion to the same path has left, into however many files."""
        stem, ending = writers.split_ending(self.path, self.format)
        sharded = re.compile(
            re.escape(os.path.basename(stem)) + r"-\d{5}-of-\d{5}" + re.escape(ending)
        )
        candidates = glob.glob(f"{glob.escape(stem)}-*{glob.escape(ending)}")
        shards = [path for path in candidates if sharded.fullmatch(os.path.basename(path))]
        sides = [self.side_path(name) for name in _SIDE_FILES]
        return tuple(path for path in (self.path, *sorted(shards), *sides) if os.path.exists(path))


class Staging:
    """A folder beside the place, from which files are renamed into their places when the work is done.

    with Staging(settings) as staging:
        write(staging.place(path))
        staging.publish()

    What is not published is removed.
    """

    def __init__(self, settings: OutputSettings) -> None:
        """Makes no file yet.

        Raises:
            SettingsError: an earlier conversion's files are there, and are not to be replaced.
        """
        self._settings = settings
        self._folder = os.path.dirname(settings.path) or "."
        present = settings.find_present()
        if present and not settings.overwrite:
            which = f"{present[0]} exists"
            if len(present) > 1:
                which = f"{present[0]} and {len(present) - 1} more of its files exist"
            raise errors.SettingsError(
                f"{which} already. Pass --overwrite to replace what lies there, or give another name."
            )

    def __enter__(self) -> Staging:
        """Makes the folders.

        Raises:
            SettingsError: they cannot be made or written to.
        """
        self._made: list[str] = []
        folder = os.path.abspath(self._folder)
        while not os.path.lexists(folder):
            self._made.append(folder)
            folder = os.path.dirname(folder)
        try:
            os.makedirs(self._folder, exist_ok=True)
            name = os.path.basename(self._settings.path)
            self._temporary = tempfile.mkdtemp(prefix=f".{name}.", dir=self._folder)
        except OSError as error:
            self._remove_made()
            raise errors.SettingsError(
                f"Expected {self._folder} to be a folder that can be written to, found: {error.strerror}. Choose "
                "another one, or make room and permissions."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)
        if kind is not None:
            self._remove_made()

    def place(self, path: str) -> str:
        """Where to write what is to lie at `path`, which is in the settings' folder."""
        return os.path.join(self._temporary, os.path.basename(path))

    def publish(self) -> tuple[str, ...]:
        """Renames the files into their places, and removes those of an earlier conversion; gives the paths."""
        before = self._settings.find_present()
        wanted = [*self._settings.paths, *map(self._settings.side_path, _SIDE_FILES)]
        written = tuple(path for path in wanted if os.path.exists(self.place(path)))
        for path in written:
            os.replace(self.place(path), path)
        for path in before:
            if path not in written:
                os.remove(path)
        return written

    def _remove_made(self) -> None:
        for folder in self._made:
            with contextlib.suppress(OSError):  # not empty: somebody else uses it
                os.rmdir(folder)
