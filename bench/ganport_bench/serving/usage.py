"""What a server uses while it is measured: CPU seconds and resident memory, of all its processes together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

__all__ = ["NICENESS", "Cpu", "awake", "cpu_of", "resident_bytes", "resume", "suspend", "yield_to_others"]

NICENESS = 5


@dataclass(frozen=True)
class Cpu:
    """CPU seconds since some moment.

    Attributes:
        total: of all processes.
        loop: of the first process's first thread, where an asyncio server has its event loop.
    """

    total: float
    loop: float

    def __sub__(self, other: "Cpu") -> "Cpu":
        """What was used in between."""
        return Cpu(self.total - other.total, self.loop - other.loop)


def cpu_of(pid: int) -> Cpu:
    """What a process and those it started have used so far; granular as the system counts, often 10 ms."""
    total = 0.0
    for process in _family(pid):
        times = process.cpu_times()
        total += times.user + times.system
    loop = next((thread for thread in psutil.Process(pid).threads() if thread.id == pid), None)
    return Cpu(total, 0.0 if loop is None else loop.user_time + loop.system_time)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and those it started; pages that they share count for each."""
    return sum(process.memory_info().rss for process in _family(pid))


def suspend(pid: int) -> None:
    """Stop a process and those it started from running at all, so that none that waits its turn takes any CPU."""
    for process in _family(pid):
        process.suspend()


@contextmanager
def awake(pid: int) -> Iterator[None]:
    """Let a suspended process and those it started run for the length of a block."""
    resume(pid)
    try:
        yield
    finally:
        suspend(pid)


def resume(pid: int) -> None:
    """Let them run again."""
    for process in reversed(_family(pid)):
        process.resume()


def yield_to_others(pid: int) -> None:
    """Let others go first where a process and those it started compete with them: the client keeps its schedule.

    Threads that are started later inherit it from those that are there.
    """
    for process in _family(pid):
        for thread in process.threads():
            os.setpriority(os.PRIO_PROCESS, thread.id, NICENESS)


def _family(pid: int) -> list[psutil.Process]:
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]
