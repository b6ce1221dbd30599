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

PACKAGE = "pytriton"
LIBRARIES = "nvidia_pytriton.libs"
STUB = "triton_python_backend_stub"
NOT_LOADED = re.compile(r"error while loading shared libraries|version \S+ not found")  # glibc's words
HOST = "127.0.0.1"
POLL = 0.02  # seconds between two looks at a server that starts
STOP = 20.0  # seconds that it has to stop: it finishes what it has accepted
SHOWN = 2000  # characters of its log that an error holds
ERROR = re.compile(r"E\d{4} |error: ")


@dataclass(frozen=True)
class Installation:
    """A Triton server with its Python backend.

    Attributes:
        program: the server.
        backends: the folder of its backends; the Python one lacks its interpreter's stub.
        stub: the stub for the running version of Python.
        library_path: folders in which the server's and the stub's libraries lie.
    """

    program: Path
    backends: Path
    stub: Path
    library_path: tuple[Path, ...]

    def environment(self) -> dict[str, str]:
        """This process's environment, with what the server and its stub need.

        The stub ignores PYTHONPATH and PYTHONHOME. It is the `python3` found first on PATH whose packages it sees.
        """
        libraries = [*map(str, self.library_path), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        path = [str(Path(sys.executable).parent), *filter(None, [os.environ.get("PATH")])]
        return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries), "PATH": os.pathsep.join(path)}

    def put_backends(self, folder: Path) -> Path:
        """Copy the backends into a new folder, the stub where the Python backend looks for it."""
        shutil.copytree(self.backends, folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(self.stub, folder / "python" / STUB)
        return folder


def find_tritonserver() -> Path | str:
    """The real server's program, or in one line why there is none that runs here."""
    found = installation()
    return found if isinstance(found, str) else found.program


@cache
def installation() -> Installation | str:
    """The server with its Python backend, or in one line why it cannot run here. The package is not imported."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return "nvidia-pytriton is not installed, which carries a tritonserver: pip install --no-deps nvidia-pytriton"
    package = Path(next(iter(spec.submodule_search_locations)))
    root, version = package / "tritonserver", f"{sys.version_info.major}.{sys.version_info.minor}"
    found = Installation(
        program=root / "bin" / "tritonserver",
        backends=root / "backends",
        stub=root / "python_backend_stubs" / version / STUB,
        library_path=(package.parent / LIBRARIES, *_folders_of_libpython()),
    )
    if not found.stub.is_file():
        return f"the installed nvidia-pytriton has no stub of its Python backend for Python {version}"
    return _load_failure(found, [str(found.program), "--help"]) or _load_failure(found, [str(found.stub)]) or found


def _folders_of_libpython() -> tuple[Path, ...]:
    """Where the running Python has its shared library, which the stub is linked with."""
    name = str(sysconfig.get_config_var("INSTSONAME"))
    folders = dict.fromkeys([Path(sys.base_prefix) / "lib", Path(str(sysconfig.get_config_var("LIBDIR")))])
    return tuple(folder for folder in folders if (folder / name).is_file())


def _load_failure(found: Installation, command: list[str]) -> str | None:
    """Why the system cannot load a program, in its own words, or None."""
    try:
        result = subprocess.run(command, env=found.environment(), capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{command[0]} does not run here: {error.strerror or error}"
    if not NOT_LOADED.search(result.stderr):
        return None  # both end with an exit code of 1 where they are not told what to do
    return f"{Path(command[0]).name} does not run here: {' '.join(result.stderr.split())}"


class TritonError(RuntimeError):
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


if __name__ == "__main__":
    with running(sys.argv[1]) as server:
        print(f"HTTP {server.http}, gRPC {server.grpc}; Ctrl-C ends it", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
