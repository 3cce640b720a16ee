"""`estimator-train data describe` as its own process: what it prints and writes, sentences, exit codes."""

import html.parser
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from input_fns import packaged
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib


class Page(html.parser.HTMLParser):
    """What a browser would load, and the text of the cards' heads."""

    def __init__(self, path):
        super().__init__()
        self.loaded, self.columns, self.tags = [], [], []
        self.text = pathlib.Path(path).read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.loaded += [values[name] for name in ("src", "href") if values.get(name)]
        if "data-name" in values:
            self.columns.append(values["data-name"])


def test_census_is_described(run_data, tmp_path):
    path = packaged.find("census").train_files[0]
    result = run_data("describe", path, "--label_column=income", f"--output_dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    assert re.match(
        r"rows      32,561 in 1 file of 398\.8 kB\ncolumns   15: 6 .*, 9 ", result.stdout
    )
    age = next(line for line in result.stdout.splitlines() if line.startswith("age "))
    assert age.split()[:13] == (
        ["age", "INT", "0", "%", "0", "%", "38.58", "13.64", "17", "19", "28", "37", "48"]
    )
    assert re.search(
        r"^workclass +BYTES +0 % +9 +7\.9  Private 69\.7 %, Self-emp-", result.stdout, re.M
    )
    assert result.stdout.endswith(f"page        {tmp_path}/statistics.html\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "schema.pbtxt",
        "statistics.html",
        "statistics.pbtxt",
    ]
    schema = schema_lib.read(tmp_path / "schema.pbtxt")
    assert schema.label_names == ("<=50K", ">50K")
    found = statistics_lib.read(tmp_path / "statistics.pbtxt")
    assert found.num_rows == 32561 and found.column("age").quantiles[49].high == 37
    page = Page(tmp_path / "statistics.html")
    assert page.columns == [column.name for column in found.columns]
    assert not page.loaded and "http" not in page.text
    assert page.text.count('class="log"') == 6 and "&lt;=50K" in page.text


def test_pictures_are_shown(run_data, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", image=rng.random((50, 8, 8, 3), np.float32), y=np.arange(50) % 2)
    result = run_data("describe", tmp_path / "x.npz", f"--html={tmp_path / 'x.html'}")
    assert result.returncode == 0, result.stderr
    page = Page(tmp_path / "x.html")
    assert len(page.loaded) == 2 and all(s.startswith("data:image/png;") for s in page.loaded)
    assert page.tags.count("img") == 2


def test_rows_that_do_not_fit_are_told_of(run_data, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n" + "1,so <b>so</b>\n" * 20 + "one,x\n2\n")
    result = run_data("describe", tmp_path / "x.csv", f"--output_dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    assert "bad rows  2 left out; the first: row 21, column 'a', expected a number" in result.stdout
    assert "tokens of b: 2.0 on average, 2 at most; most frequent: bsob, so" in result.stdout
    assert (tmp_path / "bad_rows.csv").read_text().count("\n") == 3
    assert "so &lt;b&gt;so" in Page(tmp_path / "statistics.html").text
    result = run_data("describe", tmp_path / "x.csv", "--bad_rows=error")
    assert result.returncode == 2 and "row 21, column 'a'" in result.stderr


@pytest.mark.parametrize(
    "args, sentence",
    [
        ([], "Expected one of .*describe.* after data, found none"),
        (["describe"], "Expected one argument, PATH, found none"),
        (["describe", "absent.csv"], "absent.csv"),
        (["describe", "x.csv", "--image_size=a,b"], "--image_size to be whole numbers such as 224"),
        (
            ["describe", __file__, "--format=csv", f"--html={__file__}/x.html"],
            "test_data_describe.py to be a folder that can be written to, found: (File exists|Not a)",
        ),
        (["bench", "--secs=nan"], "Expected a finite --secs, found nan. Leave it out for 3"),
    ],
)
def test_wrong_requests_are_refused(run_data, args, sentence):
    result = run_data(*args)
    assert result.returncode == 2 and re.search(f"^error: .*{sentence}", result.stderr, re.M)
    assert "Traceback" not in result.stderr and not result.stdout


def test_help_lists_the_commands(run_data):
    result = run_data("--help")
    assert result.returncode == 0 and "estimator-train data describe PATH" in result.stdout


def test_a_reader_that_leaves_early_is_no_failure(tmp_path):
    """As in `estimator-train data describe ... | head`."""
    (tmp_path / "x.csv").write_text("a\n1\n")
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "estimator_app.main", "data", "describe", "x.csv"]
    root = pathlib.Path(packaged.__file__).parents[1]
    result = subprocess.run(
        command,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    os.close(write)
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
