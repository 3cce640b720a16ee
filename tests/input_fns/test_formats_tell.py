import pathlib

import pytest

from input_fns import errors, formats


@pytest.mark.parametrize(
    "path, name",
    [
        ("rows.svm", "libsvm"),
        ("gs://bucket/rows.svmlight.gz", "libsvm"),
        ("a.libsvm", "libsvm"),
        ("sqlite:///rows.csv", "sql"),
        ("sqlite://", "sql"),
        ("postgresql://me:secret@host:5432/db?sslmode=require", "sql"),
        ("mysql+pymysql://host/db", "sql"),
        ("mssql+pyodbc:///?odbc_connect=x", "sql"),
        ("oracle+oracledb://host/?service_name=x", "sql"),
        ("snowflake+some_driver://host/db", "sql"),
        ("gs://bucket/sqlite.csv", "csv"),
        ("package.module:function", "python"),
        ("__main__:frame", "python"),
        ("modül:ähre", "python"),
    ],
)
def test_a_name_tells_its_format(path: str, name: str) -> None:
    assert formats.tell(path) == name


@pytest.mark.parametrize(
    "path",
    ["gs://bucket/rows", "snowflake://me:secret@host/db", "rows", "a:1", "C:/a:b", "a.b:c.d", ":f"],
)
def test_other_names_tell_none(path: str) -> None:
    with pytest.raises(errors.SettingsError, match="does not tell its format. Known: csv") as told:
        formats.tell(path)
    assert "secret" not in str(told.value)


def test_the_folder_around_the_versions_of_a_dataset_is_refused(tmp_path: pathlib.Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "features.json").write_text("{}")
    with pytest.raises(
        errors.SettingsError,
        match=f"a folder that TensorFlow Datasets prepared, .* {tmp_path} holds 1.0.0, 1.1.0. Name {tmp_path}/1.1.0.$",
    ):
        formats.tell(str(tmp_path))


@pytest.mark.parametrize(
    "named, shown",
    [
        ("mysql://me:secret@host/db", "mysql://me:***@host/db"),
        ("mysql://:secret@host/db", "mysql://:***@host/db"),
        ("mysql://me:se:cr@et/x@host/db", "mysql://me:***@host/db"),
        ("a://b:c@d/e, f://g:h@i/j", "a://b:***@d/e, f://g:***@i/j"),
        ("mysql://me@host:3306/db", "mysql://me@host:3306/db"),
        ("sqlite:////data/rows.db", "sqlite:////data/rows.db"),
        ("gs://bucket/a.csv,b:c@d", "gs://bucket/a.csv,b:c@d"),
        ("data/a.csv", "data/a.csv"),
    ],
)
def test_passwords_are_hidden(named: str, shown: str) -> None:
    assert formats.hide_password(named) == shown
