"""Runs the real Triton server that the package nvidia-pytriton carries on a model repository, without a container.

python bench/claims/triton_server.py model_repository
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path

STUB = "triton_python_backend_stub"
NOT_LOADED = re.compile(r"error while loading shared libraries|version \S+ not found")  # glibc's words
HOST = "127.0.0.1"
POLL = 0.02  # seconds between two looks at a server that starts
STOP = 20.0  # seconds that it has to stop: it finishes what it has accepted
SHOWN = 2000  # characters of its log that an error holds
ERROR = re.compile(r"E\d{4} |error: ")


class TritonError(RuntimeError):
    """No Triton server runs on the repository; the text says why."""


@dataclass(frozen=True)
class Installation:
    """A Triton server with its Python backend."""

    program: Path
    backends: Path  # of which the Python one lacks its interpreter's stub
    stub: Path  # for the running version of Python
    environment: Mapping[str, str]


def find_tritonserver() -> Path | str:
    """The real server's program, or in one line why there is none that runs here."""
    found = installation()
    return found if isinstance(found, str) else found.program


@cache
def installation() -> Installation | str:
    """The server with its Python backend, or in one line why it cannot run here. The package is not imported."""
    spec = find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        return "nvidia-pytriton is not installed, which carries a tritonserver: pip install --no-deps nvidia-pytriton"
    package = Path(next(iter(spec.submodule_search_locations)))
    root, version = package / "tritonserver", f"{sys.version_info.major}.{sys.version_info.minor}"
    program, stub = root / "bin" / "tritonserver", root / "python_backend_stubs" / version / STUB
    if not stub.is_file():
        return f"the installed nvidia-pytriton has no stub of its Python backend for Python {version}"
    # The stub is linked with the running Python's shared library. It ignores PYTHONPATH and PYTHONHOME: it is the
    # `python3` found first on PATH whose packages it sees.
    python = [str(Path(sys.base_prefix) / "lib"), str(sysconfig.get_config_var("LIBDIR"))]
    libraries = [str(package.parent / "nvidia_pytriton.libs"), *python, os.environ.get("LD_LIBRARY_PATH", "")]
    path = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    added = {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)), "PATH": os.pathsep.join(filter(None, path))}
    environment = {**os.environ, **added}
    for command in ([str(program), "--help"], [str(stub)]):  # both end with 1 if they are not told what to do
        try:
            result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"{command[0]} does not run here: {error.strerror or error}"
        if NOT_LOADED.search(result.stderr):
            return f"{Path(command[0]).name} does not run here: {' '.join(result.stderr.split())}"
    return Installation(program, root / "backends", stub, environment)


@dataclass(frozen=True)
class TritonAddresses:
    """A running server."""

    http: str  # `host:port`, as `tritonclient.http` wants it
    grpc: str  # `host:port`, as `tritonclient.grpc` wants it
    pid: int  # each instance of a Python model is a child of it
    log: Path  # what it writes, the models' lines among it; gone with the block


@contextmanager
def running(
    repository: str | os.PathLike[str],
    *,
    models: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 120.0,
) -> Iterator[TritonAddresses]:
    """A server of the models of a repository (None: all), ready and warm as the block begins, stopped as it ends.

    `environment` is added to this process's.
    """
    found = installation()
    if isinstance(found, str):
        raise TritonError(found)
    with tempfile.TemporaryDirectory(prefix="ganport-triton-") as folder, ExitStack() as stack:
        log, backends = Path(folder, "log.txt"), Path(folder, "backends")
        shutil.copytree(found.backends, backends, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(found.stub, backends / "python" / STUB)
        http, grpc = _free_ports()
        command = [
            str(found.program),
            f"--model-repository={os.fspath(repository)}",
            f"--backend-directory={backends}",
            *(f"--{name}-address={HOST}" for name in ("http", "grpc")),
            *(f"--http-port={http}", f"--grpc-port={grpc}"),
            *("--allow-metrics=false", "--allow-gpu-metrics=false"),
            *(() if models is None else ("--model-control-mode=explicit", *(f"--load-model={one}" for one in models))),
        ]
        output = stack.enter_context(log.open("wb"))
        variables = {**found.environment, **(environment or {})}
        process = subprocess.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)
        stack.callback(_stop, process)
        _wait_until_ready(process, http, log, timeout)
        yield TritonAddresses(f"{HOST}:{http}", f"{HOST}:{grpc}", process.pid, log)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:  # at once, so that they differ
        one.bind((HOST, 0))
        other.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]


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
    """The lines of a log that say what went wrong, or its last one."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([line for line in lines if ERROR.match(line)] or lines[-1:])[-SHOWN:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    with running(sys.argv[1]) as server:
        print(f"HTTP {server.http}, gRPC {server.grpc}; Ctrl-C ends it", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
