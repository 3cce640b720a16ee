import pathlib

import pytest

from input_fns import errors
from input_fns import schema as schema_lib
from input_fns import schema_proto

# What TensorFlow Data Validation infers, cut short.
TFX = """
feature { name: "age" type: INT presence { min_fraction: 1.0 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "job" type: BYTES domain: "job" presence { min_count: 1 } value_count { min: 1 max: 1 } }
feature { name: "gain" type: FLOAT presence { min_fraction: 0.5 min_count: 1 } value_count { min: 1 max: 1 } }
feature { name: "member" type: INT bool_domain { } presence { min_fraction: 1.0 } shape { } }
feature { name: "old" type: INT lifecycle_stage: DEPRECATED }
feature { name: "y" type: BYTES presence { min_fraction: 1.0 } shape { }
          string_domain { name: "y" value: "no" value: "yes" } }
string_domain { name: "job" value: "Clerk" value: "Sales" }
"""


def read(text: str, **columns: str) -> schema_lib.Schema:
    return schema_proto.from_text(text, "s.pbtxt", **columns)


def test_a_schema_of_tfx_is_read() -> None:
    schema = read(TFX, label_column="y")
    assert [feature.name for feature in schema.features] == ["age", "job", "gain", "member"]
    assert schema.label_names == ("no", "yes")
    assert schema.feature("job").vocabulary == ("Clerk", "Sales")
    assert schema.feature("job").default == b""
    assert schema.feature("gain").default == 0.0
    assert schema.feature("age").default is None
    assert schema.feature("member").categorical


def test_a_size_of_one_stays_a_shape() -> None:
    assert read(TFX).feature("age").shape == (1,)


def test_a_label_has_no_default() -> None:
    text = 'feature { name: "y" type: FLOAT presence { min_fraction: 0.5 } annotation { tag: "label" } }'
    label = read(text + 'feature { name: "x" type: INT }').label
    assert label is not None and label.default is None


def test_the_flag_goes_before_the_mark() -> None:
    text = """feature { name: "a" type: FLOAT annotation { tag: "label" } }
              feature { name: "b" type: FLOAT }"""
    assert read(text).label == schema_lib.Feature("a", "float32")
    assert read(text, label_column="b").label == schema_lib.Feature("b", "float32")


VARLEN = """tensor_representation_group { key: "" value { tensor_representation {
    key: "t" value { varlen_sparse_tensor { column_name: "a" } } } } }"""


@pytest.mark.parametrize(
    "text, shape, value_count",
    [
        ("INT value_count { min: 0 max: 5 }", (), (0, 5)),
        ("INT value_count { min: 2 }", (), (2, None)),
        ("BYTES value_count { max: 7 } presence { min_fraction: 0.5 }", (), (0, 7)),
        ("BYTES value_count { min: 3 max: 3 }", (), (3, 3)),
        ("INT value_count { min: 3 max: 3 }", (3,), None),
        ("INT value_count { min: 0 max: 1 }", (), None),
        (
            f"INT value_count {{ min: 3 max: 3 }} }} {VARLEN} feature {{ name: 'b' type: INT",
            (),
            (3, 3),
        ),
        (f"BYTES value_count {{ max: 1 }} }} {VARLEN} feature {{ name: 'b' type: INT", (), (0, 1)),
        (f"FLOAT }} {VARLEN} feature {{ name: 'b' type: INT", (), (0, None)),
    ],
)
def test_a_varying_number_of_values_is_a_list(
    text: str, shape: tuple[int, ...], value_count: tuple[int, int | None] | None
) -> None:
    feature = read(f'feature {{ name: "a" type: {text} }}').feature("a")
    assert (feature.shape, feature.value_count) == (shape, value_count)
    if value_count is not None:
        assert feature.is_list and feature.default is None


@pytest.mark.parametrize("value_count", [(0, 5), (3, 3), (0, 1), (1, None)])
@pytest.mark.parametrize("dtype", ["string", "int64", "float32"])
def test_lists_are_read_as_they_were_written(
    dtype: str, value_count: tuple[int, int | None]
) -> None:
    vocabulary = ("x", "y") if dtype == "string" else None
    low = None if dtype == "string" else 0
    feature = schema_lib.Feature("a", dtype, (), None, vocabulary, low, value_count=value_count)
    schema = schema_lib.Schema((feature, schema_lib.Feature("b", "int64", (2,))))
    assert read(schema_proto.to_text(schema)) == schema


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("feature { nome: 1 }", "s.pbtxt is not a TFX schema in text form"),
        ("", "s.pbtxt: the schema declares no feature"),
        ('feature { name: "a" type: STRUCT }', "'a' has type STRUCT; BYTES, INT and FLOAT"),
        (
            'feature { name: "a" type: INT value_count { min: 5 max: 2 } }',
            r"'a': value_count goes from 5 to 2; expected 0 <= min <= max\.",
        ),
        (
            'feature { name: "a" type: INT value_counts { value_count { min: 2 } } }',
            r"'a' is nested \(value_counts\); lists of values",
        ),
        ('feature { name: "a" type: INT shape { dim { size: -1 } } }', "dimension must be >= 1"),
        ('feature { name: "a" type: BYTES domain: "d" }', "refers to the string_domain 'd'"),
        (
            'feature { name: "a" type: BYTES string_domain { name: "a" } }',
            "s.pbtxt: feature 'a' has a string_domain without values; expected all values that it "
            "may have. Give it values, or remove the string_domain.$",
        ),
        (
            'feature { name: "a" type: BYTES domain: "d" } string_domain { name: "d" }',
            "'a' has a string_domain without values",
        ),
        ("feature { nome: 1 }", r'has no field named "nome"\. Infer one'),
        (
            'feature { name: "a" type: FLOAT string_domain { value: "x" } }',
            "'a' has type FLOAT, which a string_domain does not fit",
        ),
        (
            """feature { name: "a" type: INT }
               tensor_representation_group { key: "" value { tensor_representation {
               key: "a" value { dense_tensor { column_name: "a"
               default_value { bytes_value: "x" } } } } } }""",
            "'a' is int64; its default_value is given as a bytes_value",
        ),
        (
            'feature { name: "a" type: INT } feature { name: "a" type: INT }',
            "names a more than once",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(errors.SchemaError, match=sentence):
        read(text)


def test_an_unknown_label_lists_the_features() -> None:
    with pytest.raises(errors.SchemaError, match="label 'z' is not among .*: age, job, gain"):
        read(TFX, label_column="z")


def test_an_absent_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.SchemaError, match="Cannot read the schema .*none.pbtxt"):
        schema_lib.read(tmp_path / "none.pbtxt")
