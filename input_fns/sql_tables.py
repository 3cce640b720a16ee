"""Databases by SQLAlchemy's URL: what a query gives, a block of rows at a time.

    --train_data=sqlite:///sales.db --train_query='SELECT * FROM sales WHERE day < 300'

A password need not stand in the URL, and so not in the settings of the job: `postgresql://me:$PASSWORD@host/db` takes
it from the environment; so do most drivers (PGPASSWORD, ~/.pgpass).
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import importlib
import os
from typing import Any

import numpy as np
import pyarrow as pa

from input_fns import arrow_tables, blocks, errors, files, formats, in_memory
from input_fns import settings as settings_lib


class SqlFormat:
    """See `sources.Format`. The columns are those of the query's result, and its rows come in the database's order: the
    same one in every pass only if the query says ORDER BY.

    The query runs anew for each pass, and nothing is committed. Only a block of its rows is held, where the driver has
    server-side cursors.
    """

    label = ""

    def __init__(self, urls: str, query: str, flag: str) -> None:
        """Connects to nothing.

        Args:
            urls: comma separated; the same query goes to each.
            query: a SELECT.
            flag: that gave the query, for error messages.

        Raises:
            SettingsError: SQLAlchemy is not installed.
        """
        self._urls = {formats.hide_password(url): url for url in files.split(urls)}
        self._query, self._flag = query, flag
        try:
            self._sqlalchemy: Any = importlib.import_module("sqlalchemy")
        except ModuleNotFoundError as error:
            if error.name != "sqlalchemy":
                raise
            raise errors.SettingsError(
                f"Reading {next(iter(self._urls))} needs SQLAlchemy, which is not installed: "
                "pip install estimator-service[sql]."
            ) from None

    def columns(self, path: str) -> tuple[str, ...]:
        """The names of the result's columns."""
        with self._run(path) as result:
            if not result.returns_rows:
                raise errors.FileError(
                    f"{path}: --{self._flag} gives no rows, it is {_shorten(self._query)}. Expected a SELECT."
                )
            names = tuple(result.keys())
            # Types show with the values.
            arrow_tables.check_columns(path, pa.schema([(name, pa.null()) for name in names]))
            if result.fetchone() is None:
                raise errors.EmptyFileError(
                    f"{path} holds no row that --{self._flag} asks for: {_shorten(self._query)}. Correct the query."
                )
        return names

    def shards(self, path: str) -> tuple[blocks.Shard, ...]:
        """The result as a whole."""
        return (blocks.Shard(path),)

    def holds_both(self, path: str) -> bool:
        """Training and evaluation rows differ in the query."""
        return True

    def read(self, shard: blocks.Shard, columns: tuple[str, ...]) -> Iterator[blocks.RawBlock]:
        """The rows in the order in which the database gives them; see `in_memory.from_values` for their types."""
        with self._run(shard.path) as result:
            start = 1
            while rows := result.fetchmany(arrow_tables.BLOCK_ROWS):
                cells = {
                    name: in_memory.from_values(shard.path, name, values)
                    for name, values in zip(columns, zip(*rows, strict=True), strict=True)
                }
                yield blocks.RawBlock(shard.path, np.arange(start, start + len(rows)), cells)
                start += len(rows)

    @contextlib.contextmanager
    def _run(self, path: str) -> Iterator[Any]:
        """The query's `sqlalchemy.CursorResult`; what goes wrong in the database while it is open names `path`."""
        sqlalchemy, url = self._sqlalchemy, self._url(path)
        is_sqlite = url.get_backend_name() == "sqlite"
        if is_sqlite and _is_file(url.database) and not os.path.exists(url.database):
            raise files.unreadable(path, FileNotFoundError(), "")  # else SQLite would make one
        try:
            # A connection a pass: one that is kept for hours is cut by a server or a firewall.
            engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
            with engine.connect() as connection:
                if is_sqlite:  # some of its statements do not wait for a commit
                    connection.exec_driver_sql("PRAGMA query_only = ON")
                # Without parameters, a driver leaves the query's own % and : alone.
                connection = connection.execution_options(stream_results=True, no_parameters=True)
                yield connection.exec_driver_sql(self._query)
        except ModuleNotFoundError as error:
            raise errors.SettingsError(
                f"{path} needs the driver {error.name}, which is not installed. Install it, or name another one: "
                f"{url.get_backend_name()}+DRIVER://..."
            ) from error
        except sqlalchemy.exc.SQLAlchemyError as error:
            reason = " ".join(str(getattr(error, "orig", None) or error.args[0]).split())
            if url.password:
                reason = reason.replace(str(url.password), "***")
            raise errors.FileError(
                f"Cannot read {path}: {reason.rstrip('.')}. Correct the URL, or --{self._flag}, which is "
                f"{_shorten(self._query)}."
            ) from error

    def _url(self, path: str) -> Any:
        """The `sqlalchemy.URL` of one of the paths, with its password.

        Raises:
            SettingsError: it is none, or its password is not in the environment.
        """
        try:
            url = self._sqlalchemy.make_url(self._urls[path])
        except (self._sqlalchemy.exc.ArgumentError, ValueError):
            raise errors.SettingsError(
                f"{path} is not the URL of a database. Expected dialect://user:password@host:port/name, or "
                "sqlite:///path; in a password @ is %40, : is %3A, / is %2F and a comma %2C."
            ) from None
        if not str(url.password or "").startswith("$"):
            return url
        name = str(url.password)[1:].strip("{}")
        if name not in os.environ:
            raise errors.SettingsError(
                f"The password of {path} is to be taken from the environment, where {name} is not set. Run: export "
                f"{name}=..."
            )
        return url.set(password=os.environ[name])


def make(settings: settings_lib.InputSettings, role: str) -> SqlFormat:
    """The reader; see `formats.FORMATS`. Without evaluation data of its own, that query goes to the training data's
    database.

    Raises:
        SettingsError: there is no query for that role, or SQLAlchemy is not installed.
    """
    query = settings.eval_query if role == "eval" else settings.train_query
    if not query:
        raise errors.SettingsError(
            f"Expected --{role}_query, the SELECT of the rows to {'evaluate' if role == 'eval' else 'train'} on, found "
            "none. Add it."
        )
    named = (settings.eval_data if role == "eval" else "") or settings.train_data
    return SqlFormat(named, query, f"{role}_query")


def _is_file(database: str | None) -> bool:
    return bool(database) and not str(database).startswith(("file:", ":memory:"))


def _shorten(query: str) -> str:
    text = " ".join(query.split())
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
