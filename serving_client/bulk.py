"""Every row of a file asked, answers in the order of the rows, with bounded memory.

file ─► rows ─► batches ─► asked side by side ─► in order ─► answers and failures
"""

import contextlib
import dataclasses
import itertools
import json
import os
import sys
import threading
import time
from typing import Any, Callable, Iterator, Mapping, Optional, Protocol

from serving_client import answers, asking
from serving_client import client as client_lib
from serving_client import errors, in_order, metadata, query_settings, questions, resumable
from serving_client import rows as rows_lib

_CHECKPOINT_SECS = 1.0
# A checkpoint comes earlier once so many characters wait for it.
_CHECKPOINT_CHARACTERS = 4 * 2**20


class Display(Protocol):
    """Shows how far the work is."""

    def begin(self, count: int) -> None:
        """Says how many rows an earlier run has done."""

    def update(self, count: int, fraction: Optional[float]) -> None:
        """Says how many more rows are done, and how much of the input has been read, if known."""

    def note(self, text: str) -> None:
        """Tells the user something."""


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


@dataclasses.dataclass(frozen=True)
class Questionnaire:
    """The rows of an input, and how its model is asked.

    Attributes:
        file: The input, for how far it is read.
        rows: All its rows.
        found: What the server says of the model.
        question: How rows are asked.
    """

    file: rows_lib.RowFile
    rows: Iterator[rows_lib.Row]
    found: metadata.ModelMetadata
    question: questions.Question


@contextlib.contextmanager
def prepared(
    client: client_lib.PredictionClient,
    query: query_settings.QuerySettings,
    note: Callable[[str], None],
) -> Iterator[Questionnaire]:
    """Gives how to ask the rows of the input, chosen by the first that can be read; closes it.

    Args:
        client: Who is asked.
        query: What to ask.
        note: Takes what the user should know of the choice.

    Raises:
        errors.InputError: There are no rows, or no signature that they can ask.
    """
    assert query.input is not None
    with contextlib.closing(rows_lib.RowFile(query.input, query.format)) as file:
        yield _questionnaire(client, query, file, note)


def _questionnaire(
    client: client_lib.PredictionClient,
    query: query_settings.QuerySettings,
    file: rows_lib.RowFile,
    note: Callable[[str], None],
) -> Questionnaire:
    """Returns how to ask the rows of a file; see `prepared`."""
    rows = iter(file)
    head = []
    for row in rows:
        head.append(row)
        if not row.problem:
            break
        if query.failures is None:
            raise errors.InputError(row.problem)
    if not head:
        raise errors.InputError(f"{query.input} has no rows.")
    if head[-1].problem:
        raise errors.InputError(f"{query.input} has no row that can be read: {head[0].problem}")
    columns = head[-1].values
    absent = [name for name in query.key if name not in columns]
    if absent:
        raise errors.InputError(
            f"--key names columns that the input does not have: {', '.join(absent)}; it has "
            f"{', '.join(columns)}."
        )
    found = client.model_metadata(query.version, query.version_label)
    wanted = query.signature_name or ""
    question = questions.choose(found, wanted, columns)
    asked = [name for name in columns if name not in query.key]
    for text in questions.notes(question, found, wanted, asked):
        note(text)
    return Questionnaire(file, itertools.chain(head, rows), found, question)


def run(
    client: client_lib.PredictionClient,
    query: query_settings.QuerySettings,
    display: Display,
    clock: Callable[[], float] = time.monotonic,
) -> Counts:
    """Asks for every row of the input and writes the answers; returns how many there were.

    Args:
        client: Who is asked; it is closed by the caller, also to end the calls that an error leaves.
        query: What to ask, and where the answers go.
        display: Shows how far the work is.
        clock: Returns the time in seconds.

    Raises:
        errors.ClientError: Something went wrong; what was answered before is kept beside the output.
    """
    assert query.input is not None
    with prepared(client, query, display.note) as plan, _output(
        query, plan.found.version, display, clock
    ) as output:
        display.begin(output.counts.rows)
        rows = itertools.islice(plan.rows, output.counts.rows, None)
        stopped = threading.Event()
        asker = asking.Asker(
            lambda batch: questions.ask(client, plan.question, batch, query),
            lenient=query.failures is not None,
            retry_secs=query.retry_secs,
            on_wait=_Waiting(display.note, clock),
            stopped=stopped,
        )
        outcomes = in_order.results(
            asker.outcomes, batches(rows, query.batch_size), query.concurrency
        )
        with contextlib.closing(outcomes), contextlib.ExitStack() as ending:
            ending.callback(stopped.set)
            for batch in outcomes:
                output.write(batch)
                display.update(len(batch), plan.file.fraction())
        output.finish()
    return output.counts


def batches(rows: Iterator[rows_lib.Row], size: int) -> Iterator[list[rows_lib.Row]]:
    """Yields the rows in lists of size; the last may be shorter."""
    while batch := list(itertools.islice(rows, size)):
        yield batch


class _Waiting:
    """Notes that requests are repeated: the first time, and every ten seconds."""

    def __init__(self, note: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._note = note
        self._clock = clock
        self._next_secs = clock()

    def __call__(self, error: errors.ClientError) -> None:
        now = self._clock()
        if now >= self._next_secs:
            self._next_secs = now + 10
            self._note(f"asking again: {error}")


class _Output(Protocol):
    """Takes outcomes in the order of the rows."""

    counts: Counts

    def write(self, batch: list[asking.Outcome]) -> None:
        """Takes the outcomes of the next rows."""

    def finish(self) -> None:
        """Says that there are no more."""


@contextlib.contextmanager
def _output(
    query: query_settings.QuerySettings,
    version: int,
    display: Display,
    clock: Callable[[], float],
) -> Iterator[_Output]:
    """Gives where the outcomes go."""
    paths = [path for path in (query.output, query.failures) if path not in (None, "-")]
    if not paths:
        yield _Stream(query)
        return
    keep = _is_resumable(query)
    with resumable.opened(paths, request(query), query.resume and keep, keep) as files:
        if files.other_request:
            display.note(
                f"beginning anew: what an interrupted run left beside {paths[0]} was for another "
                f"request ({', '.join(files.other_request)})."
            )
        output = _Files(query, files, version, clock)
        if output.counts.rows:
            display.note(f"going on after row {output.counts.rows}, where the last run ended.")
            if files.state and files.state["version"] != version:
                display.note(
                    f"the rows before it were answered by version {files.state['version']}, the rest "
                    f"are by version {version}; --version holds one version for all."
                )
        try:
            yield output
        except BaseException:
            if keep and output.counts.rows:
                output.keep()
                display.note(
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
