"""Memory of the process: how TensorFlow takes it, and how what it has freed goes back to the system."""

import ctypes
from typing import MutableMapping

# Without it oneDNN's builds of TensorFlow take variables from an allocator of their own, which keeps for
# ever what it has once had (TensorFlow: mkl_cpu_allocator.h). The stock server is built without oneDNN.
_SYSTEM_ALLOCATOR = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"


def use_system_allocator(environment: MutableMapping[str, str]) -> None:
    """Lets TensorFlow, which must not have been imported yet, take its memory from the system.

    Args:
        environment: of the process; what it says already stays.
    """
    environment.setdefault(_SYSTEM_ALLOCATOR, "1")


def give_back() -> None:
    """Gives freed memory back to the system, where the C library can be told to (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
