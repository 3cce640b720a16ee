"""Files by path or glob, local or anything that `tf.io.gfile` opens, plain or compressed.

A path with a scheme, such as `gs://bucket/train.csv`, goes through TensorFlow's file systems; TensorFlow is loaded for
such paths alone.
"""

from __future__ import annotations

from collections.abc import Callable
import errno
import glob
import io
import json
import os
from typing import Any, BinaryIO

import pyarrow as pa

from input_fns import errors

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\x04\x22\x4d\x18": "lz4",
}

# What reading a damaged file ends in, whichever library reads it.
DAMAGE = (OSError, EOFError, UnicodeDecodeError, pa.ArrowException)


def find(patterns: str) -> tuple[str, ...]:
    """The files that comma separated paths or globs name, each once, sorted within a glob.

    Raises:
        FileError: a pattern matches nothing.
    """
    found: dict[str, None] = {}
    for pattern in split(patterns):
        matches = sorted(_glob(pattern))
        if not matches:
            raise errors.FileError(
                f"No file matches {pattern!r}. Check the path; a glob is expanded by this program, "
                "so quote it in a shell."
            )
        found.update(dict.fromkeys(matches))
    return tuple(found)


def split(patterns: str) -> tuple[str, ...]:
    """The comma separated parts.

    Raises:
        FileError: there is none.
    """
    parts = tuple(filter(None, (part.strip() for part in patterns.split(","))))
    if not parts:
        raise errors.FileError(f"No file is named by {patterns!r}. Give a path or a glob.")
    return parts


def is_remote(path: str) -> bool:
    """Whether the path has a scheme."""
    return "://" in path


def version(path: str) -> list[int] | None:
    """Size and time of change of a local file, `[bytes, nanoseconds]`; None for anything else."""
    if not os.path.isfile(path):
        return None
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def open_raw(path: str) -> BinaryIO:
    """The file's bytes as they are, seekable.

    Raises:
        OSError: it cannot be opened.
    """
    if not is_remote(path):
        return open(path, "rb")
    return io.BufferedReader(_RemoteFile(path))


def open_stream(path: str) -> pa.NativeFile:
    """The file's bytes in order, decompressed if it is gzip, zstd, bz2 or lz4: told by its content, not by its name.

    Raises:
        OSError: it cannot be opened.
    """
    # Arrow reads and decompresses in native code, with the interpreter's lock released.
    raw = pa.PythonFile(open_raw(path), "r") if is_remote(path) else pa.OSFile(path)
    start = raw.read(4)
    raw.seek(0)
    for magic, name in _MAGIC.items():
        if start.startswith(magic):
            return pa.CompressedInputStream(raw, name)
    return raw


def read_json_object(file: BinaryIO) -> dict[str, Any]:
    """The JSON object that the file holds.

    Raises:
        ValueError: it holds something else.
    """
    found = json.load(file)
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__} and no object")
    return found


def unreadable(path: str, error: Exception, expected: str) -> errors.FileError:
    """The error that reading `path` ended in as one that names the file.

    Args:
        path: the file.
        error: one of `DAMAGE`.
        expected: what the file should be, such as "CSV, plain or compressed".
    """
    if isinstance(error, OSError) and os.path.isdir(path):
        error = IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if isinstance(error, FileNotFoundError):
        error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if isinstance(error, (FileNotFoundError, IsADirectoryError, PermissionError)):
        return errors.FileError(f"Cannot read {path}: {error.strerror or error}.")
    reason = str(error).strip().rstrip(".").replace("\n", " ")
    return errors.FileError(
        f"{path} is damaged: {reason}. Expected {expected}; make or copy the file again."
    )


def _glob(pattern: str) -> list[str]:
    if not is_remote(pattern):
        return glob.glob(pattern, recursive=True)
    import tensorflow as tf

    return _as_os_error(pattern, lambda: list(tf.io.gfile.glob(pattern)))


def _as_os_error(path: str, call: Callable[[], Any]) -> Any:
    import tensorflow as tf

    try:
        return call()
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(2, "No such file or directory", path) from error
    except tf.errors.OpError as error:
        raise OSError(f"{path}: {error.message}") from error


class _RemoteFile(io.RawIOBase):
    """`tf.io.gfile.GFile` as Python's own kind of file."""

    def __init__(self, path: str) -> None:
        import tensorflow as tf

        super().__init__()
        self._path, self._file = path, tf.io.gfile.GFile(path, "rb")
        self._size = int(_as_os_error(path, self._file.size))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = _as_os_error(self._path, lambda: self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        _as_os_error(self._path, lambda: self._file.seek(start + offset))
        return self.tell()

    def tell(self) -> int:
        return int(_as_os_error(self._path, self._file.tell))

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
