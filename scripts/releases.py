"""Prints the supported TensorFlow releases; with one of them as argument, how to install it.

For scripts/make_env, which reads three lines: the Python, what pip installs with all it needs, and what it installs
afterwards as it is. Needs no installed package.
"""

from __future__ import annotations

import configparser
import pathlib
import re
import runpy
import sys
from typing import Any

_ROOT = pathlib.Path(__file__).parents[1]


def read() -> tuple[Any, ...]:
    """Returns the table of `estimator_app.compat.versions`, read without importing TensorFlow."""
    table = _ROOT / "estimator_app" / "compat" / "versions.py"
    return runpy.run_path(str(table))["RELEASES"]


def requirements(release: Any) -> tuple[list[str], list[str]]:
    """Returns what pip installs for a release, and what it installs after that without looking at requirements."""
    tensorflow = f"tensorflow=={release.tensorflow}"
    if not release.preview:
        return ["-e.[test]", tensorflow, *release.pins], []
    config = configparser.ConfigParser()
    config.read(_ROOT / "setup.cfg")
    stated = [*config["options"]["install_requires"].split(), *_extra(config, "test")]
    bounded = [
        "tensorflow",
        "tf-keras",
        "tensorflow-hub",
    ]  # the last asks for tf-keras, and that for TensorFlow
    rest = [each for each in stated if re.split(r"[<>=]", each)[0] not in bounded]
    late = [pin for pin in (*release.pins, *stated) if re.match("tf-keras$|tensorflow-hub", pin)]
    return [tensorflow, *rest, *(pin for pin in release.pins if pin not in late)], ["-e.", *late]


def _extra(config: configparser.ConfigParser, name: str) -> list[str]:
    """Returns what an extra needs; those that it is made of are taken apart."""
    needed = []
    for each in config["options.extras_require"][name].split():
        own = re.fullmatch(rf"{config['metadata']['name']}\[(.*)\]", each)
        parts = [_extra(config, part) for part in own[1].split(",")] if own else [[each]]
        needed += [requirement for part in parts for requirement in part]
    return needed


def main() -> int:
    """Prints; returns 1 for a release that is not in the table."""
    releases = {release.tensorflow: release for release in read()}
    if not sys.argv[1:]:
        print("\n".join(releases))
        return 0
    release = releases.get(sys.argv[1])
    if release is None:
        return 1
    with_all, as_is = requirements(release)
    print(release.python, " ".join(with_all), " ".join(as_is), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
