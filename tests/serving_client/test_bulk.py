"""Files asked as a whole, against a real gRPC server in this process."""

import csv
import json
import threading

import pyarrow as pa
from pyarrow import parquet
import pytest

from serving_client import bulk, client, errors, query_settings, settings, wire
from tests.serving_client import fake_server

ROWS = 250
NUMBERS = range(1, ROWS + 1)


class Notes:
    """What the user was told, and the rows that were said to be done."""

    def __init__(self):
        self.notes, self.done, self.fractions = [], 0, []

    def begin(self, count):
        self.done = count

    def update(self, count, fraction):
        self.done += count
        self.fractions.append(fraction)

    def note(self, text):
        self.notes.append(text)


class Particular(fake_server.FakeModel):
    """Fails on the job `bad`, and interrupts its caller at the job of that name."""

    def Predict(self, request):
        jobs = wire.to_array(request.inputs["job"]).tolist()
        if b"bad" in jobs:
            raise ValueError("the kernel does not like this job")
        return super().Predict(request)


@pytest.fixture
def model():
    return Particular()


@pytest.fixture
def ask(address, tmp_path):
    """Asks for the rows of a file; returns the counts and what the user was told."""

    def ask(path, output="out.csv", **options):
        query = query_settings.QuerySettings(
            model=fake_server.MODEL, input=str(path), output=str(tmp_path / output), **options
        )
        notes = Notes()
        connection = settings.ClientSettings(address, retry_timeout_secs=0)
        with client.PredictionClient(connection, fake_server.MODEL) as one:
            return bulk.run(one, query, notes), notes

    return ask


def write_csv(path, jobs=None, ages=None):
    """Writes rows whose score is their number."""
    with open(path, "w", newline="") as text:
        table = csv.writer(text)
        table.writerow(["id", "age", "hours", "job"])
        for number in NUMBERS:
            age = (ages or {}).get(number, number)
            table.writerow([f"n{number}", age, 0, (jobs or {}).get(number, "a")])
    return path


def scores(path):
    """Returns (row, key, score) of each line of a CSV of answers."""
    with open(path, newline="") as text:
        rows = list(csv.DictReader(text))
    assert list(rows[0]) == ["row", "id", "score_0", "text"]
    return [(int(row["row"]), row["id"], float(row["score_0"])) for row in rows]


ALL = [(number, f"n{number}", float(number)) for number in NUMBERS]


@pytest.mark.parametrize("concurrency", [1, 7])
def test_answers_have_the_order_and_the_key_of_the_rows(ask, tmp_path, concurrency):
    path = write_csv(tmp_path / "in.csv")
    counts, notes = ask(path, key=("id",), batch_size=3, concurrency=concurrency)
    assert (counts.rows, counts.failed, counts.answered) == (ROWS, 0, ROWS)
    assert scores(tmp_path / "out.csv") == ALL
    assert (notes.notes, notes.done, notes.fractions[-1]) == ([], ROWS, 1.0)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_parquet_is_asked_as_csv_is(ask, tmp_path):
    columns = {
        "id": [f"n{number}" for number in NUMBERS],
        "age": pa.array(NUMBERS, pa.int32()),
        "hours": [0.0] * ROWS,
        "job": ["a"] * ROWS,
    }
    parquet.write_table(pa.table(columns), tmp_path / "in.parquet")
    ask(tmp_path / "in.parquet", key=("id",), output_filter=("score",), output="out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [
        (line["row"], line["key"]["id"], *line["outputs"].pop("score")) for line in lines
    ] == ALL
    assert not any(line["outputs"] for line in lines)  # the filter left nothing else


def test_failures_are_written_with_reason_and_values_and_the_rest_is_answered(ask, tmp_path):
    path = write_csv(tmp_path / "in.csv", jobs={20: "bad"}, ages={1: "x", 77: "3,5"})
    with open(path, "a") as text:
        text.write("too,short\n")
    failures = tmp_path / "failures.jsonl"
    counts, _ = ask(path, key=("id",), failures=str(failures))
    assert (counts.rows, counts.failed) == (ROWS + 1, 4)
    assert scores(tmp_path / "out.csv") == [one for one in ALL if one[0] not in (1, 20, 77)]
    found = {line["row"]: line for line in map(json.loads, failures.read_text().splitlines())}
    assert list(found) == [1, 20, 77, ROWS + 1]
    assert found[1]["reason"] == f"{path}, row 1, column age: 'x' is not int64 (it is no number)."
    assert found[1]["values"] == {"id": "n1", "age": "x", "hours": "0", "job": "a"}
    assert "the kernel does not like this job" in found[20]["reason"]
    assert found[77]["values"]["age"] == "3,5"
    assert found[ROWS + 1]["reason"] == f"{path}, row {ROWS + 1}: 2 values for 4 columns."


def test_first_bad_row_is_an_error_that_keeps_what_came_before_it(ask, model, tmp_path):
    path = write_csv(tmp_path / "in.csv", ages={100: "x"})
    with pytest.raises(errors.InputError, match="row 100, column age: 'x' is not int64"):
        ask(path, key=("id",), batch_size=10)
    assert not (tmp_path / "out.csv").exists()
    model.requests.clear()
    counts, notes = ask(path, key=("id",), failures=str(tmp_path / "f.jsonl"), batch_size=10)
    assert notes.notes[0].startswith("beginning anew: ") and "(failures)" in notes.notes[0]
    assert (counts.rows, counts.failed) == (ROWS, 1)


def interrupted(ask, model, path, **options):
    """Asks until the server denies access; returns how many rows are kept and what was noted."""
    entered = threading.Semaphore(12)

    def deny_later(request):
        if entered.acquire(blocking=False):
            return Particular.Predict(model, request)
        raise PermissionError("enough")

    model.Predict = deny_later
    with pytest.raises(errors.ServerError, match="enough"):
        ask(path, key=("id",), batch_size=10, **options)
    del model.Predict
    record = json.loads((path.parent / ".out.csv.progress").read_text())
    model.requests.clear()
    return record["state"]["rows"]


def test_interrupted_work_goes_on_and_every_row_is_answered_once(ask, model, tmp_path):
    path = write_csv(tmp_path / "in.csv")
    kept = interrupted(ask, model, path)
    assert 10 <= kept <= 120
    counts, notes = ask(path, key=("id",), batch_size=7)
    assert notes.notes == [f"going on after row {kept}, where the last run ended."]
    assert scores(tmp_path / "out.csv") == ALL
    assert counts.rows == notes.done == ROWS
    asked = [wire.to_array(one.inputs["age"]) for one in model.asked(wire.PredictRequest)]
    # Requests of the interrupted run, of 10 rows, may have reached the server after its end.
    asked = [ages for ages in asked if len(ages) <= 7]
    assert sorted(age for ages in asked for age in ages.tolist()) == list(NUMBERS[kept:])


def test_answers_of_another_version_are_told(ask, model, tmp_path):
    path = write_csv(tmp_path / "in.csv")
    interrupted(ask, model, path)
    model.version = 8
    _, notes = ask(path, key=("id",))
    assert notes.notes[1] == (
        "the rows before it were answered by version 7, the rest are by version 8; --version holds "
        "one version for all."
    )


def test_work_begins_anew_if_the_input_has_changed_or_the_user_wants_it(ask, model, tmp_path):
    path = write_csv(tmp_path / "in.csv")
    interrupted(ask, model, path)
    write_csv(path, jobs={1: "other"})
    _, notes = ask(path, key=("id",))
    assert notes.notes == [
        f"beginning anew: what an interrupted run left beside {tmp_path}/out.csv was for another "
        "request (input)."
    ]
    interrupted(ask, model, path)
    _, notes = ask(path, key=("id",), resume=False)
    assert notes.notes == []
    assert scores(tmp_path / "out.csv") == ALL


def test_key_that_the_input_does_not_have_is_refused(ask, tmp_path):
    with pytest.raises(errors.InputError) as caught:
        ask(write_csv(tmp_path / "in.csv"), key=("id", "name"))
    assert str(caught.value) == (
        "--key names columns that the input does not have: name; it has id, age, hours, job."
    )


def test_input_without_any_readable_row_is_refused(ask, tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n1\n2\n")
    with pytest.raises(errors.InputError, match="has no row that can be read: .*row 1: 1 values"):
        ask(tmp_path / "in.csv", failures=str(tmp_path / "f.jsonl"))
