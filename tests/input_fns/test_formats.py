"""Every format that is written gives the batches that CSV gives: the same rows of census, converted."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import itertools
import pathlib
from typing import Any

import numpy as np
import pytest

from input_fns import file_conversion, formats, inference, output_files, pipeline
from input_fns import settings as settings_lib
from input_fns import sources, writers

ROWS = 300
BATCH = 32
NUMBERS = ("age", "educational-num", "hours-per-week")

# A new format that is written takes a line here.
FILES = {
    "csv": "rows.csv.gz",
    "tsv": "rows.tsv",
    "parquet": "rows.parquet",
    "arrow": "rows.feather",
    "jsonl": "rows.jsonl.zst",
    "numpy": "rows.npz",
    "tfrecord": "rows.tfrecord.gz",
    "libsvm": "rows.libsvm",
}


@contextlib.contextmanager
def unwatched(title: str, total: int | None) -> Iterator[Any]:
    """Tells nobody of the progress."""
    yield lambda rows: None


def settings_for(path: pathlib.Path, label: str) -> settings_lib.InputSettings:
    """Settings to read a file in small batches."""
    return settings_lib.InputSettings(
        train_data=str(path), label_column=label, batch_size=BATCH, seed=1
    )


def write_census(path: pathlib.Path, lines: list[str], numbers_only: bool) -> None:
    """Writes the first rows of census as CSV; of numbers only, whether one earns more is told as 0 or 1."""
    rows = [line.split(",") for line in lines[: ROWS + 1]]
    if numbers_only:
        kept = [rows[0].index(name) for name in NUMBERS]
        label = rows[0].index("income")
        rows = [[*(row[i] for i in kept), str(int(row[label] == ">50K"))] for row in rows]
        rows[0] = [*NUMBERS, "income"]
    path.write_text("".join(f"{','.join(row)}\n" for row in rows))


def read_batches(settings: settings_lib.InputSettings, mode: str) -> list[Any]:
    """All batches; of training those of two and a half epochs."""
    source = sources.open_source(settings, "train")
    schema = inference.scan(source, settings).schema
    dataset = pipeline.make_input_fn(source, schema, settings, mode)()
    count = ROWS * 5 // 2 // BATCH if mode == "train" else None
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def stack(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of numbers as the one column that LIBSVM has."""
    return {"features": np.stack([features[n].astype(np.float32) for n in NUMBERS], axis=1)}


@pytest.mark.parametrize("mode", pipeline.MODES)
@pytest.mark.parametrize("name", FILES)
def test_the_batches_are_those_of_csv(
    tmp_path: pathlib.Path, census_lines: list[str], name: str, mode: str
) -> None:
    is_libsvm = name == "libsvm"
    write_census(tmp_path / "census.csv", census_lines, numbers_only=is_libsvm)
    original = settings_for(tmp_path / "census.csv", "income")
    output = output_files.OutputSettings(str(tmp_path / FILES[name]))
    source = sources.open_source(original, "train")
    file_conversion.convert(source, original, None, output, unwatched)

    expected = read_batches(original, mode)
    label = "label" if is_libsvm else "income"
    found = read_batches(settings_for(tmp_path / FILES[name], label), mode)
    assert len(found) == len(expected) >= ROWS // BATCH
    for batch, expected_batch in zip(found, expected, strict=True):
        if mode == "predict":
            batch, expected_batch = (batch, ()), (expected_batch, ())
        features, expected_features = batch[0], expected_batch[0]
        if is_libsvm:
            expected_features = stack(expected_features)
        assert features.keys() == expected_features.keys()
        for column, values in expected_features.items():
            assert features[column].dtype == values.dtype
            np.testing.assert_array_equal(features[column], values)
        np.testing.assert_array_equal(batch[1], expected_batch[1])


def test_every_format_that_is_written_stands_in_this_table() -> None:
    assert set(writers.WRITERS) <= set(formats.FORMATS)
    assert {writers.tell(file_name) for file_name in FILES.values()} == set(writers.WRITERS)
