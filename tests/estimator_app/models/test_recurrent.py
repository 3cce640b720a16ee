"""Networks that read lists step by step; and what the other models make of lists."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import sample
from estimator_app.models import recurrent
from estimator_app.serving import server
from estimator_app.serving import settings as serving_settings
from input_fns import errors
from tests.estimator_app.conftest import Files


@pytest.fixture(scope="session")
def ordered(tmp_path_factory) -> Files:
    """Each row has the same three words in another order, and fillers; the label says whether yes comes before no."""
    rng = np.random.default_rng(0)
    directory = tmp_path_factory.mktemp("ordered")

    def write(name: str, count: int) -> str:
        path = directory / name
        with open(path, "w") as file:
            for _ in range(count):
                words = rng.permutation(["yes", "no", "or"] + ["um"] * rng.integers(0, 3)).tolist()
                heights = [float(word == "yes") for word in words]
                label = "first" if words.index("yes") < words.index("no") else "second"
                row = {"words": words, "heights": heights, "window": [0.0, 1.0], "label": label}
                file.write(json.dumps(row) + "\n")
        return str(path)

    return Files(write("train.jsonl", 1000), write("eval.jsonl", 200))


@pytest.fixture(scope="session")
def run_ordered(run_job, ordered):
    """Returns a function that runs a job on these rows, with some of the columns."""

    def run(drop=(), **changes):
        files = {"train_data": ordered.train, "eval_data": ordered.eval}
        if drop:
            files = {role: without(path, drop) for role, path in files.items()}
        return run_job(**files, label_column="label", **{"max_steps": 3, **changes})

    def without(path: str, drop: tuple[str, ...]) -> str:
        target = f"{path}.without-{'-'.join(drop)}.jsonl"
        with open(path) as source, open(target, "w") as file:
            for line in source:
                kept = {n: v for n, v in json.loads(line).items() if n not in drop}
                file.write(json.dumps(kept) + "\n")
        return target

    return run


@pytest.mark.parametrize("model", ["rnn", "keras_rnn"])
def test_order_is_learnt_by_steps(run_ordered, model):
    learnt = run_ordered(model=model, hidden_units=(16,), learning_rate=0.02, max_steps=120)
    assert learnt.result.metrics["accuracy"] > 0.95


def test_order_is_not_learnt_by_a_bag_of_words(run_ordered):
    words_alone = {"drop": ("heights", "window")}
    bag = run_ordered(model="dnn_linear", learning_rate=0.02, max_steps=40, **words_alone)
    assert bag.result.metrics["accuracy"] < 0.7


def test_counts_are_learnt_by_layers_of_simple_cells(run_job, small_lists):
    files = {"train_data": small_lists.train, "eval_data": small_lists.eval, "label_column": "age"}
    network = {"cell_type": "simple_rnn", "hidden_units": (4, 3), "sequence_columns": ("words",)}
    job = run_job(model="rnn", task="regression", loss="poisson", **network, **files)
    shapes = {tuple(shape) for _, shape in tf.train.list_variables(str(job.model_dir))}
    assert {(4, 4), (4, 3), (3, 3)} <= shapes  # of the first cells, between them, of the second
    assert job.result.metrics["prediction/mean"] > 0


def test_lists_of_one_length_and_empty_ones_have_steps():
    steps = recurrent.to_steps(tf.constant([[0.0, 1.0], [2.0, 0.0]]))
    assert steps.values.numpy().tolist() == [0.0, 1.0, 2.0, 0.0]
    assert steps.dense_shape.numpy().tolist() == [2, 2]
    none = tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0]), [3, 0])
    assert recurrent.to_steps(none).dense_shape.numpy().tolist() == [3, 1]


@pytest.mark.parametrize(
    "changes, sentence",
    [
        (
            {"model": "dnn"},
            "Expected lists of text or ids for --model=dnn, found lists of numbers in column 'heights'. Use --mo",
        ),
        (
            {"model": "kmeans"},
            "Expected features of a fixed shape for --model=kmeans, found lists of text or ids in column 'words'.",
        ),
        (
            {"model": "rnn", "sequence_columns": ("word",)},
            "Expected --sequence_columns to name columns of lists (words, heights, window), found 'word'.",
        ),
        (
            {"model": "rnn", "sequence_columns": ("words",)},
            "Expected lists of numbers among --sequence_columns, found 'heights' beside words. Name it too",
        ),
        (
            {"model": "rnn", "sequence_columns": ("words", "window")},
            "side by side; found words (3 to 5 values), window (2 to 2 values). Name those that belong together",
        ),
        (
            {"model": "rnn", "drop": ("words", "heights")},
            "Expected columns of lists for --model=rnn, found none but window, of one length; name them with",
        ),
    ],
)
def test_what_a_model_cannot_read_is_refused(run_ordered, changes, sentence):
    with pytest.raises(errors.InputError) as caught:
        run_ordered(**changes)
    assert sentence in str(caught.value)


# Queries.


@pytest.fixture(scope="module")
def served(job_of):
    """A server with the export of a job on lists, and the first of the job's rows and answers."""
    job = job_of("rnn")
    rows, answers = (
        [json.loads(line) for line in (job.model_dir / name).read_text().splitlines()[:9]]
        for name in (sample.ROWS, sample.PREDICTIONS)
    )
    assert {len(row["words"]) for row in rows} == {0, 1, 2, 3}
    settings = serving_settings.ServerSettings(
        port=0, rest_api_port=-1, model_name="m", model_base_path=job.settings.export_dir
    )
    with server.ModelServer(settings) as running:
        yield running, rows, answers


def post(running, method, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{running.rest_port}/v1/models/m:{method}", json.dumps(body).encode()
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_rows_of_a_file_are_asked_with_lists_of_any_length(served, tmp_path, name):
    running, rows, answers = served
    path = tmp_path / name
    if name.endswith("csv"):
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            cells = [
                {**row, "words": json.dumps(row["words"]), "tags": json.dumps(row["tags"])}
                for row in rows
            ]
            writer.writerows(cells)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    command = [sys.executable, "-m", "serving_client.main", f"--server=127.0.0.1:{running.port}"]
    done = subprocess.run(
        [*command, "--model=m", f"--input={path}"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line)["outputs"]["probabilities"] for line in done.stdout.splitlines()]
    np.testing.assert_allclose(found, [row["probabilities"] for row in answers], atol=1e-5)


def test_rest_takes_lists_in_examples_and_padded_in_tensors(served):
    running, rows, answers = served
    features = [{name: row[name] for name in ("age", "words", "tags")} for row in rows]
    wanted = [row["probabilities"] for row in answers]
    scores = post(running, "classify", {"examples": features})["results"]
    np.testing.assert_allclose([[s for _, s in row] for row in scores], wanted, atol=1e-5)
    padded = [
        {
            **row,
            "words": row["words"] + [""] * (3 - len(row["words"])),
            "tags": row["tags"] + [""] * (6 - len(row["tags"])),
        }
        for row in features
    ]
    body = {"signature_name": "tensors:predict", "instances": padded}
    found = [row["probabilities"] for row in post(running, "predict", body)["predictions"]]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
