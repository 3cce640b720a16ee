"""Looks at a file again and again, in a thread of its own."""

import logging
import threading
from typing import Callable

from export import errors

_logger = logging.getLogger(__name__)


class ConfigPoller:
    """Reads the model config file at each interval (TF Serving: server.cc).

    Each read counts, also of a file that has not changed: a label that was refused because its
    version was not there is accepted once it is.
    """

    def __init__(self, wait_secs: float, reload_fn: Callable[[], None]) -> None:
        """Begins at once.

        Args:
            wait_secs: seconds between the end of one read and the next.
            reload_fn: reads the file and does what it says. A ServableError is logged, and what
                was before stays.
        """
        self._wait_secs = wait_secs
        self._reload_fn = reload_fn
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="model-config-file", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it; a read under way is waited for."""
        self._stopping.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stopping.wait(self._wait_secs):
            try:
                self._reload_fn()
            except errors.ServableError as error:
                _logger.error("Reading the model config file again failed: %s", error)
            except Exception:
                _logger.exception("Reading the model config file again failed")
