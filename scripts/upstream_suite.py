#!/usr/bin/env python3
"""Runs upstream's own tests of Estimators (tensorflow/estimator, branch r2.15) on several TensorFlows and compares.

    git clone -b r2.15 https://github.com/tensorflow/estimator /tmp/estimator
    scripts/upstream_suite.py --checkout=/tmp/estimator .venvs/tf-2.15 .venvs/tf-2.21

The first environment is the yardstick: TensorFlow with its own Estimator, untouched. In the others the same tests run
with `estimator_app.compat` installed. Every test that passes in the first and not in another is listed, and the exit
code is 1. Tests of TPUs are left out. What the tests import beside TensorFlow is installed under --results, not into
the environments. Nothing of the suite is part of this project.

This file is also the pytest plugin that the test processes load.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterable
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

_BEHAVIOR = "UPSTREAM_SUITE_BEHAVIOR"
_NATIVE = "UPSTREAM_SUITE_NATIVE"
_IMPORTED_BY_TESTS = ("pandas", "portpicker", "scikit-learn")
_FILE_TIMEOUT_SECS = 1800


def pytest_configure(config: object) -> None:  # pylint: disable=unused-argument
    """Inside a test process: compat (unless native), TensorFlow's behaviour, and the flags that its tests read."""
    if _BEHAVIOR not in os.environ:
        return
    if not os.environ[_NATIVE]:
        from estimator_app import compat

        compat.install()
    import tensorflow as tf

    if os.environ[_BEHAVIOR] == "v1":
        tf.compat.v1.disable_v2_behavior()
    from absl import flags

    flags.FLAGS(["upstream_suite"])


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
    parser.add_argument("--jobs", type=int, default=1, help="test files at a time (default: 1)")
    parser.add_argument(
        "--results",
        type=pathlib.Path,
        default=pathlib.Path("runs/upstream_suite"),
        help="outcomes are kept here, and reused (default: runs/upstream_suite)",
    )
    return parser.parse_args()


def _test_files(checkout: pathlib.Path, only: str) -> list[pathlib.Path]:
    root = checkout / "tensorflow_estimator" / "python" / "estimator"
    files = sorted(root.rglob("*_test.py"))
    if not files:
        sys.exit(f"error: Expected tests under {root}, found none. Check out branch r2.15 there.")
    return [path for path in files if "tpu" not in path.parts and only in str(path)]


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
    python: pathlib.Path, site: pathlib.Path, behavior: str, native: bool, test_file: pathlib.Path
) -> dict[str, str]:
    """Returns test -> outcome of one file, run in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        # Alone in a folder: beside the checkout's sources, `import tensorflow_estimator` would not find the wheel.
        copy = shutil.copy(test_file, directory)
        report = pathlib.Path(directory, "report.xml")
        process = subprocess.run(
            [
                *(python, "-m", "pytest", "-q", copy, f"--junitxml={report}"),
                *("-p", "upstream_suite", "-c", os.devnull, f"--rootdir={directory}"),
                *("-p", "no:cacheprovider", "--import-mode=importlib"),
            ],
            env={
                **os.environ,
                _BEHAVIOR: behavior,
                _NATIVE: "1" if native else "",
                "PYTHONPATH": f"{pathlib.Path(__file__).parent.absolute()}:{site}",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_FILE_TIMEOUT_SECS,
            check=False,
        )
        if not report.exists():
            return {"(the file)": f"crashed: {process.stdout[-800:]}"}
        return dict(_outcomes(report))


def _outcomes(report: pathlib.Path) -> Iterable[tuple[str, str]]:
    for case in xml.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rsplit('.', 1)[-1]}.{case.get('name')}"
        for kind in ("failure", "error", "skipped"):
            if (found := case.find(kind)) is not None:
                yield name, f"{kind}: {found.get('message', '')[:400]}"
                break
        else:
            yield name, "passed"


def _run(
    arguments: argparse.Namespace, environment: pathlib.Path, behavior: str, native: bool
) -> dict[str, str]:
    kept = arguments.results / f"{environment.name}-{behavior}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    files = _test_files(arguments.checkout, arguments.only)
    python = environment.absolute() / "bin" / "python"
    site = arguments.results.absolute() / f"{environment.name}-site"
    _make_site(python, site)
    outcomes: dict[str, str] = {}
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = {
            pool.submit(_run_file, python, site, behavior, native, path): path for path in files
        }
        for done, run in enumerate(concurrent.futures.as_completed(runs), 1):
            path = runs[run].relative_to(arguments.checkout)
            outcomes.update({f"{path}::{name}": text for name, text in run.result().items()})
            passed = sum(text == "passed" for text in outcomes.values())
            print(
                f"{environment.name} {behavior}  {done}/{len(files)} files, {passed} passed, "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )
    kept.write_text(json.dumps(outcomes, indent=1))
    return outcomes


def main() -> int:
    arguments = _arguments()
    worse = 0
    summary = []
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
