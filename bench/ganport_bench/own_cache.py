"""A benchmark's own tuning records, so that its user's stay as they are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["CACHE", "own_cache"]

CACHE = "GANPORT_CACHE"  # where the runtime looks for tuning records; processes that are started inherit it


@contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Let tuning records be looked for and kept in a folder, for as long as the block lasts."""
    before = os.environ.get(CACHE)
    os.environ[CACHE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CACHE]
        else:
            os.environ[CACHE] = before
