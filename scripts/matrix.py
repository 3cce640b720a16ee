#!/usr/bin/env python3
"""Runs compat on every supported TensorFlow and rewrites the support table of docs/compatibility.md.

    scripts/matrix.py                    every release of estimator_app/compat/versions.py, some minutes each
    scripts/matrix.py 2.16.2 2.20.0      these only; the other rows of the table stay

For each: a virtual environment with what pip installs today, the tests of compat, then a small job (train, export,
serve, query, compare). A release passes if all of it does. The exit code is 1 if one fails that is no preview.
Needs Python 3.11 and, for the releases that say so, 3.12 and 3.13. Logs lie in runs/matrix/.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import releases  # noqa: E402

_ROOT = pathlib.Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "compatibility.md"
_LOGS = _ROOT / "runs" / "matrix"
_MARKS = ("<!-- scripts/matrix -->", "<!-- end of scripts/matrix -->")
_PACKAGES = ("numpy", "protobuf", "tf-keras", "tensorflow-serving-api")
_HEADER = (
    "| TensorFlow | Python | NumPy | protobuf | tf-keras | tensorflow-serving-api | result |\n"
    "|---|---|---|---|---|---|---|"
)
_STEP_TIMEOUT_SECS = 1800


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One row of the table."""

    cells: tuple[str, ...]
    reason: str  # empty: passed

    def markdown(self) -> str:
        return "| " + " | ".join((*self.cells, self.reason or "pass")) + " |"


def _steps(python: pathlib.Path, job_dir: pathlib.Path) -> dict[str, list[str]]:
    return {
        "tests": [str(python), "-m", "pytest", "-q", "tests/estimator_app/compat"],
        "job": [
            *(str(python), "scripts/main_job.py", f"--model_dir={job_dir}"),
            "--max_steps=200",
        ],
    }


def _run(command: list[str], log: pathlib.Path) -> str:
    """Runs one step; returns its last telling line if it fails, else "" and the line for the screen in the log."""
    with log.open("a", encoding="utf-8") as file:
        print("$", *command, file=file, flush=True)
        try:
            code = subprocess.run(
                command,
                cwd=_ROOT,
                stdout=file,
                stderr=file,
                timeout=_STEP_TIMEOUT_SECS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return f"not done after {_STEP_TIMEOUT_SECS} s"
    if not code:
        return ""
    lines = [line.strip() for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    return re.sub(r"[|=]+", " ", lines[-1]).strip()[:160]


def _installed(python: pathlib.Path) -> tuple[str, ...]:
    code = (
        "import json, platform, importlib.metadata as m; "
        f"print(json.dumps([platform.python_version(), *(m.version(p) for p in {_PACKAGES!r})]))"
    )
    return tuple(json.loads(subprocess.check_output([str(python), "-c", code], cwd=os.sep)))


def _test(release: Any) -> Outcome:
    _LOGS.mkdir(parents=True, exist_ok=True)
    log = _LOGS / f"{release.tensorflow}.log"
    log.write_text("", encoding="utf-8")
    job_dir = _LOGS / release.tensorflow
    shutil.rmtree(job_dir, ignore_errors=True)
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{release.tensorflow:<10} {time.monotonic() - start:5.0f} s  {text}", flush=True)

    say("environment")
    if reason := _run(["scripts/make_env", release.tensorflow], log):
        say(f"FAIL environment: {reason}")
        return Outcome((release.tensorflow, release.python, *"-" * len(_PACKAGES)), reason)
    python = _ROOT / ".venvs" / f"tf-{release.tensorflow}" / "bin" / "python"
    cells = (release.tensorflow, *_installed(python))
    for name, command in _steps(python, job_dir).items():
        say(name)
        if reason := _run(command, log):
            say(f"FAIL {name}: {reason} (see {log.relative_to(_ROOT)})")
            return Outcome(cells, f"{name}: {reason}")
    say("pass, with " + ", ".join(f"{k} {v}" for k, v in zip(("Python", *_PACKAGES), cells[1:])))
    return Outcome(cells, "")


def _rewrite_page(outcomes: list[Outcome], order: list[str]) -> None:
    """Puts the rows into the table between the marks, in the order of the releases."""
    page = _PAGE.read_text(encoding="utf-8")
    before, rest = page.split(_MARKS[0])
    table, after = rest.split(_MARKS[1])
    rows = {
        match[1]: line
        for line in table.splitlines()
        if (match := re.match(r"\| (\d\S*) \|", line)) and match[1] in order
    }
    rows.update({outcome.cells[0]: outcome.markdown() for outcome in outcomes})
    lines = [rows[release] for release in order if release in rows]
    text = "\n".join([_MARKS[0], _HEADER, *lines, _MARKS[1]])
    _PAGE.write_text(before + text + after, encoding="utf-8")


def main() -> int:
    """Tests the releases, rewrites the table; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    table = {release.tensorflow: release for release in releases.read()}
    parser.add_argument("release", nargs="*", help="default: all of the table")
    names = parser.parse_args().release or list(table)
    if unknown := [name for name in names if name not in table]:
        parser.error(f"expected releases out of {', '.join(table)}; found {', '.join(unknown)}.")
    chosen = [table[name] for name in names]
    outcomes = [_test(release) for release in chosen]
    _rewrite_page(outcomes, list(table))
    failed = [
        release.tensorflow
        for release, outcome in zip(chosen, outcomes)
        if outcome.reason and not release.preview
    ]
    print("failed: " + ", ".join(failed) if failed else "all passed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
