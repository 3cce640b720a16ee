#!/usr/bin/env python3
"""Runs upstream's own tests of Estimators (tensorflow/estimator, branch r2.15) on several TensorFlows and compares.

    git clone -b r2.15 https://github.com/tensorflow/estimator /tmp/estimator
    scripts/upstream_suite.py --checkout=/tmp/estimator .venvs/tf-2.15 .venvs/tf-2.21

The first environment is the yardstick: TensorFlow with its own Estimator, untouched. In the others the same tests run
with `estimator_app.compat` installed. Every test that passes in the first and not in another is listed, and the exit
code is 1. Tests of TPUs are left out. What the tests import beside TensorFlow is installed under --results, not into
the environments. Nothing of the suite is part of this project.

Outcomes are kept under --results, a file each: a run that was ended goes on where it stood.
This file is also the pytest plugin that the test processes load.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any
import unittest

_BEHAVIOR = "UPSTREAM_SUITE_BEHAVIOR"
_NATIVE = "UPSTREAM_SUITE_NATIVE"
_OUTCOMES = "UPSTREAM_SUITE_OUTCOMES"
# unittest's old names of its methods, which Python 3.12 removed; the suite was written for 3.11.
_OLD_ASSERTIONS = {
    "assertEquals": "assertEqual",
    "assertNotEquals": "assertNotEqual",
    "assertAlmostEquals": "assertAlmostEqual",
    "assertRaisesRegexp": "assertRaisesRegex",
    "assertRegexpMatches": "assertRegex",
}
_IMPORTED_BY_TESTS = ("pandas", "portpicker", "scikit-learn")


def pytest_configure(config: Any) -> None:  # pylint: disable=unused-argument
    """Inside a test process: compat (unless native), TensorFlow's behaviour, and the flags that its tests read."""
    if _BEHAVIOR not in os.environ:
        return
    if not os.environ[_NATIVE]:
        from estimator_app import compat

        compat.install()
    for old, new in _OLD_ASSERTIONS.items():
        if not hasattr(unittest.TestCase, old):
            setattr(unittest.TestCase, old, getattr(unittest.TestCase, new))
    import tensorflow as tf

    if os.environ[_BEHAVIOR] == "v1":
        tf.compat.v1.disable_v2_behavior()
    from absl import flags

    flags.FLAGS(["upstream_suite"])


def pytest_runtest_logreport(report: Any) -> None:
    """Inside a test process: notes each outcome at once, so that a test that hangs takes no other with it."""
    if report.outcome == "passed" and report.when != "call":
        return
    text = "" if report.outcome == "passed" else f": {str(report.longrepr)[-400:]}"
    with open(os.environ[_OUTCOMES], "a", encoding="utf-8") as file:
        print(
            json.dumps([report.nodeid.split("::", 1)[1], f"{report.outcome}{text}"]),
            file=file,
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n", maxsplit=1)[0],
        epilog=__doc__.split("\n\n", maxsplit=1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("environments", nargs="+", type=pathlib.Path, help="virtual environments")
    parser.add_argument("--checkout", required=True, type=pathlib.Path, help="tensorflow/estimator")
    parser.add_argument("--behavior", choices=["v1", "v2"], action="append", help="default: both")
    parser.add_argument("--only", default="", help="only files whose path contains this")
    parser.add_argument("--skip", default="\0", help="no files whose path contains this")
    parser.add_argument("--jobs", type=int, default=1, help="test files at a time (default: 1)")
    parser.add_argument(
        "--file_timeout_secs", type=int, default=900, help="end a file after this (default: 900)"
    )
    parser.add_argument(
        "--results",
        type=pathlib.Path,
        default=pathlib.Path("runs/upstream_suite"),
        help="outcomes are kept here, and reused (default: runs/upstream_suite)",
    )
    return parser.parse_args()


def _test_files(arguments: argparse.Namespace) -> list[pathlib.Path]:
    root = arguments.checkout / "tensorflow_estimator" / "python" / "estimator"
    files = sorted(root.rglob("*_test.py"))
    if not files:
        sys.exit(f"error: Expected tests under {root}, found none. Check out branch r2.15 there.")
    wanted = [
        path for path in files if arguments.only in str(path) and arguments.skip not in str(path)
    ]
    return [path for path in wanted if "tpu" not in path.parts]


def _make_site(python: pathlib.Path, site: pathlib.Path) -> None:
    """Installs what the tests import into a folder of its own, fitting to what the environment has."""
    if site.exists():
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        frozen = subprocess.check_output([python, "-m", "pip", "freeze", "--all"], text=True)
        constraints.writelines(f"{line}\n" for line in frozen.splitlines() if "==" in line)
        constraints.flush()
        subprocess.run(
            [
                *(python, "-m", "pip", "install", "-q", f"--target={site}"),
                *(f"--constraint={constraints.name}", *_IMPORTED_BY_TESTS),
            ],
            check=True,
        )
    for copy in [*site.glob("numpy"), *site.glob("numpy.libs")]:
        shutil.rmtree(copy)  # the environment has it, in the same version


def _run_file(
    python: pathlib.Path,
    site: pathlib.Path,
    behavior: str,
    native: bool,
    test_file: pathlib.Path,
    kept: pathlib.Path,
    timeout: int,
) -> None:
    """Runs one file in a process of its own; its outcomes are in `kept` afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        # Alone in a folder: beside the checkout's sources, `import tensorflow_estimator` would not find the wheel.
        copy = shutil.copy(test_file, directory)
        outcomes = pathlib.Path(directory, "outcomes.jsonl")
        outcomes.touch()
        try:
            process = subprocess.run(
                [
                    *(python, "-m", "pytest", "-q", copy, "-p", "upstream_suite", "-c", os.devnull),
                    *(
                        f"--rootdir={directory}",
                        "-p",
                        "no:cacheprovider",
                        "--import-mode=importlib",
                    ),
                ],
                env={
                    **os.environ,
                    _BEHAVIOR: behavior,
                    _NATIVE: "1" if native else "",
                    _OUTCOMES: str(outcomes),
                    "PYTHONPATH": f"{pathlib.Path(__file__).parent.absolute()}:{site}",
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                },
                cwd=directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                check=False,
            )
            # 1: a test failed; 5: the file has none. Anything else is no outcome of a test.
            ending = "" if process.returncode in (0, 1, 5) else f"crashed: {process.stdout[-800:]}"
        except subprocess.TimeoutExpired:
            ending = f"hung: not done after {timeout} s"
        if ending:
            with outcomes.open("a", encoding="utf-8") as file:
                print(json.dumps(["(the file)", ending]), file=file)
        shutil.move(outcomes, kept)


def _run(
    arguments: argparse.Namespace, environment: pathlib.Path, behavior: str, native: bool
) -> dict[str, str]:
    """Returns test -> outcome of all files in one environment."""
    files = _test_files(arguments)
    python = environment.absolute() / "bin" / "python"
    site = arguments.results.absolute() / f"{environment.name}-site"
    _make_site(python, site)
    folder = arguments.results / f"{environment.name}-{behavior}"
    folder.mkdir(parents=True, exist_ok=True)
    root = arguments.checkout / "tensorflow_estimator" / "python" / "estimator"
    kept = {path: folder / (str(path.relative_to(root)).replace("/", ".") + "l") for path in files}
    outcomes: dict[str, str] = {}
    start = time.monotonic()

    def run(path: pathlib.Path) -> pathlib.Path:
        if not kept[path].exists():
            _run_file(
                *(python, site, behavior, native, path, kept[path]), arguments.file_timeout_secs
            )
        return path

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for done, each in enumerate(
            concurrent.futures.as_completed(pool.submit(run, path) for path in files), 1
        ):
            path = each.result()
            for line in kept[path].read_text(encoding="utf-8").splitlines():
                name, text = json.loads(line)
                outcomes[f"{path.relative_to(root)}::{name}"] = text
            print(
                f"{environment.name} {behavior}  {done}/{len(files)} files, "
                f"{sum(text == 'passed' for text in outcomes.values())} passed, "
                f"{time.monotonic() - start:.0f} s  {path.name}",
                flush=True,
            )
    return outcomes


def main() -> int:
    """Runs all; prints the summary; returns 1 if a test that the yardstick passes fails elsewhere."""
    arguments = _arguments()
    summary = []
    worse = 0
    for behavior in arguments.behavior or ["v2", "v1"]:
        yardstick: dict[str, str] = {}
        for environment in arguments.environments:
            native = environment == arguments.environments[0]
            outcomes = _run(arguments, environment, behavior, native)
            yardstick = yardstick or outcomes
            kinds = collections.Counter(text.split(":")[0] for text in outcomes.values())
            lost = {
                name: outcomes.get(name, "not run")
                for name, text in yardstick.items()
                if text == "passed" and outcomes.get(name) != "passed"
            }
            worse += len(lost)
            summary.append(f"{environment.name} {behavior}: {dict(kinds)}, lost {len(lost)}")
            summary += [f"  {name}: {text}" for name, text in lost.items()]
    print("\n".join(summary))
    return int(worse > 0)


if __name__ == "__main__":
    sys.exit(main())
