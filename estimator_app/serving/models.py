"""Which versions of a model are loaded, and which one answers.

A `ServedModel` watches one base path from a thread of its own: it loads the newest version, and
unloads the one before when the new one is available (TF Serving: availability_preserving_policy.cc,
aspired_versions_manager.cc). A request keeps the version it started on until it ends.
"""

import contextlib
import dataclasses
import enum
import logging
import threading
from typing import Callable, Iterator

import tensorflow as tf

from export import errors, servable, versions

_logger = logging.getLogger(__name__)


class State(enum.IntEnum):
    """Where a version is in its life; the numbers are those of `ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """The state of one version.

    Attributes:
        version: its number.
        state: END after an unload or a load that failed for good.
        error: why the load failed, else None.
    """

    version: int
    state: State
    error: errors.ServableError | None = None


@dataclasses.dataclass
class _Loaded:
    """A version in memory; `users` counts the requests on it."""

    version: int
    model: servable.Servable
    users: int = 0
    retired: bool = False


class ServedModel:
    """One model and its versions on disk.

    Attributes:
        name: what requests call it.
        base_path: the directory that holds its versions.
    """

    def __init__(
        self,
        name: str,
        base_path: str,
        poll_wait_secs: float = 1.0,
        max_load_retries: int = 5,
        load_retry_wait_secs: float = 60.0,
        load_fn: Callable[[str], servable.Servable] = servable.Servable,
    ) -> None:
        """Remembers what to do; `start` does it.

        Args:
            name: what requests call the model.
            base_path: the directory that holds its versions.
            poll_wait_secs: seconds between two looks at it; 0 looks once, below 0 never.
            max_load_retries: how often a failed load is tried again.
            load_retry_wait_secs: seconds between two tries; 0 or less for none.
            load_fn: directory of a version -> what answers.
        """
        self.name = name
        self.base_path = base_path
        self._poll_wait_secs = poll_wait_secs
        self._max_load_retries = max_load_retries
        self._load_retry_wait_secs = load_retry_wait_secs
        self._load_fn = load_fn
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._stopping = threading.Event()
        self._current: _Loaded | None = None
        self._statuses: dict[int, VersionStatus] = {}
        self._given_up: set[int] = set()
        self._thread = threading.Thread(target=self._watch, name=f"versions-{name}", daemon=True)

    def start(self) -> None:
        """Begins to watch the base path."""
        self._thread.start()

    def wait_until_available(self) -> bool:
        """Waits for the first version, without limit.

        Returns:
            whether there is one; False if the model was stopped meanwhile.

        Raises:
            errors.ServableError: the newest version cannot be loaded
                (TF Serving: load_servables_fast.cc).
        """
        self._settled.wait()
        if self._stopping.is_set():
            return False
        failed = [status for status in self.statuses() if status.error is not None]
        if self.version is None and failed:
            raise errors.ServableError(
                errors.Code.UNKNOWN,
                "1 servable(s) did not become available: "
                f"{{{{{{name: {self.name} version: {failed[0].version}}} "
                f"due to error: {failed[0].error}}}, }}",
            )
        return True

    @property
    def version(self) -> int | None:
        """The version that answers now, if one does."""
        current = self._current
        return None if current is None else current.version

    def statuses(self, version: int | None = None) -> list[VersionStatus]:
        """Every version that this process has seen, highest first, or just `version` if seen."""
        with self._lock:
            seen = dict(self._statuses)
        if version is not None:
            return [seen[version]] if version in seen else []
        return [seen[key] for key in sorted(seen, reverse=True)]

    @contextlib.contextmanager
    def acquire(self, version: int | None = None) -> Iterator[tuple[int, servable.Servable]]:
        """Holds a version in memory for the length of one request.

        Args:
            version: None for the highest that is available.

        Yields:
            the version and its servable.

        Raises:
            errors.ServableError: `NOT_FOUND`; it is not available (TF Serving: basic_manager.cc).
        """
        with self._lock:
            loaded = self._current
            if loaded is None or version not in (None, loaded.version):
                raise not_found(self.name, version)
            loaded.users += 1
        try:
            yield loaded.version, loaded.model
        finally:
            with self._lock:
                loaded.users -= 1
                last = loaded.retired and loaded.users == 0
            if last:
                self._close(loaded)

    def poll_once(self) -> bool:
        """Looks at the base path and acts on what is there: at most one load and one unload.

        Returns:
            whether a version answers now, or the newest one was given up.
        """
        if not tf.io.gfile.isdir(self.base_path):
            _logger.warning(
                "Could not find base path %s for servable %s with error NOT_FOUND: %s not found",
                self.base_path,
                self.name,
                self.base_path,
            )
            return False
        on_disk = versions.list_versions(self.base_path)
        # A load that failed for good counts for as long as its directory stays.
        self._given_up.intersection_update(on_disk)
        if not on_disk:
            _logger.warning(
                "No versions of servable %s found under base path %s. "
                "Did you forget to name your leaf directory as a number (eg. '/1/')?",
                self.name,
                self.base_path,
            )
            self._replace(None)
            return False
        wanted = on_disk[-1]
        if wanted != self.version and wanted not in self._given_up:
            model = self._load(wanted)
            if model is not None:
                self._replace(_Loaded(wanted, model))
        return self.version is not None or wanted in self._given_up

    def stop(self) -> None:
        """Ends the watch and unloads the model; runs under way end as cancelled."""
        self._stopping.set()
        self._settled.set()
        if self._thread.is_alive():
            self._thread.join()
        current = self._current
        self._replace(None)
        if current is not None:
            current.model.close()

    def _watch(self) -> None:
        if self._poll_wait_secs < 0:
            return
        while not self._stopping.is_set():
            try:
                if self.poll_once():
                    self._settled.set()
            except Exception:
                _logger.exception("Looking for versions of %s failed", self.name)
            if self._poll_wait_secs == 0:
                return
            self._stopping.wait(self._poll_wait_secs)

    def _load(self, version: int) -> servable.Servable | None:
        """Loads a version, with retries; None if that failed for good or is wanted no more."""
        self._set(VersionStatus(version, State.START))
        self._set(VersionStatus(version, State.LOADING))
        path = versions.path_of(self.base_path, version)
        for tries_left in range(self._max_load_retries, -1, -1):
            try:
                return self._load_fn(path)
            except errors.ServableError as error:
                failure = error
            except Exception as error:
                failure = errors.ServableError(
                    errors.Code.INTERNAL, f"{type(error).__name__}: {error}"
                )
            _logger.error("Loading %s version %d failed: %s", self.name, version, failure)
            if not tries_left:
                self._given_up.add(version)
            elif not self._wait_to_retry(version):
                break
        self._set(VersionStatus(version, State.END, failure))
        return None

    def _wait_to_retry(self, version: int) -> bool:
        """Waits between two tries; False as soon as another version is the newest."""
        left = self._load_retry_wait_secs
        while not self._stopping.is_set():
            if versions.newest(self.base_path) != version:
                return False
            if left <= 0:
                return True
            wait = min(left, max(self._poll_wait_secs, 1.0))
            self._stopping.wait(wait)
            left -= wait
        return False

    def _replace(self, new: _Loaded | None) -> None:
        """Lets `new` answer from now on, and retires what answered before."""
        with self._lock:
            old, self._current = self._current, new
            if new is not None:
                self._statuses[new.version] = VersionStatus(new.version, State.AVAILABLE)
            if old is not None:
                old.retired = True
                self._statuses[old.version] = VersionStatus(old.version, State.UNLOADING)
            unused = old is not None and old.users == 0
        if new is not None:
            _logger.info("Serving %s version %d", self.name, new.version)
        if old is not None and unused:
            self._close(old)

    def _close(self, loaded: _Loaded) -> None:
        try:
            loaded.model.close()
        except Exception:
            _logger.exception("Unloading %s version %d failed", self.name, loaded.version)
        self._set(VersionStatus(loaded.version, State.END))
        _logger.info("Unloaded %s version %d", self.name, loaded.version)

    def _set(self, status: VersionStatus) -> None:
        with self._lock:
            self._statuses[status.version] = status


def not_found(name: str, version: int | None) -> errors.ServableError:
    """What a request gets for a model or a version that is not available."""
    wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return errors.ServableError(errors.Code.NOT_FOUND, f"Servable not found for request: {wanted}")
