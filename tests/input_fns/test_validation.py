import pathlib

from google.protobuf import text_format
import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2

from input_fns import anomalies, errors, inference
from input_fns import schema as schema_lib
from input_fns import schema_constraints, sources, statistics, validation

ROWS = ["age,job,share,y", "20,clerk,0.25,a", "60,cook,0.75,b", "30,clerk,,a", "40,cook,0.5,b"]


@pytest.fixture
def known(write_csv, make_settings, tmp_path):
    """Schema and statistics of ROWS, as files."""
    source = sources.open_source(make_settings(write_csv(ROWS, "good.csv")), "train")
    found = inference.scan(source, make_settings("good.csv"))
    schema_lib.write(found.schema, tmp_path / "schema.pbtxt")
    statistics.write(found.statistics, tmp_path / "statistics.pbtxt")
    return tmp_path


@pytest.fixture
def validate(known, write_csv, make_settings):
    """What is found in the lines of a file; `edit` changes the schema's text before, as (old, new)."""

    def run(lines, *edits, environment="TRAINING", with_statistics=False, files=None):
        path = known / "schema.pbtxt"
        text = path.read_text()
        for old, new in edits:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text)
        named = ",".join(files or [write_csv(lines)])
        settings = make_settings(named, label_column="")
        return validation.validate(
            sources.open_source(settings, "train", needs_label=False),
            schema_lib.read(path),
            schema_constraints.read(path),
            statistics.read(known / "statistics.pbtxt") if with_statistics else None,
            environment,
        )

    return run


def kinds(found: validation.Validation) -> list[tuple[str, str]]:
    return [(anomaly.column, anomaly.type) for anomaly in found.anomalies]


def test_the_data_that_the_schema_is_of_has_no_anomaly(validate) -> None:
    assert validate(ROWS, with_statistics=True) == validation.Validation(4, ())


def test_everything_that_is_wrong_is_found_in_one_pass(validate) -> None:
    found = validate(
        [
            "age,job,y,extra",
            "19,clerk,a,1",
            "x,driver,b,2",
            "61,driver,,3",
            ",pilot, b ,4",
            "99,cook,c,5",
            "1,2",
        ]
    )
    said = {(a.column, a.type): a.description for a in found.anomalies}
    assert list(said) == [
        ("", "CUSTOM_VALIDATION"),
        ("age", "INT_TYPE_NOT_INT_STRING"),
        ("age", "INT_TYPE_SMALL_INT"),
        ("age", "INT_TYPE_BIG_INT"),
        ("age", "FEATURE_TYPE_LOW_FRACTION_PRESENT"),
        ("job", "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
        ("share", "SCHEMA_MISSING_COLUMN"),
        ("y", "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
        ("y", "FEATURE_TYPE_LOW_FRACTION_PRESENT"),
        ("extra", "SCHEMA_NEW_COLUMN"),
    ]
    texts = list(said.values())
    assert (
        "1 of 6 rows cannot be split into columns; the first:" in texts[0] and "row 6" in texts[0]
    )
    assert (
        "1 of 5 rows do not fit; the first:" in texts[1] and "row 2, expected a whole" in texts[1]
    )
    assert texts[3] == "2 of 3 values (66.7%) are above 60, as far as 99."
    assert texts[4] == "1 of 5 rows (20.0%) have no value; each needs one."
    assert texts[5] == "3 of 5 values (60.0%) are not in the vocabulary: 'driver' (2), 'pilot' (1)."
    assert texts[7].endswith("are not in the vocabulary: 'c' (1).")  # ' b ' is read as b
    assert found.num_rows == 6


def test_fractions_have_a_range_and_a_type(validate) -> None:
    found = validate(["age,job,share,y", "20,cook,0.9,a", "20,cook,-1,a", "20,cook,much,a"])
    assert kinds(found) == [
        ("share", "FLOAT_TYPE_STRING_NOT_FLOAT"),
        ("share", "FLOAT_TYPE_SMALL_FLOAT"),
        ("share", "FLOAT_TYPE_BIG_FLOAT"),
    ]


def test_a_file_that_lacks_a_column_is_named(validate, write_csv) -> None:
    files = [write_csv(ROWS, "a.csv"), write_csv(["age,job,y", "20,cook,a"], "b.csv")]
    found = validate([], files=files)
    assert kinds(found) == [("share", "SCHEMA_MISSING_COLUMN")]
    assert found.anomalies[0].description == f"The column is not in {files[1]}."


def test_the_label_is_not_expected_where_the_model_is_served(validate) -> None:
    rows = ["age,job,share", "20,cook,0.5"]
    assert kinds(validate(rows)) == [("y", "SCHEMA_MISSING_COLUMN")]
    assert not validate(rows, environment="SERVING").anomalies


def test_the_mass_outside_the_domain_may_be_allowed(validate) -> None:
    rows = ["age,job,share,y", *(f"20,{'new' if i < 2 else 'cook'},0.5,a" for i in range(10))]
    allow = 'name: "job"\n', 'name: "job"\n  distribution_constraints { min_domain_mass: 0.8 }\n'
    assert kinds(validate(rows)) == [("job", "ENUM_TYPE_UNEXPECTED_STRING_VALUES")]
    assert not validate(rows, allow).anomalies
    assert validate([*rows, "20,new,0.5,a"]).anomalies


def test_presence_is_held(validate) -> None:
    rows = ["age,job,share,y", *(f"20,cook,{'' if i < 5 else 0.5},a" for i in range(10))]
    assert not validate(rows).anomalies
    demand = 'name: "share"\n', 'name: "share"\n  presence { min_fraction: 0.6 }\n'
    found = validate(rows, demand)
    assert kinds(found) == [("share", "FEATURE_TYPE_LOW_FRACTION_PRESENT")]
    assert found.anomalies[0].description.endswith("(50.0%) have no value; 40.0% may have none.")
    empty = validate(["age,job,share,y", "20,cook,,a"])
    assert kinds(empty) == [("share", "FEATURE_TYPE_NOT_PRESENT")]


def test_shares_of_missing_values_are_held_against_the_statistics(validate) -> None:
    rows = ["age,job,share,y", *(f"20,cook,{'' if i % 10 else 0.5},a" for i in range(1000))]
    (found,) = validate(rows, with_statistics=True).anomalies
    assert (found.type, found.short) == ("FEATURE_TYPE_LOW_FRACTION_PRESENT", "More missing values")
    assert found.description == "90.0% of the rows have no value; in the statistics it was 25.0%."
    rows = ["age,job,share,y", *("20,cook,0.5,a" for i in range(1000))]
    assert kinds(validate(rows, with_statistics=True)) == [("share", "CUSTOM_VALIDATION")]
    few = ["age,job,share,y", "20,cook,,a", "20,cook,,a", "20,cook,0.5,a"]
    assert not validate(few, with_statistics=True).anomalies  # chance


def test_a_drift_comparator_is_held(validate, known) -> None:
    rows = ["age,job,share,y", *(f"20,cook,{'' if i == 1 else 0.5},a" for i in range(4))]
    demand = "drift_comparator { infinity_norm { threshold: 0.3 } }"
    edit = 'name: "job"\n', f'name: "job"\n  {demand}\n'
    found = validate(rows, edit, with_statistics=True)
    assert kinds(found) == [("job", "COMPARATOR_L_INFTY_HIGH")]
    assert "is 0.5000, the threshold 0.3: 'clerk' 50.0% → 0.0%." in found.anomalies[0].description
    anomalies.write(found.anomalies, known / "anomalies.pbtxt", found.drifts)
    message = anomalies_pb2.Anomalies()
    text_format.Parse((known / "anomalies.pbtxt").read_text(), message)
    (measured,) = message.drift_skew_info[0].drift_measurements[:1]
    assert measured.value == pytest.approx(0.5) and measured.threshold == pytest.approx(0.3)
    assert not validate(rows).anomalies  # nothing to hold them against


def test_the_size_of_the_data_is_held(validate) -> None:
    edit = (
        "default_environment",
        "dataset_constraints { min_examples_count: 9 }\ndefault_environment",
    )
    assert kinds(validate(ROWS, edit)) == [("", "DATASET_LOW_NUM_EXAMPLES")]
    assert validation.of_no_rows("x.csv is empty.").anomalies[0].type == "DATASET_LOW_NUM_EXAMPLES"


def test_another_shape_is_an_anomaly(make_settings, tmp_path: pathlib.Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 4), np.float32))
    schema = schema_lib.Schema((schema_lib.Feature("x", "float32", (5,)),))
    schema_lib.write(schema, tmp_path / "schema.pbtxt")
    settings = make_settings(str(tmp_path / "x.npz"), label_column="")
    found = validation.validate(
        sources.open_source(settings, "train", needs_label=False),
        schema,
        schema_constraints.read(tmp_path / "schema.pbtxt"),
    )
    assert kinds(found) == [("x", "INVALID_FEATURE_SHAPE")]
    assert "has shape (4,), the schema says (5,)" in found.anomalies[0].description


def test_anomalies_are_tfx_own_message(tmp_path: pathlib.Path) -> None:
    found = [
        anomalies.Anomaly("x", "INT_TYPE_BIG_INT", "Out-of-range values", "One."),
        anomalies.Anomaly("x", "INT_TYPE_SMALL_INT", "Out-of-range values", "Two."),
        anomalies.Anomaly("", "DATASET_LOW_NUM_EXAMPLES", "No data", "None."),
    ]
    anomalies.write(found, tmp_path / "anomalies.pbtxt")
    message = anomalies_pb2.Anomalies()
    text_format.Parse((tmp_path / "anomalies.pbtxt").read_text(), message)
    info = message.anomaly_info["x"]
    assert [reason.type for reason in info.reason] == [
        anomalies_pb2.AnomalyInfo.INT_TYPE_BIG_INT,
        anomalies_pb2.AnomalyInfo.INT_TYPE_SMALL_INT,
    ]
    assert (info.short_description, info.description) == ("Multiple errors", "One. Two.")
    assert message.data_missing and list(info.path.step) == ["x"]


def test_a_schema_that_is_none_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.SchemaError, match="Cannot read the schema .*absent.pbtxt"):
        schema_constraints.read(tmp_path / "absent.pbtxt")
