"""Whole tables asked from Python: DataFrames, columns, rows, or files of them.

    from serving_client import tables

    with serving_client.PredictionClient("localhost:8500", "census") as client:
        frame["p"] = [answer["probabilities"][1] for answer in tables.predict_rows(client, frame)]

Columns become a request as those of `estimator-query` do; see `questions`.
"""

import contextlib
import functools
import itertools
import os
from typing import Any, Iterable, Iterator, Mapping, Optional, Union

from serving_client import bulk
from serving_client import client as client_lib
from serving_client import errors, in_order, query_settings, questions
from serving_client import rows as rows_lib

_DEFAULTS = query_settings.QuerySettings
_ARROW_ROWS = 1024  # turned into Python's values at a time

# A DataFrame of pandas, polars or any other library that exports Arrow's stream or the interchange
# protocol, a table of Arrow, columns by name, rows, or the path of a file.
Table = Union[Any, Mapping[str, Iterable[Any]], Iterable[Mapping[str, Any]], str, os.PathLike]


def predict_rows(
    client: client_lib.PredictionClient,
    table: Table,
    *,
    signature_name: str = "",
    version: Optional[int] = None,
    version_label: Optional[str] = None,
    output_filter: Iterable[str] = (),
    batch_size: int = _DEFAULTS.batch_size,
    concurrency: int = _DEFAULTS.concurrency,
) -> Iterator[questions.Answer]:
    """Yields the answer to each row, in order: a value, or nested list, by output name.

    Rows are taken as answers are: three batches a request under way are in memory, not all of them.

    Args:
        client: Who is asked.
        table: A DataFrame (pandas, polars, ...) or Arrow table, for which pyarrow must be there; or
            a mapping from column to values; or mappings from column to value, one a row; or the path
            of a CSV, JSON-lines or Parquet file. What is null, and in pandas NaN, has no value.
        signature_name: Which signature; "" chooses one by the columns.
        version: Number of the model's version, or None.
        version_label: Label of its version, or None.
        output_filter: Names of the outputs to compute; none given computes all.
        batch_size: Rows in one request.
        concurrency: Requests under way at the same time.

    Raises:
        errors.InputError: The table is none, has no signature that it can ask, or a value that does
            not fit; with row, column and value.
        errors.ClientError: The server failed.
    """
    path = os.fspath(table) if isinstance(table, (str, os.PathLike)) else None
    query = query_settings.QuerySettings(
        client.model,
        version,
        version_label,
        signature_name,
        tuple(output_filter),
        path,
        batch_size=batch_size,
        concurrency=concurrency,
    )
    rows = _rows(table) if path is None else _read(rows_lib.RowFile(path))
    first = next(rows, None)
    if first is None:
        return
    found = client.model_metadata(version, version_label)
    question = questions.choose(found, signature_name, first.values)
    ask = functools.partial(_ask, client, question, query)
    batches = bulk.batches(itertools.chain([first], rows), batch_size)
    with contextlib.closing(in_order.results(ask, batches, concurrency)) as answered:
        for batch in answered:
            yield from batch


def _ask(
    client: client_lib.PredictionClient,
    question: questions.Question,
    query: query_settings.QuerySettings,
    batch: list[rows_lib.Row],
) -> list[questions.Answer]:
    return questions.ask(client, question, batch, query)


def _read(file: rows_lib.RowFile) -> Iterator[rows_lib.Row]:
    """Yields the rows of a file, of which each must be one of its format."""
    with contextlib.closing(file):
        for row in file:
            if row.problem:
                raise errors.InputError(row.problem)
            yield row


def _rows(table: Any) -> Iterator[rows_lib.Row]:
    """Yields the rows of what is no file."""
    for number, values in enumerate(_mappings(table), 1):
        if not isinstance(values, Mapping):
            raise errors.InputError(
                f"the rows, row {number}: expected a mapping from column to value; found "
                f"{type(values).__name__}."
            )
        yield rows_lib.Row(number, values, is_text=False)


def _mappings(table: Any) -> Iterator[Any]:
    """Yields what should be mappings from column to value, one a row."""
    if isinstance(table, Mapping):
        return _of_columns(table)
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__dataframe__"):
        return _of_frame(table)
    if hasattr(table, "__iter__"):
        return iter(table)
    raise errors.InputError(
        "Expected a DataFrame, columns by name, rows or the path of a file; found "
        f"{type(table).__name__}."
    )


def _of_columns(columns: Mapping[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    lists = {name: list(values) for name, values in columns.items()}
    counts = {name: len(values) for name, values in lists.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise errors.InputError(f"Expected columns of one length; found {shown}.")
    return (dict(zip(lists, values)) for values in zip(*lists.values()))


def _of_frame(frame: Any) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise errors.InputError(
            "Reading a DataFrame takes the package pyarrow, which is not installed. Install it: pip "
            "install 'estimator-service[client]'."
        ) from error
    try:
        if hasattr(frame, "to_records"):  # pandas; its index is no column, and NaN is null
            table = pa.Table.from_pandas(frame, preserve_index=False)
        elif hasattr(frame, "__arrow_c_stream__"):
            table = pa.table(frame)
        else:
            from pyarrow import interchange

            table = interchange.from_dataframe(frame)
    except pa.ArrowException as error:
        raise errors.InputError(
            "Expected columns that hold values of one type each, found one that Arrow cannot take "
            f"({'; '.join(map(str, error.args)).rstrip('.')}). Convert it."
        ) from error
    for batch in table.to_batches(max_chunksize=_ARROW_ROWS):
        yield from batch.to_pylist()
