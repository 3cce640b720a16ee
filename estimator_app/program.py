"""What every command line program here does the same way: help, wrong flags, exit codes.

absl's own `--help` hides flags that other modules define and exits with 1; a wrong flag exits with 1 too. Here help
lists the program's flags by group and exits with 0, and exit codes mean: 0 done, 1 the work failed, 2 the request was
wrong, 3 a check found something.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import inspect
import logging
import os
import sys
import tempfile
import textwrap
from typing import NoReturn

from absl import app, flags

EXIT_FAILED = 1
EXIT_WRONG_REQUEST = 2
EXIT_FOUND = 3  # of a check that was done and found what it looks for

HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull", "-?")


def run(
    main: Callable[[Sequence[str]], int], usage: str, groups: Mapping[str, Sequence[str]]
) -> NoReturn:
    """Parses the flags, calls `main` with what is left of the command line, and exits with what it returns.

    Args:
      main: takes the arguments that are no flags; returns the exit code.
      usage: what the program does, with one full command line; shown by `--help`.
      groups: title -> names of the flags that `--help` shows under it.
    """

    def parse(argv: list[str]) -> list[str]:
        before_ddash = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
        if any(arg in HELP for arg in before_ddash):
            show_help(usage, groups)
        try:
            return flags.FLAGS(argv)
        except flags.Error as error:
            sentence = str(error).removeprefix("ERROR:: ").rstrip(".")
            fail(f"{sentence}. Run {argv[0].rsplit('/', 1)[-1]} --help for the list of flags.")

    ended: list[int] = []
    # What is registered first comes last: after the callbacks of all modules that `main` will import.
    atexit.register(lambda: leave(*ended) if ended else None)
    try:
        app.run(lambda argv: sys.exit(main(argv[1:])), flags_parser=parse)
    except SystemExit as end:
        if isinstance(end.code, int):
            ended.append(end.code)
        raise
    except Exception:  # the interpreter shows it, and ends with the same code
        ended.append(EXIT_FAILED)
        raise
    raise AssertionError("app.run does not return")


def leave(code: int) -> NoReturn:
    """Ends the process at once, once all that was printed and logged is out.

    The interpreter would go on to destroy the statics of the native libraries, some of whose threads still run: one in
    some hundred jobs that had done their work ended with "terminate called without an active exception" (seen with
    TensorFlow 2.15.1).
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError:  # nobody reads any more, or the disk is full
            code = code or EXIT_FAILED
    os._exit(code)


def show_help(usage: str, groups: Mapping[str, Sequence[str]]) -> NoReturn:
    """Prints the help text and ends the program with 0."""
    show(help_text(usage, groups))
    sys.exit(0)


def show(text: str) -> None:
    """Prints what a person reads at the end of the work; that nobody reads it to its end (`| head`) is no failure."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(message: str, code: int = EXIT_WRONG_REQUEST) -> NoReturn:
    """Prints one sentence on standard error and ends the program."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


@contextlib.contextmanager
def quiet_native_start() -> Iterator[None]:
    """Keeps TensorFlow's C++ chatter off the screen: while it is imported, and after; shows it if the import fails.

    What goes wrong in C++ comes up as a Python error all the same. TF_CPP_MIN_LOG_LEVEL=0 in the environment shows all.

    TensorFlow 2.15 reports cuDNN factories registered twice, and from 2.17 on its libraries log before their log
    level is set, so TF_CPP_MIN_LOG_LEVEL does not reach these lines. They go straight to the file descriptor.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def help_text(usage: str, groups: Mapping[str, Sequence[str]]) -> str:
    """Returns the usage, then every flag with its default and meaning."""
    lines = [inspect.cleandoc(usage)]
    for title, names in groups.items():
        lines += ["", f"{title}:"]
        for name in names:
            flag = flags.FLAGS[name]
            lines.append(f"  --{name}{_default_text(flag)}")
            lines.append(
                textwrap.fill(flag.help, 100, initial_indent=" " * 8, subsequent_indent=" " * 8)
            )
    if groups:
        lines += ["", "Flags can also stand in a file, one a line: --flagfile=FILE"]
    return "\n".join(lines)


def _default_text(flag: flags.Flag) -> str:
    default = flag.default
    if isinstance(flag, flags.BooleanFlag):
        return f" (default: {str(bool(default)).lower()})"
    if isinstance(default, (list, tuple)):
        default = ",".join(str(item) for item in default)
    return "=..." if default in (None, "") else f"=... (default: {default})"
