"""scripts/matrix: one table of releases, an environment for each, a table of what came out."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys

import pytest

_SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def matrix():
    loader = importlib.machinery.SourceFileLoader("matrix_script", str(_SCRIPTS / "matrix"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    yield module
    del sys.modules[loader.name]


def test_new_rows_replace_their_own_and_stand_in_the_order_of_the_releases(matrix):
    page = (
        "# Page\n<!-- scripts/matrix -->\n| TensorFlow |\n|---|\n| 2.16.2 | old |\n| 2.14.0 | gone from the table |\n"
        "<!-- end of scripts/matrix -->\nrest\n"
    )
    outcomes = [
        matrix.Outcome(("2.21.0", "3.12.1"), "tests: 1 failed"),
        matrix.Outcome(("2.15.1", "3.11.7"), ""),
    ]
    text = matrix.rewrite(page, outcomes, ["2.15.1", "2.16.2", "2.21.0"])
    rows = [line for line in text.splitlines() if line.startswith("| 2.")]
    assert rows == [
        "| 2.15.1 | 3.11.7 | pass |",
        "| 2.16.2 | old |",
        "| 2.21.0 | 3.12.1 | tests: 1 failed |",
    ]
    assert text.startswith("# Page\n") and text.endswith("-->\nrest\n")
    assert matrix.rewrite(text, outcomes, ["2.15.1", "2.16.2", "2.21.0"]) == text


def test_failed_step_gives_its_last_line_as_the_reason(matrix, tmp_path):
    command = [sys.executable, "-c", "print('== 1 failed | 3 passed =='); raise SystemExit(1)"]
    assert matrix.run_step(command, tmp_path / "log") == "1 failed 3 passed"
    assert matrix.run_step([sys.executable, "-c", ""], tmp_path / "log") == ""


def test_unknown_release_is_answered_with_the_known_ones(tmp_path):
    for command in (
        [sys.executable, _SCRIPTS / "matrix", "2.14.0"],
        [_SCRIPTS / "make_env", "2.14"],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert result.returncode == 2
        assert "2.15.1" in result.stderr and "2.21.0" in result.stderr


def test_release_candidate_is_installed_past_the_bounds_of_tf_keras():
    """tf-keras 2.21 requires TensorFlow below 2.22, so pip must not see both at once."""
    result = subprocess.run(
        [sys.executable, _SCRIPTS / "releases.py", "2.22.0rc0"],
        capture_output=True,
        text=True,
        check=True,
    )
    python, with_all, as_is = result.stdout.splitlines()
    assert python in ("3.11", "3.12", "3.13")
    assert "tensorflow==2.22.0rc0" in with_all.split() and "tf-keras" not in with_all
    assert "estimator-service" not in with_all and "sqlalchemy>=2" in with_all.split()
    # TensorFlow Hub asks for a tf-keras, and that for another TensorFlow.
    assert "tensorflow-hub" not in with_all
    assert as_is == "-e. tf-keras tensorflow-hub>=0.16.1"
