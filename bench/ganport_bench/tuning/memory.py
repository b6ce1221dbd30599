"""The memory that this process holds, after what the allocator keeps for later has gone back to the system."""

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

__all__ = ["resident_mib"]

STATM = Path("/proc/self/statm")  # sizes in pages; the second is what is resident


def resident_mib() -> float | None:
    """MiB of resident memory, or None where the system does not tell."""
    if not STATM.exists():
        return None
    gc.collect()
    with suppress(AttributeError, OSError):  # a C library other than glibc has none
        ctypes.CDLL(None).malloc_trim(0)
    return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
