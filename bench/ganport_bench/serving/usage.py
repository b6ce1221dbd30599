"""What a server uses while it is measured: CPU seconds and resident memory, of all its processes together."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganport_bench.errors import BenchError

if TYPE_CHECKING:
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
    """What a process and those it started have used so far; granular as the system counts, often 10 ms.

    Raises:
        BenchError: it has ended.
    """
    family, total = _running(pid), 0.0
    for process in family:
        with _vanishing():
            times = process.cpu_times()
            total += times.user + times.system
    with _vanishing():
        loop = next((thread for thread in family[0].threads() if thread.id == pid), None)
        return Cpu(total, 0.0 if loop is None else loop.user_time + loop.system_time)
    raise _ended(pid)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and those it started; pages that they share count for each.

    Raises:
        BenchError: it has ended.
    """
    total = 0
    for process in _running(pid):
        with _vanishing():
            total += process.memory_info().rss
    return total


def suspend(pid: int) -> None:
    """Stop a process and those it started from running at all, so that none that waits its turn takes any CPU."""
    for process in _family(pid):
        with _vanishing():
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
        with _vanishing():
            process.resume()


def yield_to_others(pid: int) -> None:
    """Let others go first where a process and those it started compete with them: the client keeps its schedule.

    Threads that are started later inherit it from those that are there.
    """
    for process in _family(pid):
        with _vanishing():
            for thread in process.threads():
                with suppress(ProcessLookupError):  # it ended just now
                    os.setpriority(os.PRIO_PROCESS, thread.id, NICENESS)


def _vanishing() -> AbstractContextManager[None]:
    """Children may end while one looks at them; whether the server still answers is seen elsewhere."""
    import psutil

    return suppress(psutil.NoSuchProcess)


def _running(pid: int) -> "list[psutil.Process]":
    family = _family(pid)
    if not family:
        raise _ended(pid)
    return family


def _ended(pid: int) -> BenchError:
    return BenchError(f"the process {pid} that was measured has ended")


def _family(pid: int) -> "list[psutil.Process]":
    """A process and all that it has started; nobody where it has ended."""
    import psutil  # here: what is measured without a server needs none

    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []
