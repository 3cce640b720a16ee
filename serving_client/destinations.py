"""Where the outcomes of a question go: standard output, or files that can be gone on with."""

import contextlib
import dataclasses
import json
import os
import sys
from typing import Any, Callable, Iterator, Mapping, Protocol

from serving_client import answers, asking, query_settings, resumable
from serving_client import rows as rows_lib

_CHECKPOINT_SECS = 1.0
# A checkpoint comes earlier once so many characters wait for it.
_CHECKPOINT_CHARACTERS = 4 * 2**20


@dataclasses.dataclass
class Counts:
    """How many rows are done.

    Attributes:
        rows: All of them.
        failed: Those without an answer.
    """

    rows: int = 0
    failed: int = 0

    @property
    def answered(self) -> int:
        """Those with an answer."""
        return self.rows - self.failed


class Destination(Protocol):
    """Takes outcomes in the order of the rows."""

    counts: Counts

    def write(self, batch: list[asking.Outcome]) -> None:
        """Takes the outcomes of the next rows."""

    def finish(self) -> None:
        """Says that there are no more."""


@contextlib.contextmanager
def opened(
    query: query_settings.QuerySettings,
    version: int,
    note: Callable[[str], None],
    clock: Callable[[], float],
) -> Iterator[Destination]:
    """Gives where the outcomes go.

    Args:
        query: Names the files, and what a run that is gone on with must have asked, too.
        version: Which version of the model answers.
        note: Takes what the user should know of an earlier run.
        clock: Returns the time in seconds.

    Raises:
        errors.ClientError: A file cannot be written.
    """
    paths = [path for path in (query.output, query.failures) if path not in (None, "-")]
    if not paths:
        yield _Stream(query)
        return
    keep = _is_resumable(query)
    with resumable.opened(paths, request(query), query.resume and keep, keep) as files:
        if files.other_request:
            note(
                f"beginning anew: what an interrupted run left beside {paths[0]} was for another "
                f"request ({', '.join(files.other_request)})."
            )
        output = _Files(query, files, version, clock)
        if output.counts.rows:
            note(f"going on after row {output.counts.rows}, where the last run ended.")
            if files.state and files.state["version"] != version:
                note(
                    f"the rows before it were answered by version {files.state['version']}, the rest "
                    f"are by version {version}; --version holds one version for all."
                )
        try:
            yield output
        except BaseException:
            if keep and output.counts.rows:
                output.keep()
                note(
                    f"the answers to the first {output.counts.rows} rows are kept; the same command "
                    "goes on after them."
                )
            raise


def _is_resumable(query: query_settings.QuerySettings) -> bool:
    """Says whether input and output are files, which are there a second time."""
    return rows_lib.STANDARD not in (query.input, query.output)


def request(query: query_settings.QuerySettings) -> dict[str, Any]:
    """Returns what the answers depend on, in JSON's types; how rows are sent is not among it."""
    assert query.input is not None
    found: dict[str, Any] = {
        name: getattr(query, name)
        for name in ("model", "version", "version_label", "signature_name", "format", "failures")
    }
    found.update(key=list(query.key), output_filter=list(query.output_filter))
    if query.input != rows_lib.STANDARD:
        status = os.stat(query.input)
        found["input"] = [os.path.abspath(query.input), status.st_size, status.st_mtime_ns]
    return found


class _Stream:
    """Answers on standard output."""

    def __init__(self, query: query_settings.QuerySettings) -> None:
        self.counts = Counts()
        self._key = query.key
        self._lines = answers.lines(rows_lib.JSONL)

    def write(self, batch: list[asking.Outcome]) -> None:
        """Prints the answers."""
        for one in batch:
            assert one.answer is not None  # without a file of failures, these are errors
            key = {name: one.row.values.get(name) for name in self._key}
            sys.stdout.write(self._lines.text(one.row.number, key, one.answer))
        self.counts.rows += len(batch)

    def finish(self) -> None:
        """Lets nothing wait in the buffer."""
        sys.stdout.flush()


class _Files:
    """Answers and failures in files that can be gone on with."""

    def __init__(
        self,
        query: query_settings.QuerySettings,
        files: resumable.ResumableFiles,
        version: int,
        clock: Callable[[], float],
    ) -> None:
        state = files.state or {"rows": 0, "failed": 0, "header": []}
        self.counts = Counts(state["rows"], state["failed"])
        self._query = query
        self._files = files
        self._version = version
        self._clock = clock
        to_stream = query.output == rows_lib.STANDARD
        chosen = rows_lib.JSONL if to_stream else answers.file_format(query.output)
        self._lines = answers.lines(chosen, state["header"])
        self._write_answer: Callable[[str], Any] = sys.stdout.write
        if not to_stream:
            self._write_answer = lambda text: files.write(0, text)
        self._failures = 0 if to_stream else 1
        self._kept_rows = self.counts.rows
        self._characters = 0
        self._next_secs = clock() + _CHECKPOINT_SECS

    def write(self, batch: list[asking.Outcome]) -> None:
        """Writes answers and failures; a checkpoint follows from time to time."""
        texts = [(one, self._text(one)) for one in batch]  # all or none, so that counts stay true
        for one, text in texts:
            self._characters += len(text)
            if one.answer is None:
                self.counts.failed += 1
                self._files.write(self._failures, text)
            else:
                self._write_answer(text)
        self.counts.rows += len(batch)
        if self._clock() >= self._next_secs or self._characters >= _CHECKPOINT_CHARACTERS:
            self.keep()

    def _text(self, one: asking.Outcome) -> str:
        """Returns the lines for one outcome."""
        key = {name: one.row.values.get(name) for name in self._query.key}
        if one.answer is not None:
            return self._lines.text(one.row.number, key, one.answer)
        line = {
            "row": one.row.number,
            "reason": one.reason,
            "values": rows_lib.encode_b64(one.row.values),
        }
        return json.dumps(line, default=answers.plain, ensure_ascii=False) + "\n"

    def keep(self) -> None:
        """Makes what is written so far stay, if there is something new."""
        if self.counts.rows > self._kept_rows:
            self._files.checkpoint(self._state())
            self._kept_rows = self.counts.rows
        self._characters = 0
        self._next_secs = self._clock() + _CHECKPOINT_SECS

    def finish(self) -> None:
        """Puts the files in their places."""
        self._files.finish(self._state())
        self._kept_rows = self.counts.rows

    def _state(self) -> Mapping[str, Any]:
        """Returns what the next run has to know."""
        return {
            "rows": self.counts.rows,
            "failed": self.counts.failed,
            "header": self._lines.header,
            "version": self._version,
        }
