"""Mistakes in what a user gave us: one sentence each, with expectation, finding and fix."""

from __future__ import annotations

_MAX_SHOWN = 200  # characters of a bad cell in an error; bad_rows.csv has all of them


class InputError(ValueError):
    """The data, or a request about the data, is not usable as given."""


class SettingsError(InputError):
    """A setting is out of range or contradicts another one."""


class SchemaError(InputError):
    """A schema cannot be used, or a file does not fit the schema."""


class FileError(InputError):
    """A file is absent, empty, damaged or not of the expected format."""


class EmptyFileError(FileError):
    """A file of the expected format has no row."""


class BadRowError(InputError):
    """A row does not fit the schema, and bad rows are to be refused.

    Attributes:
        path: the file.
        row: 1-based number of the data row in that file; the header is not counted.
        column: the column's name; empty when the row as a whole is at fault.
        value: the cell's text as it stands in the file.
        expected: what stands in that column elsewhere.
    """

    def __init__(self, path: str, row: int, column: str, value: str, expected: str) -> None:
        self.path, self.row, self.column = path, row, column
        self.value, self.expected = value, expected
        where = f", column {column!r}" if column else ""
        shown = value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}..."
        super().__init__(
            f"{path}, row {row}{where}: expected {expected}, found {shown!r}. Correct the row, or "
            "pass --bad_rows=skip to leave such rows out and keep them in bad_rows.csv."
        )
