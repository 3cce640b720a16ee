"""`estimator-train data compare` as its own process."""

import csv
import gzip
import re

import pytest

from estimator_app import comparison
from input_fns import packaged, schema_constraints
from input_fns import statistics as statistics_lib


@pytest.fixture(scope="module")
def drifted(tmp_path_factory):
    """1,000 rows of the census evaluation data: women only, older, one column gone and one new."""
    with gzip.open(packaged.find("census").eval_files[0], "rt", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["gender"] == "Female"][:1000]
    for row in rows:
        row["age"] = str(int(row["age"]) + 30)
        row["region"] = row.pop("race")
    path = tmp_path_factory.mktemp("drifted") / "new.csv"
    with open(path, "w", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_parts_of_census_are_alike(run_data):
    data = packaged.find("census")
    result = run_data("compare", data.train_files[0], data.eval_files[0], "--max_drift=0.02")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^second    \S+eval\.csv\.gz: 16,281 rows$", result.stdout, re.M)
    assert re.search(
        r"^workclass +0\.0085 +0\.0085 +0\.0001 +0 % +0 %  'Private' 69\.7% → 68\.9%$",
        result.stdout,
        re.M,
    )
    assert "above" not in result.stdout


def test_drift_is_found_and_shown(run_data, tmp_path, drifted):
    data = packaged.find("census")
    described = run_data("describe", data.train_files[0], f"--output_dir={tmp_path}")
    assert described.returncode == 0, described.stderr
    args = ["compare", tmp_path / "statistics.pbtxt", drifted, f"--html={tmp_path}/drift.html"]
    result = run_data(*args, "--max_drift=0.3")
    assert result.returncode == 3, result.stderr
    lines = result.stdout.splitlines()
    assert lines[2:4] == ["only in the first: race", "only in the second: region"]
    named = [line.split()[0] for line in lines if "above --max_drift 0.3:" in line]
    assert set(named) >= {"age", "gender"} and "education" not in named
    assert lines[6].split()[0] in ("age", "gender")  # the worst is first
    page = (tmp_path / "drift.html").read_text(encoding="utf-8")
    assert page.count('class="card"') == 14 and 'class="second"' in page and "http" not in page


def test_wrong_requests_are_refused(run_data):
    for args, sentence in (
        (["x.csv"], "Expected two arguments, A and B, found 'x.csv'"),
        (["x.csv", "x.csv", "--max_drift=7"], "Expected --max_drift from 0 to 1, found 7"),
    ):
        result = run_data("compare", *args)
        assert result.returncode == 2 and sentence in result.stderr and not result.stdout


def test_thresholds_of_the_schema_are_limits() -> None:
    first, second = (
        comparison.Side(
            name,
            statistics_lib.DatasetStatistics(
                10, (statistics_lib.StringStatistics("x", "string", 10, 0, 2, top),)
            ),
        )
        for name, top in (("a", (("p", 9), ("q", 1))), ("b", (("p", 5), ("q", 5))))
    )
    limits = schema_constraints.ColumnConstraints(
        drift=schema_constraints.Thresholds(infinity_norm=0.5),
        skew=schema_constraints.Thresholds(infinity_norm=0.3, jensen_shannon=0.9),
    )
    constraints = schema_constraints.SchemaConstraints({"x": limits}, (), 0, 0)
    assert not comparison.compare(first, second, constraints=constraints).broken
    found = comparison.compare(first, second, None, constraints, "skew")
    assert found.broken == {"x": ["infinity_norm 0.3"]}
    assert comparison.compare(first, second, 0.39).broken == {"x": ["--max_drift 0.39"]}
