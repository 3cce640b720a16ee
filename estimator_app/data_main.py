"""`estimator-train data ...`: looks at data before anything is learned from it. A door to a module for each command."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

from estimator_app import program

# Command -> its module, whose `cli` runs it, and what it does.
COMMANDS = {
    "bench": (
        "estimator_app.data_bench_main",
        "[FLAGS OF A JOB]   what a training waits for (disk, input, model), and what would help",
    ),
    "describe": (
        "estimator_app.data_describe_main",
        "PATH   what each column holds: a table, a page with histograms, schema and statistics",
    ),
    "validate": (
        "estimator_app.data_validate_main",
        "PATH   what does not fit a schema, or is unlike earlier statistics",
    ),
    "compare": (
        "estimator_app.data_compare_main",
        "A B    how far the columns of B have drifted from those of A",
    ),
}

_USAGE = """
estimator-train data: looks at data before anything is learned from it.

{commands}

Each has a --help of its own.
"""


def cli() -> NoReturn:
    """Runs the command that the next argument names."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in COMMANDS:
        sys.argv[:2] = [f"{sys.argv[0]} {command}"]
        importlib.import_module(COMMANDS[command][0]).cli()
    lines = (f"  estimator-train data {name:<9}{what}" for name, (_, what) in COMMANDS.items())
    if command in program.HELP:
        program.show_help(_USAGE.format(commands="\n".join(lines)), {})
    found = repr(command) if command else "none"
    program.fail(
        f"Expected one of {', '.join(COMMANDS)} after data, found {found}. Run estimator-train data --help."
    )
