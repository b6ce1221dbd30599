"""A server in a process of its own: started, awaited until it is ready, stopped with everything that it started."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from ganport_bench.errors import BenchError

__all__ = ["ServerProcess", "free_port", "is_answering"]

START_SECONDS = 120.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.05
LAST = 300  # characters of what a server said before it ended

T = TypeVar("T")


class ServerProcess(Generic[T]):
    """A command that serves until it is told to stop; to be used as a context manager.

    Args:
        name: for messages.
        command: what is run.
        ready: given what the command has printed so far, what there is to know once it is ready; None before.
        environment: added to this process's; None as a value takes a variable away.

    Attributes:
        pid: of the command.
        facts: what `ready` told.

    Raises:
        BenchError: it ended, or was not ready in time; with the last that it said.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        ready: Callable[[str], T | None],
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        self._name = name
        self._folder = tempfile.TemporaryDirectory(prefix="ganport-server-")
        self._said = Path(self._folder.name, "stderr")
        printed = Path(self._folder.name, "stdout")
        with printed.open("wb") as out, self._said.open("wb") as err:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=_environment(environment or {}),
                start_new_session=True,
            )
        self.pid = self._process.pid
        try:
            self.facts = self._await(printed, ready)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether the command has not ended."""
        return self._process.poll() is None

    def stop(self) -> int:
        """Ask it to end, then make it and whatever it started; its exit status."""
        if self.is_running:
            self._process.terminate()
            os.killpg(self.pid, signal.SIGCONT)  # what is suspended would not notice
            with suppress(subprocess.TimeoutExpired):  # killed below
                self._process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):  # nothing is left of it
            os.killpg(self.pid, signal.SIGKILL)
        status = self._process.wait()
        self._folder.cleanup()
        return status

    def _await(self, printed: Path, ready: Callable[[str], T | None]) -> T:
        given_up = time.monotonic() + START_SECONDS
        while time.monotonic() < given_up:
            facts = ready(printed.read_text("utf-8", "replace"))
            if facts is not None:
                return facts
            if not self.is_running:
                raise BenchError(f"{self._name} ended with {self._process.returncode}: {self._last()}")
            time.sleep(POLL_SECONDS)
        raise BenchError(f"{self._name} was not ready within {START_SECONDS:g} s: {self._last()}")

    def _last(self) -> str:
        return " ".join(self._said.read_text("utf-8", "replace").split())[-LAST:] or "it said nothing"


def free_port() -> int:
    """A port that nobody listens at just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def is_answering(port: int, path: str) -> bool:
    """Whether a GET of a path is answered with 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as connection:
            connection.sendall(request)
            return connection.recv(16).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    # commands beside this interpreter are found by name
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    merged = {**os.environ, "PATH": path, **changes}
    return {name: value for name, value in merged.items() if value is not None}
