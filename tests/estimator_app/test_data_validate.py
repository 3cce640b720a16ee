"""`estimator-train data validate` as its own process."""

from google.protobuf import text_format
import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2

from input_fns import inference, packaged
from input_fns import schema as schema_lib
from input_fns import settings as input_settings
from input_fns import sources


@pytest.fixture(scope="module")
def schema_path(tmp_path_factory):
    """The schema of the census training data."""
    settings = input_settings.InputSettings(data="census")
    found = inference.scan(sources.open_source(settings, "train"), settings)
    path = tmp_path_factory.mktemp("schema") / "schema.pbtxt"
    schema_lib.write(found.schema, path)
    return path


def test_anomalies_are_printed_and_written(run_data, tmp_path, schema_path):
    path = packaged.find("census").eval_files[0]
    result = run_data("validate", path, f"--schema={schema_path}", f"--output_dir={tmp_path}")
    assert result.returncode == 3, result.stderr
    assert result.stdout.splitlines() == [
        "fnlwgt: Out-of-range values (INT_TYPE_BIG_INT). 1 of 16,281 values (0.0%) are above 1,484,705, as far as "
        "1,490,400.",
        "16,281 rows, 1 anomaly",
        f"anomalies  {tmp_path}/anomalies.pbtxt",
    ]
    message = anomalies_pb2.Anomalies()
    text_format.Parse((tmp_path / "anomalies.pbtxt").read_text(), message)
    assert list(message.anomaly_info) == ["fnlwgt"]


def test_good_data_has_no_anomaly(run_data, schema_path):
    path = packaged.find("census").train_files[0]
    result = run_data("validate", path, f"--schema={schema_path}")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "32,561 rows, no anomaly\n"


def test_no_data_is_an_anomaly(run_data, tmp_path, schema_path):
    (tmp_path / "x.csv").write_text("age,job\n")
    result = run_data("validate", tmp_path / "x.csv", f"--schema={schema_path}")
    assert result.returncode == 3, result.stderr
    assert result.stdout.startswith("all columns: No data (DATASET_LOW_NUM_EXAMPLES). ")


def test_a_schema_is_needed(run_data):
    result = run_data("validate", "x.csv")
    assert result.returncode == 2
    assert result.stderr.startswith("error: Expected --schema, the schema.pbtxt to hold the data")


def test_an_environment_is_one_of_the_schemas(run_data, schema_path):
    result = run_data("validate", "x.csv", f"--schema={schema_path}", "--environment=SERVNG")
    assert result.returncode == 2
    assert "one of the schema's (TRAINING, SERVING), found 'SERVNG'. Correct" in result.stderr


def test_what_the_schema_decides_cannot_be_asked_for(run_data):
    result = run_data("validate", "x.csv", "--schema=schema.pbtxt", "--bad_rows=skip")
    assert result.returncode == 2
    assert result.stderr.startswith("error: Expected no --bad_rows, since the schema alone decides")
