"""Tables of Python's asked as a whole, against a real gRPC server in this process."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from serving_client import client as client_lib
from serving_client import encoding, errors, tables, wire
from tests.serving_client import fake_server

COLUMNS = {"age": [30, 40, 50], "hours": [10.0, 15.5, 0.0], "job": ["a", "b", "c"]}
SCORES = [35.0, 47.75, 50.0]


class Exported:
    """A table of some other library, of which one protocol is known."""

    def __init__(self, protocol):
        setattr(type(self), protocol, getattr(pa.table(COLUMNS), protocol))


class Defaults(fake_server.FakeModel):
    """Has a default for every feature of an Example."""

    def _rows(self, serialised):
        default = encoding.make_example({"age": 0, "hours": 0.0, "job": "?"}).SerializeToString()
        return super()._rows([default + one for one in serialised])  # protobuf merges them


@pytest.fixture
def model():
    return Defaults()


@pytest.fixture
def client(address):
    with client_lib.PredictionClient(address, fake_server.MODEL) as client:
        yield client


def rows():
    return [dict(zip(COLUMNS, values)) for values in zip(*COLUMNS.values())]


def written(tmp_path):
    path = tmp_path / "rows.csv"
    pd.DataFrame(COLUMNS).to_csv(path, index=False)
    return path


TABLES = {
    "pandas": lambda _: pd.DataFrame(COLUMNS, index=[7, 8, 9]),
    "columns": lambda _: COLUMNS,
    "arrays": lambda _: {name: np.array(values) for name, values in COLUMNS.items()},
    "rows": lambda _: rows(),
    "arrow": lambda _: pa.table(COLUMNS),
    "stream": lambda _: type("Stream", (Exported,), {})("__arrow_c_stream__"),
    "interchange": lambda _: type("Frame", (Exported,), {})("__dataframe__"),
    "path": written,
}


@pytest.mark.parametrize("kind", TABLES)
def test_answers_come_row_by_row(client, model, tmp_path, kind):
    table = TABLES[kind](tmp_path)
    answers = list(tables.predict_rows(client, table, batch_size=2))
    assert [answer["score"] for answer in answers] == [[score] for score in SCORES]
    assert [answer["text"] for answer in answers] == [b"a", b"b", b"c"]
    asked = [one for one in model.requests if isinstance(one, wire.PredictRequest)]
    assert sorted(one.inputs["age"].tensor_shape.dim[0].size for one in asked) == [1, 2]
    assert {one.model_spec.signature_name for one in asked} == {"tensors:predict"}


def test_what_is_missing_in_a_frame_is_left_out_of_examples(client, model):
    frame = pd.DataFrame({"age": [30, None], "hours": [1.5, float("nan")], "job": ["a", None]})
    frame["age"] = frame["age"].astype("Int64")
    answers = tables.predict_rows(client, frame, signature_name="predict")
    assert [answer["score"] for answer in answers] == [[30.75], [0.0]]
    sent = wire.to_array(model.requests[-1].inputs["examples"])
    examples = [wire.Example.FromString(one) for one in sent]
    assert [sorted(one.features.feature) for one in examples] == [["age", "hours", "job"], []]
    assert list(examples[0].features.feature["age"].int64_list.value) == [30]


def test_rows_are_taken_as_answers_are(client):
    taken = []

    def generate():
        for number in range(1000):
            taken.append(number)
            yield {"age": number, "hours": 0, "job": "x"}

    answers = tables.predict_rows(client, generate(), batch_size=10, concurrency=2)
    assert next(answers)["score"] == [0.0]
    assert len(taken) <= 70  # a batch that is answered, and three a request
    assert len(list(answers)) == 999


def test_no_rows_are_no_answers(client, model):
    assert list(tables.predict_rows(client, [])) == []
    assert not model.requests


@pytest.mark.parametrize(
    "table, sentence",
    [
        (
            {"age": [1, 2], "hours": [1.0], "job": ["a", "b"]},
            "Expected columns of one length; found age 2, hours 1, job 2.",
        ),
        (
            [{"age": 1, "hours": 1, "job": "a"}, 3],
            "the rows, row 2: expected a mapping from column ",
        ),
        (3, "Expected a DataFrame, columns by name, rows or the path of a file; found int."),
        (
            [{"age": 1, "hours": 1, "job": "a"}, {"age": "x", "hours": 1, "job": "a"}],
            "the rows, row 2, column age: 'x' is not int64",
        ),
        (
            pd.DataFrame({"age": [1, "x"], "hours": [1, 1], "job": ["a", "b"]}),
            "Expected columns that hold values of one type each, found one that Arrow cannot take (",
        ),
        ("rows.xlsx", "'rows.xlsx' does not end in .csv, .jsonl"),
        ("gone.csv", "gone.csv cannot be read: No such file or directory."),
    ],
)
def test_wrong_tables_are_refused_with_a_sentence(client, table, sentence):
    with pytest.raises(errors.InputError) as caught:
        list(tables.predict_rows(client, table))
    assert sentence in str(caught.value)
