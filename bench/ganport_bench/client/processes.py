"""Processes beside this one: a worker in which work is timed, and a server that is started for a measurement."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

from ganport_bench.errors import BenchError

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped]

START_SECONDS = 120.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.05
LAST_CHARACTERS = 300  # of a server's stderr that an error message shows
NICENESS = 5  # of servers: the load generator keeps its schedule where both want the same core

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """A fresh interpreter that runs one call at a time and is idle in between; a context manager."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __call__(self, work: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
        """Run a module's function there and wait; raises what it raises, and BenchError if the process ended."""
        return self.result(self.begin(work, *arguments, **keywords))

    def begin(self, work: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> Future[T]:
        """Run a function there without waiting."""
        return self._pool.submit(work, *arguments, **keywords)

    def result(self, future: Future[T]) -> T:
        """Wait for what was begun."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise BenchError(f"the process of {self._name} ended: {error}") from None


class ServerProcess(Generic[T]):
    """A command that serves until it is stopped; a context manager.

    Raises BenchError if it ended, or was not ready in time; with the end of its stderr.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        ready: Callable[[str], T | None],  # from what it has printed so far, its `facts`; None: it is not ready
        environment: Mapping[str, str | None] | None = None,  # added to this process's; None removes a variable
    ) -> None:
        self._name = name
        self._folder = tempfile.TemporaryDirectory(prefix="ganport-server-")
        self._stderr, stdout = Path(self._folder.name, "stderr"), Path(self._folder.name, "stdout")
        with stdout.open("wb") as out, self._stderr.open("wb") as err:
            pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
            variables = _environment(environment or {})
            self._process = subprocess.Popen(list(command), env=variables, start_new_session=True, **pipes)
        self.pid = self._process.pid
        try:
            self.facts = self._await(stdout, ready)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Ask it to end, then kill what is left of it and its children; its exit status."""
        if self._process.poll() is None:
            self._process.terminate()
            os.killpg(self.pid, signal.SIGCONT)  # a suspended process would not notice
            with suppress(subprocess.TimeoutExpired):  # killed below
                self._process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):  # nothing is left of it
            os.killpg(self.pid, signal.SIGKILL)
        status = self._process.wait()
        self._folder.cleanup()
        return status

    def _await(self, stdout: Path, ready: Callable[[str], T | None]) -> T:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            facts = ready(stdout.read_text("utf-8", "replace"))
            if facts is not None:
                return facts
            if self._process.poll() is not None:
                raise BenchError(f"{self._name} ended with {self._process.returncode}: {self._last()}")
            time.sleep(POLL_SECONDS)
        raise BenchError(f"{self._name} was not ready within {START_SECONDS:g} s: {self._last()}")

    def _last(self) -> str:
        return " ".join(self._stderr.read_text("utf-8", "replace").split())[-LAST_CHARACTERS:] or "it said nothing"


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    # Commands beside this interpreter are found by name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    merged = {**os.environ, "PATH": path, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def family(pid: int) -> "list[psutil.Process]":
    """A process and all its descendants; empty if it has ended."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []


def renice(pid: int) -> None:
    """Let the load generator go first where a process or its descendants compete with it; new threads inherit it."""
    import psutil

    for process in family(pid):
        with suppress(psutil.NoSuchProcess):
            for thread in process.threads():
                with suppress(ProcessLookupError):  # it ended just now
                    os.setpriority(os.PRIO_PROCESS, thread.id, NICENESS)
