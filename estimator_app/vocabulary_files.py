"""Whether vocabulary files that a file of `--features` names are still what they were: weights go by their lines."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from estimator_app import feature_file

_KIND = "vocabulary_file"


def digests(features: str) -> dict[str, str]:
    """Returns path -> SHA-256, in hex, of each vocabulary file on this machine; of one that is not there nothing.

    Args:
      features: path of the file of `--features`; empty if there is none.

    Raises:
      SettingsError: the file cannot be read.
    """
    paths = _paths(feature_file.read(features)) if features else []
    found = {}
    for path in filter(os.path.isfile, paths):
        with open(path, "rb") as file:
            found[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _paths(value: Any) -> list[str]:
    if isinstance(value, list):
        return [path for item in value for path in _paths(item)]
    if not isinstance(value, dict):
        return []
    paths = []
    for name, item in value.items():
        if name != _KIND:
            paths += _paths(item)
        else:
            given = item.get("path") if isinstance(item, dict) else item
            paths += [given] if isinstance(given, str) else []
    return paths
