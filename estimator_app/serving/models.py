"""Which versions of a model are loaded, and which one answers.

A `ServedModel` watches one base path from a thread of its own: it loads the versions that its policy
asks for, the highest first, and unloads those that it asks for no more when one of the others is
available (TF Serving: availability_preserving_policy.cc, aspired_versions_manager.cc). A request
keeps the version it started on until it ends.
"""

import contextlib
import dataclasses
import logging
import threading
import time
from typing import Callable

import tensorflow as tf

from estimator_app.serving import (
    complete_versions,
    load_retries,
    loaded_versions,
    memory,
    version_policy,
)
from estimator_app.serving.version_statuses import State, VersionStatus, VersionStatuses
from export import errors, servable, versions

_logger = logging.getLogger(__name__)


@dataclasses.dataclass
class _Loaded:
    """A version in memory; `users` counts the requests on it, `used` is when the last one came or ended."""

    version: int
    model: servable.Servable
    used: float
    users: int = 0
    retired: bool = False


def _at_once(unload: Callable[[], None]) -> None:
    unload()


class ServedModel:
    """One model and its versions on disk.

    Attributes:
        name: what requests call it.
    """

    def __init__(
        self,
        name: str,
        base_path: str,
        policy: version_policy.VersionPolicy = version_policy.VersionPolicy(),
        *,
        poll_wait_secs: float = 1.0,
        max_load_retries: int = 5,
        load_retry_wait_secs: float = 60.0,
        load_retry_multiplier: float = 1.0,
        settle_secs: float = 0.0,
        forget_ended_secs: float = 0.0,
        load_fn: Callable[[str], servable.Servable] = servable.Servable,
        load_gate: contextlib.AbstractContextManager[None] = contextlib.nullcontext(),
        unload_fn: Callable[[Callable[[], None]], None] = _at_once,
        loaded_on_demand: loaded_versions.LoadedVersions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remembers what to do; `start` does it.

        Args:
            name: what requests call the model.
            base_path: the directory that holds its versions.
            policy: which of them to have in memory.
            poll_wait_secs: seconds between two looks at it; 0 looks once, below 0 never.
            max_load_retries: how often a failed load is tried again.
            load_retry_wait_secs: seconds between two tries; 0 or less for none.
            load_retry_multiplier: how many times the wait before each further wait is; 1 for waits of the
                same length.
            settle_secs: see complete_versions.CompleteVersions.
            forget_ended_secs: seconds after which a version in state `END` is no longer told of; 0 for
                never. One that failed to load is told of while it stays on disk.
            load_fn: directory of a version -> what answers.
            load_gate: held during each load; may make it wait for the loads of other models.
            unload_fn: runs the function that unloads a version, at once or later.
            loaded_on_demand: what versions are in memory of all models that are loaded when they are
                first asked, as this one is then; None for a model that is loaded as soon as it is there.
            clock: gives the time in seconds.
        """
        self.name = name
        self._poll_wait_secs = poll_wait_secs
        self._load_fn = load_fn
        self._load_gate = load_gate
        self._unload_fn = unload_fn
        self._on_demand = loaded_on_demand
        self._clock = clock
        # What requests and the watch share.
        self._lock = threading.Lock()
        self._loaded: dict[int, _Loaded] = {}
        self._statuses = VersionStatuses(forget_ended_secs, clock)
        # Versions that requests wait for, and the end of a try to load one.
        self._asked: set[int] = set()
        self._tried = threading.Condition(self._lock)
        # What is wanted, and what has come of it; `None` is a model that is wanted no more.
        self._wanted: tuple[str, version_policy.VersionPolicy] | None = (base_path, policy)
        self._look_now = threading.Event()
        self._settled = threading.Event()
        self._stopping = threading.Event()
        # The watch's own.
        self._base_path = base_path
        self._complete = complete_versions.CompleteVersions(settle_secs, clock)
        self._aspired: list[int] = []
        self._missing: list[int] = []
        self._retries = load_retries.LoadRetries(
            max_load_retries, load_retry_wait_secs, load_retry_multiplier, clock
        )
        self._given_up: set[int] = set()
        self._thread: threading.Thread | None = None
        # Whether the watch has ended because there was nothing left to do.
        self._rests = False

    def start(self) -> None:
        """Begins to watch the base path."""
        self._thread = threading.Thread(
            target=self._watch, name=f"versions-{self.name}", daemon=True
        )
        self._thread.start()

    def configure(self, base_path: str, policy: version_policy.VersionPolicy) -> None:
        """Watches this base path by this policy from now on; looks at once.

        Versions that are in memory stay as they are while the policy wants their numbers, even
        from another base path.
        """
        with self._lock:
            if self._wanted == (base_path, policy):
                return
            if self._wanted is None:
                self._settled.clear()
            self._wanted = (base_path, policy)
            self._look_now.set()
            if self._rests:
                self._rests = False
                self.start()

    def retire(self) -> None:
        """Unloads every version as its last request ends, and then watches nothing, without a thread, until
        it is configured again."""
        with self._lock:
            self._wanted = None
        self._settled.set()
        self._look_now.set()

    def wait_until_settled(self, timeout_secs: float | None = None) -> bool:
        """Waits until a version is available or given up, or the model is stopped or retired.

        Args:
            timeout_secs: how long, in seconds; None for without limit.

        Returns:
            whether that came in time.
        """
        return self._settled.wait(timeout_secs)

    @property
    def failure(self) -> VersionStatus | None:
        """Why no version is available: the highest that was given up; None if it is not so."""
        if self.available:
            return None
        return next((status for status in self.statuses() if status.error is not None), None)

    @property
    def available(self) -> list[int]:
        """The versions in memory, highest first."""
        with self._lock:
            return sorted(self._loaded, reverse=True)

    @property
    def answering(self) -> list[int]:
        """The versions that answer, highest first: those in memory, and those loaded when asked."""
        with self._lock:
            return sorted({*self._loaded, *self._dormant()}, reverse=True)

    def statuses(self, version: int | None = None) -> list[VersionStatus]:
        """Every version that this process has seen, highest first, or just `version` if seen.

        Those that ended long ago may be forgotten.
        """
        with self._lock:
            self._statuses.forget_ended(kept=self._given_up)
            seen = self._statuses.all()
        return [status for status in seen if version in (None, status.version)]

    def acquire(self, version: int | None = None, timeout_ms: int = 0) -> "Hold":
        """Holds a version in memory for the length of one request.

        Args:
            version: None for the highest that is available.
            timeout_ms: how long the request may take, in milliseconds; 0 for without limit.

        Returns:
            what holds it while it is entered. Entering it may raise errors.ServableError: `NOT_FOUND`; the
            version is not available (TF Serving: basic_manager.cc). `DEADLINE_EXCEEDED`, or why its load
            failed, if it was loaded for this request.
        """
        return Hold(self, version, timeout_ms)

    def peek(self, version: int) -> servable.Servable | None:
        """A version that is in memory, to read what it says of itself; None if it is not there.

        It is neither loaded nor held nor counted as used: it must not be run.
        """
        with self._lock:
            loaded = self._loaded.get(version)
            return None if loaded is None else loaded.model

    def last_used(self, version: int) -> float:
        """See loaded_versions.Owner."""
        with self._lock:
            loaded = self._loaded.get(version)
            return float("inf") if loaded is None or loaded.users else loaded.used

    def evict(self, version: int) -> None:
        """See loaded_versions.Owner; the memory is free on return, if no request came meanwhile."""
        loaded, unused = self._take_away(version)
        if loaded is not None and unused:
            self._close(loaded)

    def poll_once(self) -> bool:
        """Looks at the base path once, and does what that asks for; each load is tried once.

        Returns:
            whether a version has been available or given up since the model was configured.
        """
        self._look_now.clear()
        self._look()
        tried: set[int] = set()
        while not self._stopping.is_set() and self._act(tried):
            pass
        return self._settled.is_set()

    def begin_stop(self) -> None:
        """Begins to end the watch, and lets those go on who wait for a first version."""
        self._stopping.set()
        self._settled.set()
        self._look_now.set()
        with self._lock:
            self._tried.notify_all()

    def stop(self) -> None:
        """Ends the watch and unloads the model; runs under way end as cancelled."""
        self.begin_stop()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()
        for version in self.available:
            self._retire(version, at_once=True)

    def _watch(self) -> None:
        """Looks when it is time and acts, one load or unload at a time, until it is stopped or nothing is
        left to do."""
        next_look = self._clock() if self._poll_wait_secs >= 0 else float("inf")
        while not self._stopping.is_set():
            acted = False
            try:
                if self._look_now.is_set() or self._clock() >= next_look:
                    self._look_now.clear()
                    wait = self._poll_wait_secs
                    next_look = self._clock() + wait if wait > 0 else float("inf")
                    self._look()
                    next_look = min(next_look, self._complete.due)
                acted = self._act(set())
            except Exception:
                _logger.exception("Looking for versions of %s failed", self.name)
            if not acted:
                if self._begin_rest():
                    return
                wait = max(min(next_look, self._retries.due) - self._clock(), 0)
                self._look_now.wait(min(wait, threading.TIMEOUT_MAX))

    def _begin_rest(self) -> bool:
        """Whether the watch is to end: nothing is wanted, loaded or waited for."""
        with self._lock:
            self._rests = self._wanted is None and not self._aspired and not self._loaded
            return self._rests

    def _look(self) -> None:
        """Finds out which versions to have; a base path that is missing changes nothing."""
        with self._lock:
            wanted = self._wanted
        if wanted is None:
            self._aspire([])
            self._given_up.clear()
            return
        self._base_path, policy = wanted
        if not tf.io.gfile.isdir(self._base_path):
            _logger.warning(
                "Could not find base path %s for servable %s with error NOT_FOUND: %s not found",
                self._base_path,
                self.name,
                self._base_path,
            )
            return
        on_disk = versions.list_versions(self._base_path)
        # A load that failed for good counts for as long as its directory stays.
        self._given_up.intersection_update(on_disk)
        self._aspire(policy.aspired(self._complete.among(self._base_path, on_disk)))
        self._tell_missing(policy.missing(on_disk))
        if not self._aspired:
            _logger.warning(
                "No versions of servable %s found under base path %s. "
                "Did you forget to name your leaf directory as a number (eg. '/1/')?",
                self.name,
                self._base_path,
            )

    def _aspire(self, aspired: list[int]) -> None:
        """Notes what to have, highest first; a version that is wanted no more is not tried again."""
        with self._lock:
            self._aspired = aspired
            if self._on_demand is not None:
                self._note_dormant()
                self._asked.intersection_update(aspired)
                self._tried.notify_all()
        for version in self._retries.versions:
            if version not in aspired:
                self._set(VersionStatus(version, State.END, self._retries.error(version)))
                self._retries.drop(version)

    def _tell_missing(self, missing: list[int]) -> None:
        """Warns of the versions that the policy names but that are not there, once."""
        for version in missing if missing != self._missing else ():
            _logger.warning(
                "Version %d of servable %s, which was requested to be served as a 'specific' "
                "version in the servable's version policy, was not found in the file system",
                version,
                self.name,
            )
        self._missing = missing

    def _act(self, tried: set[int]) -> bool:
        """Unloads one version that can be spared, or else tries one load that is due.

        Args:
            tried: versions whose load is not to be tried; the one that is gets in.

        Returns:
            whether there was anything to do.
        """
        loaded = self.available
        spare = [version for version in loaded if version not in self._aspired]
        served = len(loaded) > len(spare)
        if spare and (served or not self._aspired or len(spare) > 1):
            self._retire(min(spare))
            return True
        # What is in memory is followed by what replaces it, asked for or not.
        asked = None if self._on_demand is None or (spare and not served) else set(self._asked)
        for version in self._aspired:
            if version in loaded or version in tried or version in self._given_up:
                continue
            failed = self._retries.error(version) is not None
            if asked is not None and version not in asked and not failed:
                continue
            if self._retries.is_due(version):
                tried.add(version)
                self._try_load(version)
                return True
        if self._on_demand is not None or any(
            version in loaded or version in self._given_up for version in self._aspired
        ):
            self._settle()
        return False

    def _try_load(self, version: int) -> None:
        """Loads a version; after a failure it is due again later, or given up."""
        try:
            self._load(version)
        finally:
            with self._lock:
                self._asked.discard(version)
                self._tried.notify_all()

    def _load(self, version: int) -> None:
        if self._retries.begin(version):
            self._set(VersionStatus(version, State.START))
        try:
            with self._load_gate:
                if self._stopping.is_set():
                    return
                self._set(VersionStatus(version, State.LOADING))
                path = versions.path_of(self._base_path, version)
                if self._on_demand is not None:
                    self._on_demand.admit(self, version, path)
                model = self._load_fn(path)
        except errors.ServableError as error:
            failure = error
        except BaseException as error:  # also SystemExit: the model must not take the watch with it
            failure = errors.ServableError(errors.Code.INTERNAL, f"{type(error).__name__}: {error}")
        else:
            with self._lock:
                self._loaded[version] = _Loaded(version, model, self._clock())
                self._statuses.set(VersionStatus(version, State.AVAILABLE))
            self._retries.drop(version)
            _logger.info("Serving %s version %d", self.name, version)
            return
        _logger.error("Loading %s version %d failed: %s", self.name, version, failure)
        # The frames that it came through hold what there was of the model.
        if self._on_demand is not None:
            self._on_demand.release(self, version)
        failure.__traceback__ = failure.__cause__ = failure.__context__ = None
        memory.give_back()
        if self._retries.fail(version, failure):
            return
        self._given_up.add(version)
        self._set(VersionStatus(version, State.END, failure))

    def _settle(self) -> None:
        """Lets those go on who wait for a first version."""
        with self._lock:
            if self._wanted is not None:
                self._settled.set()

    def _retire(self, version: int, at_once: bool = False) -> None:
        """Lets a version answer no more, and unloads it when its last request has ended."""
        loaded, unused = self._take_away(version)
        if loaded is None:
            return
        if unused:
            self._unload_fn(lambda: self._close(loaded))
        elif at_once:
            loaded.model.close()

    def _take_away(self, version: int) -> tuple[_Loaded | None, bool]:
        """Lets a version answer no more.

        Returns:
            the version, None if it does not answer anyway; and whether no request is on it, the last of
            which would unload it.
        """
        with self._lock:
            loaded = self._loaded.pop(version, None)
            if loaded is None:
                return None, False
            loaded.retired = True
            unused = loaded.users == 0
            self._statuses.set(VersionStatus(version, State.UNLOADING))
        if self._on_demand is not None:
            self._on_demand.release(self, version)
        return loaded, unused

    def _close(self, loaded: _Loaded) -> None:
        try:
            loaded.model.close()
            loaded.model.free()
            memory.give_back()
        except Exception:
            _logger.exception("Unloading %s version %d failed", self.name, loaded.version)
        with self._lock:
            # Another load of the same version may have begun meanwhile.
            if self._statuses.state(loaded.version) == State.UNLOADING:
                self._statuses.set(VersionStatus(loaded.version, State.END))
                self._note_dormant()
        _logger.info("Unloaded %s version %d", self.name, loaded.version)

    def _dormant(self) -> list[int]:
        """Versions that a request loads, highest first; the caller holds the lock."""
        if self._on_demand is None:
            return []
        given_up = self._given_up
        return [one for one in self._aspired if one not in self._loaded and one not in given_up]

    def _note_dormant(self) -> None:
        """Sets the states of versions that a request loads, and of those that none loads any more; the
        caller holds the lock."""
        dormant = self._dormant()
        for version in dormant:
            if self._statuses.state(version) in (None, State.END):
                self._statuses.set(VersionStatus(version, State.START))
        for status in self._statuses.all():
            if status.state == State.START and status.version not in dormant:
                self._statuses.set(VersionStatus(status.version, State.END))

    def _enter(self, version: int | None, timeout_ms: int) -> tuple[_Loaded, int]:
        """See Hold; gives what it holds, and the milliseconds that are left."""
        with self._lock:
            if self._on_demand is not None:
                timeout_ms = self._wait_for_load(version, timeout_ms)
            wanted = max(self._loaded, default=None) if version is None else version
            loaded = None if wanted is None else self._loaded.get(wanted)
            if loaded is None:
                raise not_found(self.name, version)
            loaded.users += 1
            loaded.used = self._clock()
            return loaded, timeout_ms

    def _leave(self, loaded: _Loaded) -> None:
        with self._lock:
            loaded.users -= 1
            loaded.used = self._clock()
            last = loaded.retired and loaded.users == 0
        if last:
            self._unload_fn(lambda: self._close(loaded))

    def _wait_for_load(self, version: int | None, timeout_ms: int) -> int:
        """Lets a version be loaded that a request asks for; the caller holds the lock.

        Does nothing if it is in memory, or cannot be loaded. While the newest version replaces one that
        is in memory, that one answers.

        Returns:
            the milliseconds that are left, 1 at least; 0 for without limit, if that is what `timeout_ms` is.
        """
        until = self._clock() + timeout_ms / 1e3 if timeout_ms else None
        while not self._stopping.is_set():
            dormant = self._dormant()
            wanted = max(dormant, default=None) if version is None else version
            newer = wanted is not None and all(wanted > loaded for loaded in self._loaded)
            replaced = any(loaded not in self._aspired for loaded in self._loaded)
            if wanted not in dormant or (version is None and (replaced or not newer)):
                break
            assert wanted is not None
            failure = self._retries.error(wanted)
            if failure is not None:
                raise _anew(failure)
            self._asked.add(wanted)
            self._look_now.set()
            left = None if until is None else until - self._clock()
            if not self._tried.wait_for(lambda: self._is_decided(wanted), left):
                raise errors.ServableError(
                    errors.Code.DEADLINE_EXCEEDED,
                    f"Version {wanted} of model {self.name} was not loaded in time; it goes on loading",
                )
            status = self._statuses.get(wanted)
            if status is not None and status.error is not None:
                raise _anew(status.error)
        return 0 if until is None else max(int((until - self._clock()) * 1e3), 1)

    def _is_decided(self, version: int) -> bool:
        return version not in self._asked or self._stopping.is_set()

    def _set(self, status: VersionStatus) -> None:
        with self._lock:
            self._statuses.set(status)


class Hold:
    """A version that is held in memory between `__enter__` and `__exit__`, which may be called once.

    Entering gives the version, its servable and the milliseconds that are left for its run: those of the
    request less what the load took; 0 for without limit. A class rather than a generator: every call makes one.
    """

    __slots__ = ("_owner", "_version", "_timeout_ms", "_loaded")

    def __init__(self, owner: ServedModel, version: int | None, timeout_ms: int) -> None:
        """See ServedModel.acquire."""
        self._owner = owner
        self._version = version
        self._timeout_ms = timeout_ms

    def __enter__(self) -> tuple[int, servable.Servable, int]:
        self._loaded, left_ms = self._owner._enter(self._version, self._timeout_ms)
        return self._loaded.version, self._loaded.model, left_ms

    def __exit__(self, *error: object) -> None:
        self._owner._leave(self._loaded)


def _anew(error: errors.ServableError) -> errors.ServableError:
    """The same error for one more request: an exception keeps the frames of every time that it is raised."""
    return errors.ServableError(error.code, error.message)


def not_found(name: str, version: int | None) -> errors.ServableError:
    """What a request gets for a model or a version that is not available."""
    wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return errors.ServableError(errors.Code.NOT_FOUND, f"Servable not found for request: {wanted}")
