"""The whole way, each part the program that users have: trained, exported, served, queried, compared."""

from __future__ import annotations

import ast
import json
import pathlib
import re
import subprocess
import sys
import urllib.request

import pytest

from estimator_app import sample
from tests import running


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def query(server, model_dir, output, *flags):
    """Runs `estimator-query` over the job's sample rows; returns the answers, one a row."""
    command = [
        sys.executable,
        "-m",
        "serving_client.main",
        f"--server={server.address}",
        "--model=census",
    ]
    command += [f"--input={model_dir / sample.ROWS}", f"--output={output}", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [answer["outputs"] for answer in read_lines(output)]


def test_served_answers_equal_the_estimators_own(wide_and_deep, tmp_path):
    local = read_lines(wide_and_deep.model_dir / sample.PREDICTIONS)
    assert len(local) == 100
    with running.run_server(wide_and_deep.settings.export_dir, "--model_name=census") as server:
        as_tensors = query(server, wide_and_deep.model_dir, tmp_path / "tensors.jsonl")
        as_examples = query(
            server, wide_and_deep.model_dir, tmp_path / "examples.jsonl", "--signature_name=predict"
        )
        classified = query(
            server,
            wide_and_deep.model_dir,
            tmp_path / "classes.jsonl",
            "--signature_name=serving_default",
        )
    for answers in (as_tensors, as_examples):
        assert len(answers) == len(local)
        for answer, expected in zip(answers, local):
            assert answer["classes"] == expected["classes"]
            assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)
    for answer, expected in zip(classified, local):
        assert answer["classes"] == expected["all_classes"]
        assert answer["scores"] == pytest.approx(expected["probabilities"], abs=1e-6)


def test_questions_of_the_readme(wide_and_deep, census):
    text = (pathlib.Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    [path, body] = re.search(r"curl localhost:8501(\S+) -d '(.*?)'", text, re.DOTALL).groups()
    [program] = re.findall(r"```python\n(import csv\n.*?)```", text, re.DOTALL)
    with running.run_server(
        wide_and_deep.settings.export_dir, "--model_name=own", "--rest_api_port=-1"
    ) as server:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{server.rest_port}{path}", body.encode()
        ) as answer:
            [classes] = json.load(answer)["results"]
        program = program.replace("localhost:8500", server.address)
        program = program.replace('"eval.csv"', repr(str(census.eval)))
        printed = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout
    answers = [dict(ast.literal_eval(line)) for line in printed.splitlines()]
    assert len(answers) == 4
    assert all(sum(answer.values()) == pytest.approx(1, abs=2e-4) for answer in answers)
    # The row of the curl command is the fourth one of the file.
    assert {label: round(score, 4) for label, score in classes} == answers[3]
