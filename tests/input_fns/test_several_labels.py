"""Several labels: which columns they are, what each is, and how they reach the model."""

from __future__ import annotations

from collections.abc import Callable
import pathlib

import numpy as np
import pytest

from input_fns import errors, inference, pipeline, python_objects
from input_fns import schema as schema_lib
from input_fns import settings as settings_lib
from input_fns import sources

TOXIC = "text,toxic,rude\n" + "".join(f"t{i},{i % 2},{int(i % 5 == 0)}\n" for i in range(20))
MIXED = "x,kind,amount,stars\n" + "".join(f"{i},{'ab'[i % 2]},{i}.5,{i % 3}\n" for i in range(20))


def read(
    path: str, label_column: str, schema: schema_lib.Schema | None = None, **changes: str
) -> tuple[sources.Source, settings_lib.InputSettings, inference.ScanResult]:
    settings = settings_lib.InputSettings(
        train_data=path, label_column=label_column, **changes  # type: ignore[arg-type]
    )
    source = sources.open_source(settings, "train", schema)
    return source, settings, inference.scan(source, settings, schema)


def first_batch(
    source: sources.Source, settings: settings_lib.InputSettings, found: inference.ScanResult
) -> tuple[dict[str, np.ndarray], object]:
    input_fn = pipeline.make_input_fn(source, found.schema, settings, "eval")
    batch: tuple[dict[str, np.ndarray], object] = next(input_fn().as_numpy_iterator())
    return batch


def test_several_columns_of_zero_and_one_are_one_matrix(write_csv: Callable[..., str]) -> None:
    source, settings, found = read(write_csv(TOXIC), "toxic, rude", task="multi_label")
    assert (found.schema.task, found.schema.label_names) == ("multi_label", ("toxic", "rude"))
    assert found.statistics.column("rude").top == (("0", 16), ("1", 4))  # type: ignore[union-attr]
    features, labels = first_batch(source, settings, found)
    assert list(features) == ["text"]
    assert labels.dtype == np.int64  # type: ignore[attr-defined]
    np.testing.assert_array_equal(labels[:3], [[0, 1], [1, 0], [0, 0]])  # type: ignore[index]


def test_one_column_of_vectors_is_a_matrix_as_well() -> None:
    wanted = np.arange(24).reshape(8, 3) % 2
    source = python_objects.from_object(
        {"x": np.arange(8.0), "kinds": wanted}, "kinds", task="multi_label"
    )
    settings = settings_lib.InputSettings(train_data="rows")
    found = inference.scan(source, settings)
    assert (found.schema.task, found.schema.label_names) == ("multi_label", ("0", "1", "2"))
    assert inference.scan(source, settings, found.schema).num_rows == 8
    _, labels = first_batch(source, settings, found)
    np.testing.assert_array_equal(labels, wanted)


def test_other_labels_come_by_name_each_of_its_own_kind(write_csv: Callable[..., str]) -> None:
    source, settings, found = read(write_csv(MIXED), "kind,amount,stars")
    assert found.schema.task == "multi_head"
    kinds = [schema_lib.label_task(label) for label in found.schema.labels]
    assert kinds == ["classification", "regression", "classification"]
    features, labels = first_batch(source, settings, found)
    assert list(features) == ["x"]
    assert isinstance(labels, dict)
    assert {name: value[:2].tolist() for name, value in labels.items()} == {
        "kind": [b"a", b"b"],
        "amount": [0.5, 1.5],
        "stars": [0, 1],
    }
    input_fn = pipeline.make_input_fn(source, found.schema, settings, "eval", label_as="index")
    _, ids = next(input_fn().as_numpy_iterator())
    assert ids["kind"][:2].tolist() == [0, 1]


def test_the_file_of_the_schema_keeps_them(
    write_csv: Callable[..., str], tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "schema.pbtxt"
    for text, names, task in ((TOXIC, "toxic,rude", "multi_label"), (MIXED, "kind,amount", "auto")):
        data = write_csv(text)
        schema = read(data, names, task=task)[2].schema
        schema_lib.write(schema, path)
        again = schema_lib.read(path)
        assert again == schema
        settings = settings_lib.InputSettings(train_data=data, schema=str(path))
        source = sources.open_source(settings, "train", again)
        assert inference.scan(source, settings, again).schema == schema
    single = schema_lib.read(path, "kind")
    assert (single.task, single.feature("amount").dtype) == ("classification", "float32")
    assert schema_lib.describe_difference(again, single)[0] == (
        "the label was 'kind', 'amount', is 'kind'"
    )


def test_a_comma_in_a_name_is_no_list(write_csv: Callable[..., str]) -> None:
    found = read(write_csv('x,"price, usd"\n1,2.5\n2,3.5\n'), "price, usd")[2]
    assert found.schema.label is not None and found.schema.label.name == "price, usd"


def test_a_row_beyond_zero_and_one_is_bad(write_csv: Callable[..., str]) -> None:
    schema = read(write_csv(TOXIC), "toxic,rude", task="multi_label")[2].schema
    with pytest.raises(errors.BadRowError, match="row 2, column 'rude': .*class id from 0 to 1"):
        read(write_csv("text,toxic,rude\na,0,1\nb,0,2\n"), "toxic,rude", schema, task="multi_label")


@pytest.mark.parametrize(
    "text, labels, sentence",
    [
        (MIXED, "stars,kind", "'stars' to hold 0 and 1 for --task=multi_label, found from 0 to 2"),
        (MIXED, "kind,stars", "'kind' to hold 0 and 1 for .*, found text such as 'a'"),
        (TOXIC, "toxic", "Expected several columns of 0 and 1, .* found toxic. Name all"),
        (TOXIC, "toxic,polite", "has no label column 'polite'"),
    ],
)
def test_what_is_no_multi_label_is_refused(
    write_csv: Callable[..., str], text: str, labels: str, sentence: str
) -> None:
    with pytest.raises(errors.InputError, match=sentence):
        read(write_csv(text), labels, task="multi_label")
