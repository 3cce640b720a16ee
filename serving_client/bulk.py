"""Every row of a file asked, answers in the order of the rows, with bounded memory.

    file ─► rows ─► batches ─► asked side by side ─► in order ─► answers and failures

A row is read only when there is room for it.
"""

import contextlib
import dataclasses
import itertools
import threading
import time
from typing import Callable, Iterator, Optional, Protocol

from serving_client import asking
from serving_client import client as client_lib
from serving_client import destinations, errors, in_order, metadata, query_settings, questions
from serving_client import rows as rows_lib


class Display(Protocol):
    """Shows how far the work is."""

    def begin(self, count: int) -> None:
        """Says how many rows an earlier run has done."""

    def update(self, count: int, fraction: Optional[float]) -> None:
        """Says how many more rows are done, and how much of the input has been read, if known."""

    def note(self, text: str) -> None:
        """Tells the user something."""


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
) -> destinations.Counts:
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
    with prepared(client, query, display.note) as plan, destinations.opened(
        query, plan.found.version, display.note, clock
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
