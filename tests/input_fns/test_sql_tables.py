from collections.abc import Callable
import importlib
import pathlib
import sqlite3
from typing import Any

import numpy as np
import pytest

from input_fns import arrow_tables, errors, formats, inference, pipeline
from input_fns import settings as settings_lib
from input_fns import sources, sql_tables

pytest.importorskip("sqlalchemy")


@pytest.fixture
def database(tmp_path: pathlib.Path) -> Callable[..., str]:
    """Makes a table `t` in SQLite of rows, its columns without a type unless told, and gives the URL."""

    def make(columns: str, rows: list[tuple[Any, ...]]) -> str:
        path = tmp_path / "data.db"
        connection = sqlite3.connect(path)
        with connection:
            connection.execute(f"CREATE TABLE t ({columns})")
            connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)
        connection.close()
        return f"sqlite:///{path}"

    return make


@pytest.fixture
def census(database: Callable[..., str], census_lines: list[str]) -> str:
    """The first 1,000 rows of census as a table."""
    names = census_lines[0].split(",")
    rows = [line.split(",") for line in census_lines[1:]]
    numeric = [all(cell.isdigit() for cell in column) for column in zip(*rows, strict=True)]
    kinds = ["INTEGER" if number else "TEXT" for number in numeric]
    columns = ", ".join(f'"{name}" {kind}' for name, kind in zip(names, kinds, strict=True))
    return database(columns, [tuple(row) for row in rows])


def read_all(url: str, query: str = "SELECT * FROM t") -> dict[str, list[Any]]:
    reader = sql_tables.SqlFormat(url, query, "train_query")
    path = formats.hide_password(url)
    names = reader.columns(path)
    read = [block for shard in reader.shards(path) for block in reader.read(shard, names)]
    return {name: [block.cells[name] for block in read] for name in names}


def test_schema_and_batches_are_those_of_the_rows_as_csv(
    census: str,
    census_lines: list[str],
    write_csv: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrow_tables, "BLOCK_ROWS", 300)
    common = {"label_column": "income", "weight_column": "fnlwgt", "shuffle_buffer": 0, "seed": 1}
    schemas, batches = [], []
    for settings in (
        settings_lib.InputSettings(train_data=write_csv(census_lines), **common),
        settings_lib.InputSettings(train_data=census, train_query="SELECT * FROM t", **common),
    ):
        source = sources.open_source(settings, "train")
        schemas.append(inference.scan(source, settings).schema)
        dataset = pipeline.make_input_fn(source, schemas[-1], settings, "train")()
        batches.append(list(dataset.take(20).as_numpy_iterator()))  # into the third pass
    assert schemas[0] == schemas[1]
    for (features, label), (other_features, other_label) in zip(*batches, strict=True):
        np.testing.assert_array_equal(label, other_label)
        for name, values in features.items():
            np.testing.assert_array_equal(values, other_features[name])


def test_an_evaluation_query_goes_to_the_same_database(census: str) -> None:
    settings = settings_lib.InputSettings(
        train_data=census,
        train_query="SELECT age, income FROM t WHERE age % 5 <> 0",
        eval_query="SELECT age, income FROM t WHERE age % 5 = 0 ORDER BY age",
        label_column="income",
    )
    counts = [
        inference.scan(sources.open_source(settings, role), settings).num_rows
        for role in sources.ROLES
    ]
    assert sum(counts) == 1000 and min(counts) > 100


def test_values_get_types_and_rows_numbers(database: Callable[..., str]) -> None:
    url = database("i, f, s, b, n", [(1, 1, "x", b"y", None), (None, 2.5, "", b"\xff", None)])
    read = read_all(
        url, "SELECT *, date(0, 'unixepoch') AS d FROM t WHERE s LIKE '%' AND s <> ':a'"
    )
    types = {name: str(cells[0].type) for name, cells in read.items()}
    assert types == {
        "i": "int64",
        "f": "double",
        "s": "string",
        "b": "large_binary",  # not UTF-8: a bad row, found later
        "n": "null",
        "d": "string",
    }
    assert read["f"][0].to_pylist() == [1.0, 2.5]
    assert read["d"][0].to_pylist() == ["1970-01-01"] * 2


def test_a_column_may_change_its_type_between_blocks(
    database: Callable[..., str],
    make_settings: Callable[..., settings_lib.InputSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrow_tables, "BLOCK_ROWS", 2)
    rows = [(1, None, 0.5, "a"), (2, None, 1.5, "b"), (2.5, 3, 2, "a"), (4, 4, "much", 5), (5,) * 4]
    url = database("x, later, number, y", rows)
    settings = make_settings(url, train_query="SELECT * FROM t", bad_rows="skip")
    scanned = inference.scan(sources.open_source(settings, "train"), settings)
    dtypes = {feature.name: feature.dtype for feature in scanned.schema.features}
    assert dtypes == {"x": "float32", "later": "int64", "number": "float32"}
    assert scanned.schema.label_names == ("5", "a", "b")
    (bad,) = scanned.first_bad_rows
    assert (bad.row, bad.column, bad.value) == (4, "number", "much")


def test_nothing_is_written(database: Callable[..., str]) -> None:
    url = database("x", [(1,)])
    for query in ("DROP TABLE t", "INSERT INTO t VALUES (2)"):
        with pytest.raises(errors.FileError, match="attempt to write a readonly database"):
            read_all(url, query)
    assert read_all(url)["x"][0].to_pylist() == [1]


@pytest.mark.parametrize(
    "query, sentence",
    [
        (
            "SELECT * FROM u",
            "Cannot read {url}: no such table: u. Correct the URL, or --train_query, which is 'SELECT * FROM u'.",
        ),
        (
            "SELECT * FROM t WHERE x > 9",
            "{url} holds no row that --train_query asks for: 'SELECT * FROM t WHERE x > 9'. Correct the query.",
        ),
        (
            "BEGIN",
            "{url}: --train_query gives no rows, it is 'BEGIN'. Expected a SELECT.",
        ),
        (
            "SELECT x, x FROM t",
            "{url} names 'x' more than once. Rename or remove the columns that repeat.",
        ),
    ],
)
def test_a_query_that_gives_no_table_is_refused(
    database: Callable[..., str], query: str, sentence: str
) -> None:
    url = database("x", [(1,)])
    with pytest.raises(errors.FileError) as raised:
        read_all(url, query)
    assert str(raised.value) == sentence.format(url=url)


def test_an_absent_file_is_refused_and_not_made(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.FileError, match="^Cannot read sqlite:///.*/no.db: No such file"):
        read_all(f"sqlite:///{tmp_path}/no.db")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "url, sentence",
    [
        (
            "some+driver://me:secret@host/db",
            "Cannot read some+driver://me:***@host/db: Can't load plugin: sqlalchemy.dialects:some.driver",
        ),
        (
            "postgresql+pg8000://me:secret@host/db",
            "postgresql+pg8000://me:***@host/db needs the driver pg8000, which is not installed. Install it",
        ),
        (
            "postgresql://me:se@cret@host:port/db",
            "postgresql://me:***@host:port/db is not the URL of a database. Expected dialect://user:password@",
        ),
        (
            "mysql://me:$ABSENT@host/db",
            "The password of mysql://me:***@host/db is to be taken from the environment, where ABSENT is not set.",
        ),
    ],
)
def test_an_unusable_url_is_refused_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(errors.InputError) as raised:
        read_all(url)
    assert str(raised.value).startswith(sentence)
    assert "cret" not in str(raised.value)


def test_a_password_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "secret")
    url = "mysql://me:${DB_PASSWORD}@host/db"
    reader = sql_tables.SqlFormat(url, "SELECT 1", "train_query")
    assert reader._url("mysql://me:***@host/db").password == "secret"


def test_sqlalchemy_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(errors.SettingsError) as raised:
        sql_tables.SqlFormat("sqlite:///a.db", "SELECT 1", "train_query")
    assert str(raised.value) == (
        "Reading sqlite:///a.db needs SQLAlchemy, which is not installed: pip install estimator-service[sql]."
    )


def test_an_evaluation_query_must_be_given(census: str) -> None:
    settings = settings_lib.InputSettings(train_data=census, train_query="SELECT * FROM t")
    with pytest.raises(errors.SettingsError, match="Expected --eval_query, the SELECT of the rows"):
        sources.open_source(settings, "eval")


def test_messages_about_columns_hide_the_password(census: str) -> None:
    settings = settings_lib.InputSettings(
        train_data=census, train_query="SELECT age FROM t", label_column="income"
    )
    with pytest.raises(errors.SchemaError, match="^sqlite:///.* has no label column 'income'."):
        sources.open_source(settings, "train")


@pytest.mark.parametrize(
    "fields, sentence",
    [
        (
            {"train_data": "mysql://me:secret@host/db"},
            "mysql://me:***@host/db is a database, of which --train_query tells the rows; there is none. "
            "Pass --train_query='SELECT ...'.",
        ),
        (
            {"train_data": "a.csv", "train_query": "SELECT 1"},
            "--train_query asks a database, found a.csv, which is none. Pass the URL of one, such as "
            "--train_data=sqlite:///my.db, or leave the query out.",
        ),
        (
            {"train_data": "a.csv", "eval_data": "sqlite:///a.db"},
            "sqlite:///a.db is a database, of which --eval_query tells the rows; there is none. "
            "Pass --eval_query='SELECT ...'.",
        ),
        (
            {"data": "census", "eval_query": "SELECT 1"},
            "--eval_query asks a database, found census, which is none. Pass the URL of one, such as "
            "--eval_data=sqlite:///my.db, or leave the query out.",
        ),
    ],
)
def test_databases_and_queries_go_together(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(errors.SettingsError) as raised:
        settings_lib.InputSettings(**fields)  # type: ignore[arg-type]
    assert str(raised.value) == sentence


def test_a_format_that_is_given_makes_any_url_a_database() -> None:
    settings_lib.InputSettings(train_data="duckdb:///a", train_query="SELECT 1", format="sql")
