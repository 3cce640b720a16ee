"""Boosted trees: the graph's answers are ydf's, of every kind of label and input."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
import ydf

from estimator_app import sample
from estimator_app.models import boosted_trees, forest, registry
from input_fns import errors


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> str:
    """Numbers, text and ids that decide together on classes and an amount."""
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("trees") / "rows.csv"
    lines = ["x,word,step,two,three,amount"]
    for _ in range(600):
        x, word, step = rng.normal(), rng.choice(["ant", "bee", "cat", "dog"]), rng.integers(4)
        odd = word in ("bee", "dog")
        two = "yes" if (x > 0) != odd else "no"
        lines.append(f"{x:.4f},{word},{step},{two},{'abc'[int(odd) + (step > 1)]},{x * step:.4f}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def run(run_job, table, label, **changes):
    return run_job(
        model="boosted_trees",
        train_data=table,
        eval_data=table,
        label_column=label,
        max_steps=None,
        n_trees=20,
        learning_rate=0.3,
        **changes,
    )


@pytest.mark.parametrize("label", ["two", "three", "amount"])
def test_the_graph_answers_as_ydf_does(run_job, table, label):
    job = run(run_job, table, label)
    assert job.result.global_step == job.result.max_steps == 19  # one pass of 600 rows
    rows = [json.loads(line) for line in (job.model_dir / sample.ROWS).read_text().splitlines()]
    answers = [
        json.loads(line) for line in (job.model_dir / sample.PREDICTIONS).read_text().splitlines()
    ]
    model = ydf.load_model(str(job.model_dir / boosted_trees.YDF_DIR))
    names = [name for name in ("x", "word", "step", "two", "three", "amount") if name != label]
    vocabularies = {
        "word": ["ant", "bee", "cat", "dog"],
        "two": ["no", "yes"],
        "three": list("abc"),
    }
    data = {}
    for place, name in enumerate(names):
        values = [row[name] for row in rows]
        if name in vocabularies:
            data[str(place)] = np.array([str(vocabularies[name].index(value)) for value in values])
        else:
            data[str(place)] = np.array(values, np.float32)
    wanted = model.predict(data)
    if label == "amount":
        found = np.array([row["predictions"][0] for row in answers])
        assert job.result.metrics["average_loss"] < 0.1
    else:
        order = [int(name) for name in model.label_classes()]
        wanted = np.stack([1 - wanted, wanted], 1) if wanted.ndim == 1 else wanted
        found = np.array([row["probabilities"] for row in answers])[:, order]
        assert job.result.metrics["accuracy"] > 0.95
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert job.result.exports[0].comparison.worst < 1e-6


def test_an_interrupted_start_reads_all_rows_again(run_job, table):
    half = run_job(
        model="boosted_trees",
        train_data=table,
        eval_data=table,
        label_column="two",
        max_steps=5,
        n_trees=20,
        learning_rate=0.3,
    )
    whole = run(run_job, table, "two", model_dir=half.model_dir)
    assert whole.result.global_step == 19
    assert whole.result.metrics["accuracy"] > half.result.metrics["accuracy"]
    model = ydf.load_model(str(whole.model_dir / boosted_trees.YDF_DIR))
    assert model.get_tree(0).root.value.num_examples == 600


def test_no_tree_adds_nothing():
    values = {name: tf.constant(part) for name, part in vars(forest.empty(3)).items()}
    answers = forest.logits(forest.Forest(**values), tf.ones([4, 2]), depth=6, num_logits=3)
    np.testing.assert_array_equal(answers, np.zeros([4, 3]))


def test_a_second_pass_is_refused(run_job, table):
    with pytest.raises(errors.SettingsError, match="--train_epochs of 1 or less .* found 2"):
        run(run_job, table, "two", train_epochs=2)


def test_a_missing_package_says_how_to_install_it(monkeypatch, run_job):
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.SettingsError, match=r"package ydf .* 'estimator-service\[boosted_t"):
        run_job(model="boosted_trees")
