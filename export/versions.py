"""Version directories: `<base>/<integer>/saved_model.pb`, as TensorFlow Serving finds them.

A version is written in a staging directory inside the base path, whose name servers skip, and
renamed into place, so that no server ever sees half of one:

    with versions.staging_dir(base) as staging:
        write_saved_model(staging)
        versions.publish(staging, base, versions.next_version(base, time.time()))

Paths go through `tf.io.gfile`; a rename is atomic where the file system's own is.
"""

import contextlib
import os
import re
from typing import Iterable, Iterator
import uuid

import tensorflow as tf

# The whole name, with leading zeros or a sign if need be (TF Serving:
# file_system_storage_path_source.cc).
_VERSION_NAME = re.compile(r"[+-]?[0-9]+")
_MAX_VERSION = 2**63 - 1

# What a process writes aside, with its number.
_OURS = re.compile(r"\.(?:staging|removed)-([0-9]+)-.*")
_STALE_SECS = 600.0


def list_versions(base: str) -> list[int]:
    """The versions under `base`, lowest first; none if `base` is missing.

    Every child whose whole name is an integer of 64 bits counts, whatever it holds; other names are
    skipped."""
    return sorted(_children(base))


def newest(base: str) -> int | None:
    """The highest version under `base`, or None."""
    return max(_children(base), default=None)


def path_of(base: str, version: int) -> str:
    """The directory of `version`: the one that is there (`0007` is version 7), else the one it would have."""
    name = str(version)
    plain = os.path.join(base, name)
    if tf.io.gfile.exists(plain):
        return plain
    return os.path.join(base, _children(base).get(version, name))


def next_version(base: str, now_secs: float) -> int:
    """A version for an export made now: the time in whole seconds, made larger than every version under `base`."""
    return max(int(now_secs), (newest(base) or 0) + 1)


@contextlib.contextmanager
def staging_dir(base: str) -> Iterator[str]:
    """Makes an empty directory under `base` that servers skip, and removes what is left of it at
    the end.

    Yields:
        its path, `<base>/.staging-<process>-<random>`, so that several processes can stage at once.
        `base` is made if it is missing.
    """
    path = os.path.join(base, f".staging-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    tf.io.gfile.makedirs(path)
    try:
        yield path
    finally:
        if tf.io.gfile.exists(path):
            tf.io.gfile.rmtree(path)


def publish(staged_dir: str, base: str, version: int) -> str:
    """Renames `staged_dir` to the directory of `version`, in one step if both are on one local file
    system.

    Returns:
        the new path.

    Raises:
        FileExistsError: `version` is there already.
        ValueError: `version` is negative or has more than 63 bits.
    """
    if not 0 <= version <= _MAX_VERSION:
        raise ValueError(f"A version must lie between 0 and {_MAX_VERSION}, given: {version}")
    path = path_of(base, version)
    if tf.io.gfile.exists(path):
        raise FileExistsError(f"Version {version} exists already: {path}")
    tf.io.gfile.rename(staged_dir, path)
    return path


def remove(base: str, doomed: Iterable[int]) -> list[int]:
    """Removes these versions; each is renamed out of the servers' sight before its files go.

    Returns:
        the versions removed.
    """
    removed = []
    for version in doomed:
        hidden = os.path.join(base, f".removed-{os.getpid()}-{version}")
        tf.io.gfile.rename(path_of(base, version), hidden)
        tf.io.gfile.rmtree(hidden)
        removed.append(version)
    return removed


def remove_stale(base: str, now_secs: float) -> list[str]:
    """Removes what killed processes left under `base`: staging and half-removed directories.

    A directory goes if its process is not on this machine and nothing changed in it for ten minutes; another
    machine may be staging in the same place.

    Returns:
        the names removed.
    """
    removed = []
    for name in sorted(tf.io.gfile.listdir(base)) if tf.io.gfile.isdir(base) else ():
        match = _OURS.fullmatch(name.rstrip("/"))
        path = os.path.join(base, name)
        if match and not _is_running(int(match[1])) and _age_secs(path, now_secs) > _STALE_SECS:
            tf.io.gfile.rmtree(path)
            removed.append(name)
    return removed


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _age_secs(path: str, now_secs: float) -> float:
    """Seconds since the newest file in `path` changed."""
    paths = [
        path,
        *(os.path.join(d, name) for d, _, files in tf.io.gfile.walk(path) for name in files),
    ]
    return now_secs - max(tf.io.gfile.stat(each).mtime_nsec for each in paths) / 1e9


def _children(base: str) -> dict[int, str]:
    """Version -> name of the child that holds it."""
    try:
        names = tf.io.gfile.listdir(base)
    except tf.errors.NotFoundError:
        return {}
    # Object stores list a directory with a slash at its end.
    names = [name.rstrip("/") for name in names]
    found = {int(name): name for name in names if _VERSION_NAME.fullmatch(name)}
    return {version: name for version, name in found.items() if abs(version) <= _MAX_VERSION}
