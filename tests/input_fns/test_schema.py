import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from input_fns import errors
from input_fns import schema as schema_lib

Feature = schema_lib.Feature


def make_schema(**changes: object) -> schema_lib.Schema:
    base = schema_lib.Schema(
        features=(
            Feature("age", "int64", low=17, high=90),
            Feature("hours", "float32", default=40.5, low=0.5, high=99.0),
            Feature("job", "string", default=b"", vocabulary=("?", "Clerk", "Élève")),
            Feature("image", "float32", shape=(2, 3)),
            Feature("pixel", "int64", shape=(2,), default=7),
        ),
        labels=(Feature("income", "string", vocabulary=("<=50K", ">50K")),),
        weight=Feature("fnlwgt", "float32"),
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "label",
    [
        Feature("y", "string", vocabulary=("b", "a")),
        Feature("y", "int64", low=0, high=9, categorical=True),
        Feature("y", "float32", low=-1.5, high=2.0),
        None,
    ],
)
def test_a_schema_survives_its_file(tmp_path: pathlib.Path, label: Feature | None) -> None:
    schema = make_schema(labels=(label,) if label else ())
    schema_lib.write(schema, tmp_path / "schema.pbtxt")
    again = schema_lib.read(tmp_path / "schema.pbtxt")
    assert again == schema
    assert schema_lib.describe_difference(schema, again) == []
    assert [path.name for path in tmp_path.iterdir()] == ["schema.pbtxt"]


def test_the_file_marks_the_label_in_tfx_terms(tmp_path: pathlib.Path) -> None:
    schema_lib.write(make_schema(), tmp_path / "schema.pbtxt")
    text = (tmp_path / "schema.pbtxt").read_text()
    assert text.count('not_in_environment: "SERVING"') == 2
    assert 'tag: "label"' in text and 'tag: "weight"' in text


@pytest.mark.parametrize(
    "label, task, names",
    [
        (Feature("y", "string", vocabulary=("b", "a")), "classification", ("b", "a")),
        (
            Feature("y", "int64", low=0, high=2, categorical=True),
            "classification",
            ("0", "1", "2"),
        ),
    ],
)
def test_classes_come_from_the_label(label: Feature, task: str, names: tuple[str, ...]) -> None:
    schema = make_schema(labels=(label,))
    assert (schema.task, schema.label_names, schema.num_classes) == (task, names, len(names))


def test_an_amount_is_a_regression_without_classes() -> None:
    schema = make_schema(labels=(Feature("y", "float32"),))
    assert schema.task == "regression"
    with pytest.raises(errors.SchemaError, match="'y' is an amount; it has no classes"):
        _ = schema.num_classes


def test_a_label_of_unknown_kind_says_what_is_missing() -> None:
    with pytest.raises(errors.SchemaError, match="'y' is int64 without its known values"):
        _ = make_schema(labels=(Feature("y", "int64"),)).task
    with pytest.raises(errors.SchemaError, match="no label. Pass --label_column"):
        _ = make_schema(labels=()).task


def test_parse_spec_reads_back_an_example() -> None:
    schema = make_schema()
    spec = schema_lib.parse_spec(schema)
    assert list(spec) == ["age", "hours", "job", "image", "pixel"]
    assert {"income", "fnlwgt"} < set(schema_lib.parse_spec(schema, with_label=True))
    feature = {
        "age": tf.train.Feature(int64_list=tf.train.Int64List(value=[30])),
        "image": tf.train.Feature(float_list=tf.train.FloatList(value=range(6))),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    parsed = tf.io.parse_example([example.SerializeToString()], spec)
    assert parsed["age"].numpy().tolist() == [30]
    assert parsed["hours"].numpy().tolist() == [40.5]
    assert parsed["job"].numpy().tolist() == [b""]
    assert parsed["pixel"].numpy().tolist() == [[7, 7]]
    np.testing.assert_array_equal(parsed["image"], np.arange(6.0).reshape(1, 2, 3))


def test_differences_are_named() -> None:
    old = make_schema()
    new = dataclasses.replace(
        old,
        features=(Feature("age", "float32", low=17, high=90), *old.features[2:])
        + (Feature("extra", "int64"),),
        weight=None,
    )
    lines = schema_lib.describe_difference(old, new)
    assert "column 'hours' is missing" in lines
    assert "column 'extra' is new" in lines
    assert "column 'age': dtype was 'int64', is 'float32'" in lines
    assert "the weight was 'fnlwgt', is none" in lines


def test_another_order_is_a_difference() -> None:
    old = make_schema()
    new = dataclasses.replace(old, features=old.features[::-1])
    assert schema_lib.describe_difference(old, new) == ["the features stand in another order"]


def test_an_unknown_feature_lists_the_known() -> None:
    with pytest.raises(errors.SchemaError, match="'agee'. Known features: age, hours, job"):
        make_schema().feature("agee")


def test_a_name_may_stand_only_once() -> None:
    with pytest.raises(errors.SchemaError, match="names age more than once"):
        make_schema(labels=(Feature("age", "float32"),))
