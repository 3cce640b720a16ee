"""Names of columns, of which a table may have thousands."""

from __future__ import annotations

import collections
from collections.abc import Iterable


def repeated(names: Iterable[str]) -> list[str]:
    """Those that stand there more than once, sorted."""
    return sorted(name for name, count in collections.Counter(names).items() if count > 1)
