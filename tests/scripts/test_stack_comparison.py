"""scripts/compare_stacks: its measure of a difference, what it judges and what it prints."""

import json
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from scripts import stack_comparison, stack_models

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    "one, other, expected",
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1e-9, 2.0], [2e-9, 2.0], 5e-10),
        ([1.0, math.nan], [1.0, math.nan], 0.0),
        ([1.0, math.nan], [1.0, 1.0], math.inf),
        ([1.0], [1.0, 1.0], math.inf),
        ([0.0], [1e-30], 1.0),
        (["a", "b"], ["a", "b"], 0.0),
        (["a", "b"], ["a", "c"], math.inf),
    ],
)
def test_difference_is_relative_to_the_scale_of_the_array(one, other, expected):
    found = stack_comparison.difference(np.array(one), np.array(other))
    assert found == pytest.approx(expected)


def test_difference_of_the_last_bit_is_not_zero():
    one = np.float32(0.3)
    found = stack_comparison.difference(
        np.array([one]), np.array([np.nextafter(one, np.float32(1))])
    )
    assert 0 < found < 1.2e-7


def test_largest_names_the_array_and_misses_none():
    one = {"variables/a": np.ones(2), "variables/b": np.ones(2), "loss": np.zeros(1)}
    other = {**one, "variables/b": np.array([1.0, 1.1]), "loss": np.ones(1)}
    value, name = stack_comparison.largest(one, other, "variables/")
    assert (value, name) == (pytest.approx(0.1 / 1.1), "b")
    del other["variables/a"]
    assert stack_comparison.largest(one, other, "variables/") == (math.inf, "a")
    assert stack_comparison.largest({}, {}) == (math.inf, "nothing to compare")


def test_losses_are_compared_step_by_step():
    value, step = stack_comparison.largest_by_step(np.array([100.0, 1.0]), np.array([100.0, 1.01]))
    assert (value, step) == (pytest.approx(0.01 / 1.01), "step 1")


def row(**arguments):
    made = stack_comparison.Row("dnn", "2.21.0", "2.15.1", **arguments)
    made.add("variables", (3e-6, "kernel"))
    made.add("predictions", (0.0, "logits"))
    return made


def test_a_difference_above_the_limit_is_a_miss_and_says_where():
    assert row().misses() == [
        "dnn on 2.21.0: variables after 100 steps differ by 3.0e-06 (kernel), more than 1e-06"
    ]
    assert not row(limit=1e-5).misses()


def test_a_model_that_is_not_the_same_twice_is_judged_on_its_answers_only():
    noisy = row(noise=0.4)
    assert not noisy.misses()
    noisy.add("predictions", (1e-3, "logits"))
    assert "predictions, one checkpoint differ" in noisy.misses()[0]


def test_what_failed_is_a_miss():
    made = row(limit=1.0)
    made.errors.append("export on 2.21.0: ValueError: no")
    assert made.misses() == ["dnn on 2.21.0: export on 2.21.0: ValueError: no"]


def test_tables_show_the_largest_difference():
    rows = [row(), row()]
    rows[1].add("predictions", (2e-7, "logits"))
    by_stack = stack_comparison.table_by_stack(rows).splitlines()[2]
    assert by_stack.startswith("| 2.15.1 | 2.21.0 | 2 | 0 |")
    assert "| 3e-6 |" in by_stack and "| 2e-7 |" in by_stack
    by_model = stack_comparison.table_by_model([row(noise=0.1)]).splitlines()[2]
    assert by_model.startswith("| `dnn` | 2.15.1 |") and "| n/a |" in by_model


def test_rows_survive_their_file(tmp_path):
    rows = stack_models.read_rows(stack_models.CENSUS, 40)
    stack_models.write_rows(str(tmp_path / "rows.csv"), rows)
    assert stack_models.read_rows(str(tmp_path / "rows.csv"), 40) == rows
    with pytest.raises(ValueError, match="Expected 41 rows in .*, found 40"):
        stack_models.read_rows(str(tmp_path / "rows.csv"), 41)


def run(*arguments):
    command = [sys.executable, str(ROOT / "scripts" / "compare_stacks"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_wrong_flags_are_answered_in_one_sentence(tmp_path):
    one = f"--stack=here={sys.executable}"
    assert "expected at least two stacks, found 1" in run(one).stderr
    assert "expected NAME=PYTHON" in run(f"--stack=here={tmp_path}/none", one).stderr
    result = run(one, one.replace("here", "there"), "--case=nothing")
    assert "expected --case to match one of baseline_classifier" in result.stderr
    assert result.returncode == 2


def test_a_stack_equals_itself(tmp_path):
    """The whole program, with one small model on this interpreter twice."""
    result = run(
        f"--stack=one={sys.executable}",
        f"--stack=other={sys.executable}",
        "--case=v1_baseline_regressor",
        f"--work_dir={tmp_path / 'work'}",
        f"--json={tmp_path / 'all.json'}",
        f"--markdown={tmp_path / 'tables.md'}",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "All targets met." in result.stdout
    measured = json.loads((tmp_path / "all.json").read_text())
    (found,) = measured["rows"]
    aspects = ["loss", "variables", "resumed_here", "resumed_back", "predictions", "metrics"]
    assert list(found["differences"]) == [*aspects, "exports"]
    assert all(value == 0 for value, _ in found["differences"].values())
    assert measured["stacks"]["one"]["python"] == sys.version.split()[0]
    assert os.path.exists(tmp_path / "work" / "one" / "v1_baseline_regressor" / "train.npz")
    assert "| one | other | 1 | 1 |" in (tmp_path / "tables.md").read_text()
