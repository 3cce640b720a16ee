"""Files that are written together over a long time, and go on after an interruption, also by kill -9.

Text goes to files beside the wanted places. At every checkpoint, a record beside the first of them
says how long each is and what its writer wants to remember. Whatever was written after the last
checkpoint is cut off when the work goes on, so every line stands there once:

    answers.csv             where the file will be
    .answers.csv.part       what is written so far
    .answers.csv.progress   JSON: the request, the length of each part, the writer's state
"""

import contextlib
import fcntl
import gzip
import json
import os
import pathlib
from typing import IO, Any, Callable, Iterator, Mapping, Optional, Sequence

from serving_client import errors

_PART = ".part"
_PROGRESS = ".progress"


class ResumableFiles:
    """Some text files in the making.

    Attributes:
        state: What the writer remembered at the last checkpoint; None if the work begins.
        other_request: Names of the settings in which the work that was interrupted differed, so that
            it was dropped; none if there was none.
    """

    def __init__(
        self,
        paths: Sequence[str],
        request: Mapping[str, Any],
        resume: bool = True,
        keep: bool = True,
    ) -> None:
        """Opens the parts, at the lengths of the last checkpoint of the same request.

        Args:
            paths: The places of the files, compressed if they end in .gz.
            request: What the files depend on, in JSON's types; work for another request is dropped.
            resume: Whether to go on; otherwise the work begins anew.
            keep: Whether unfinished work stays, to be gone on with.

        Raises:
            errors.InputError: Another process is writing one of the files.
            OSError: There is no place for a file.
        """
        self.state: Optional[dict[str, Any]] = None
        self.other_request: list[str] = []
        self._places = [pathlib.Path(path) for path in paths]
        self._parts = [_beside(place, _PART) for place in self._places]
        self._record = _beside(self._places[0], _PROGRESS)
        self._request = dict(request)
        self._keep = keep
        self._pending: list[list[str]] = [[] for _ in paths]
        with contextlib.ExitStack() as opened:
            self._files = [opened.enter_context(_locked(part)) for part in self._parts]
            lengths = self._restore() if resume else None
            for file, length in zip(self._files, lengths or [0] * len(self._files)):
                file.truncate(length)  # what is written is always added to the end
            if lengths is None:
                self._record.unlink(missing_ok=True)
            self._close = opened.pop_all().close

    def _restore(self) -> Optional[list[int]]:
        """Reads the record; returns the length of each part, or None if the work begins."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        request, lengths = record["request"], record["lengths"]
        if request != self._request:
            names = request.keys() | self._request.keys()
            self.other_request = sorted(
                name for name in names if request.get(name) != self._request.get(name)
            )
            return None
        sizes = [os.fstat(file.fileno()).st_size for file in self._files]
        if len(sizes) != len(lengths) or any(map(int.__gt__, lengths, sizes)):
            return None  # a part was moved away or cut
        self.state = record["state"]
        return lengths

    def write(self, which: int, text: str) -> None:
        """Adds text to the file of that number; it is kept from the next checkpoint on."""
        self._pending[which].append(text)

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Makes what was written so far stay, with what the writer wants to remember, in JSON's types.

        Raises:
            OSError: A file cannot be written.
        """
        for file, place, pending in zip(self._files, self._places, self._pending):
            if pending:
                data = "".join(pending).encode()
                pending.clear()
                file.write(gzip.compress(data, 6) if place.suffix == ".gz" else data)
                file.flush()
                os.fsync(file.fileno())
        self.state = dict(state)
        record = {
            "request": self._request,
            "lengths": [os.fstat(file.fileno()).st_size for file in self._files],
            "state": self.state,
        }
        new = _beside(self._places[0], _PROGRESS + ".new")
        with open(new, "w", encoding="utf-8") as text:
            json.dump(record, text)
            text.flush()
            os.fsync(text.fileno())
        os.replace(new, self._record)

    def finish(self, state: Mapping[str, Any]) -> None:
        """Puts the files in their places; the first one last, so that its presence says that all are there."""
        self.checkpoint(state)
        for part, place in reversed(list(zip(self._parts, self._places))):
            os.replace(part, place)
        self._record.unlink()
        self._parts = []  # what has these names from now on is another process's

    def close(self) -> None:
        """Closes the parts; removes them if they are of no use, as before the first checkpoint."""
        if self._parts and not (self._keep and self._record.exists()):
            self._record.unlink(missing_ok=True)
            for part in self._parts:
                part.unlink(missing_ok=True)
        self._close()


def _beside(place: pathlib.Path, end: str) -> pathlib.Path:
    """Returns the hidden file beside a place."""
    return place.with_name(f".{place.name}{end}")


@contextlib.contextmanager
def _locked(part: pathlib.Path) -> Iterator[IO[bytes]]:
    """Opens a part that no other process is writing.

    Raises:
        errors.InputError: Another one is.
    """
    while True:
        with open(part, "ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise errors.InputError(
                    f"Expected to be the only one who writes {part.name[1:-len(_PART)]}, found "
                    "another process at work on it. Wait for it, or choose another file."
                ) from error
            if part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat()):
                yield file
                return
        # The other process has just finished: the file that was opened is its result.


@contextlib.contextmanager
def opened(
    paths: Sequence[str], request: Mapping[str, Any], resume: bool = True, keep: bool = True
) -> Iterator[ResumableFiles]:
    """Gives `ResumableFiles` and closes them; the arguments are theirs.

    Raises:
        errors.InputError: There is no place for a file, or another process is writing it.
        errors.ClientError: Writing fails.
    """
    try:
        files = ResumableFiles(paths, request, resume, keep)
        try:
            yield files
        finally:
            files.close()
    except BrokenPipeError:
        raise  # of standard output, where the answers may go
    except OSError as error:
        unusable = isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError))
        cls: Callable[[str], errors.ClientError] = errors.ClientError
        if unusable:
            cls = errors.InputError
        raise cls(f"{paths[0]} cannot be written: {error.strerror or error}.") from error
