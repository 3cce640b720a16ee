"""How the command line programs end."""

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import atexit, ctypes, sys
from estimator_app import program

def main(args):
    libc = ctypes.CDLL(None)
    # What a native library does whose threads outlive its statics: it ends the process by SIGABRT.
    libc.__cxa_atexit(ctypes.cast(libc.abort, ctypes.c_void_p), None, None)
    atexit.register(lambda: print("a callback of a module that main imports"))
    print("done")
    {end}

program.run(main, "A program.", {{}})
"""


def _run(end: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(end=end)], text=True, timeout=60, **options
    )


@pytest.mark.parametrize("end, code", [("return 0", 0), ("return 3", 3), ("sys.exit(2)", 2)])
def test_native_libraries_do_not_change_how_a_program_ends(end, code):
    ended = _run(end, capture_output=True)
    assert (ended.returncode, ended.stderr) == (code, "")
    assert ended.stdout == "done\na callback of a module that main imports\n"


def test_an_error_that_nobody_expects_is_shown():
    ended = _run("raise RuntimeError('unforeseen')", capture_output=True)
    assert ended.returncode != 0
    assert "RuntimeError: unforeseen" in ended.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is always full")
def test_what_cannot_be_printed_is_a_failure():
    with open("/dev/full", "w") as full:
        assert _run("return 0", stdout=full, stderr=subprocess.PIPE).returncode == 1
