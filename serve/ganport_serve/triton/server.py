"""Runs a real Triton server on a model repository, for as long as a block lasts."""

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from ganport_serve.errors import ServeError
from ganport_serve.triton.installation import Installation, find_tritonserver, installation

__all__ = ["TritonAddresses", "TritonError", "find_tritonserver", "running"]

HOST = "127.0.0.1"
POLL = 0.02  # seconds between two looks at a server that starts
STOP = 20.0  # seconds that it has to stop: it finishes what it has accepted
SHOWN = 2000  # characters of its log that an error holds
ERROR = re.compile(r"E\d{4} |error: ")


class TritonError(ServeError):
    """No Triton server runs on the repository; the text says why."""


@dataclass(frozen=True)
class TritonAddresses:
    """A running server.

    Attributes:
        http: its `host:port`, as `tritonclient.http` wants it.
        grpc: its `host:port`, as `tritonclient.grpc` wants it.
        pid: its process; each instance of a Python model is a child of it.
        log: what it writes, the models' lines among it; gone with the block.
    """

    http: str
    grpc: str
    pid: int
    log: Path


@contextmanager
def running(
    repository: str | os.PathLike[str],
    *,
    models: Sequence[str] | None = None,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float = 120.0,
) -> Iterator[TritonAddresses]:
    """A server of the models of a repository, ready and warm as the block begins, stopped as it ends.

    Args:
        repository: the model repository.
        models: those to load; None: all, of which each must load.
        arguments: further ones of tritonserver's command line.
        environment: variables beside or instead of this process's, such as `GANPORT_CACHE`.
        timeout: seconds within which it has to be ready.

    Raises:
        TritonError: there is no server here, or it did not become ready; the text has its log's errors.
    """
    found = installation()
    if isinstance(found, str):
        raise TritonError(found)
    with tempfile.TemporaryDirectory(prefix="ganport-triton-") as folder, ExitStack() as stack:
        log = Path(folder) / "log.txt"
        backends = found.put_backends(Path(folder) / "backends")
        http, grpc = _free_ports(2)
        command = [*_command(found, repository, backends, http, grpc, models), *arguments]
        output = stack.enter_context(log.open("wb"))
        process = subprocess.Popen(
            command, env=found.environment() | dict(environment or {}), stdout=output, stderr=subprocess.STDOUT
        )
        stack.callback(_stop, process)
        _wait_until_ready(process, http, log, timeout)
        yield TritonAddresses(f"{HOST}:{http}", f"{HOST}:{grpc}", process.pid, log)


def _command(
    found: Installation,
    repository: str | os.PathLike[str],
    backends: Path,
    http: int,
    grpc: int,
    models: Sequence[str] | None,
) -> list[str]:
    chosen = [f"--load-model={model}" for model in models or ()]
    return [
        str(found.program),
        f"--model-repository={os.fspath(repository)}",
        f"--backend-directory={backends}",
        f"--http-address={HOST}",
        f"--http-port={http}",
        f"--grpc-address={HOST}",
        f"--grpc-port={grpc}",
        "--allow-metrics=false",
        "--allow-gpu-metrics=false",
        *(() if models is None else ("--model-control-mode=explicit", *chosen)),
    ]


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; all at once, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path, timeout: float) -> None:
    end = time.monotonic() + timeout
    while not _is_ready(port):
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(POLL)
            raise TritonError(f"tritonserver ended with exit code {code}: {_errors_of(log)}")
        if time.monotonic() > end:
            raise TritonError(f"tritonserver was not ready within {timeout:g} s: {_errors_of(log)}")


def _is_ready(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _errors_of(log: Path) -> str:
    """The lines of a log that say what went wrong, or its end where none does."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if ERROR.match(line)]
    return "\n".join(errors or lines[-1:])[-SHOWN:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
