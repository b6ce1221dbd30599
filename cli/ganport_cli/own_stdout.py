"""Keeps stdout for a command's document while libraries run that print there, from Python or by themselves."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

__all__ = ["own_stdout"]

STDOUT, STDERR = 1, 2  # descriptors, which is what libraries in other languages write to


@contextmanager
def own_stdout() -> Iterator[None]:
    """Send to stderr whatever is written to stdout in the block, by this process or by those that it starts."""
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush_libraries()
        os.dup2(kept, STDOUT)
        os.close(kept)


def _flush_libraries() -> None:
    """Have C's buffers written while stdout is still stderr; at the end of the process it would be too late."""
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)
