"""Batchers that nobody closed: when the interpreter ends, and in a forked process."""

import atexit
import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["watch"]

PATIENCE = 10.0  # seconds that the end of the interpreter waits for a run of the engine


class Watched(Protocol):
    """What has threads."""

    def stop(self, drain: bool) -> None:
        """Accept nothing more."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for the threads."""

    def orphan(self) -> None:
        """Live on without threads, in a forked process."""


_watched: "WeakSet[Watched]" = WeakSet()


def watch(core: Watched) -> None:
    """End its threads before the interpreter ends, and let it refuse everything in a forked process."""
    _watched.add(core)


@atexit.register
def _end() -> None:
    """A thread that is still in an engine while the interpreter takes itself apart would crash it."""
    for core in list(_watched):
        core.stop(drain=False)
    for core in list(_watched):
        core.join(PATIENCE)


def _forked() -> None:
    for core in list(_watched):
        core.orphan()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
