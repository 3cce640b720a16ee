"""Ctrl-C and SIGTERM in a command that trains nothing: everything is put away, then it ends."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import signal
from types import FrameType, TracebackType
from typing import Any, Optional


class Interrupted(BaseException):
    """A signal came. On its way up everything is put away.

    Attributes:
      exit_code: 128 + signal number, the shell's convention.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


class Signals:
    """Makes Ctrl-C and SIGTERM raise `Interrupted` while it is entered."""

    def __init__(self) -> None:
        self._holding = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        self._before = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Lets nothing be interrupted: what is entered is the end of the work."""
        self._holding = True
        yield

    def _handle(self, signum: int, frame: Optional[FrameType]) -> None:
        del frame
        if not self._holding:
            raise Interrupted(signum)
