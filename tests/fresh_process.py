"""Runs a piece of Python in a process of its own, where nothing is imported and legacy Keras is not chosen yet."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

_REPOSITORY = str(pathlib.Path(__file__).resolve().parent.parent)


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Returns the finished process; its streams are text.

    Args:
      code: the program; indentation common to all its lines is taken off.
      **environ: further environment variables. TF_USE_LEGACY_KERAS is not among those it has otherwise.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": _REPOSITORY, **environ},
    )


def output(code: str, **environ: str) -> str:
    """Returns what the program printed; fails with its errors if it does not end well."""
    result = run(code, **environ)
    assert result.returncode == 0, result.stderr
    return result.stdout
