"""Small real data: the first rows of the packaged census, and files made of it."""

from __future__ import annotations

from collections.abc import Callable
import gzip
import pathlib

import pytest

from input_fns import packaged
from input_fns import settings as settings_lib


@pytest.fixture(scope="session")
def census_lines() -> list[str]:
    """The header and the first 1,000 rows of the census training data, without line ends."""
    with gzip.open(packaged.find("census").train_files[0], "rt", encoding="utf-8") as file:
        return [next(file).rstrip("\n") for _ in range(1001)]


@pytest.fixture
def write_csv(tmp_path: pathlib.Path) -> Callable[..., str]:
    """Writes lines to a file and gives its path; gzip if the name ends so."""

    def write(lines: list[str] | str | bytes, name: str = "data.csv") -> str:
        if isinstance(lines, list):
            lines = "".join(f"{line}\n" for line in lines)
        data = lines if isinstance(lines, bytes) else lines.encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(path)

    return write


@pytest.fixture
def make_settings() -> Callable[..., settings_lib.InputSettings]:
    """Settings to train on a file with the label column `y`, unless told otherwise."""

    def make(path: str = "", **changes: object) -> settings_lib.InputSettings:
        if "data" not in changes:
            changes = {"train_data": path, "label_column": "y", **changes}
        return settings_lib.InputSettings(**changes)  # type: ignore[arg-type]

    return make
