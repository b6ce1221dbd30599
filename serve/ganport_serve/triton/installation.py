"""Finds the real Triton server that the package nvidia-pytriton carries, and makes it runnable on this machine."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Installation", "find_tritonserver", "installation"]

PACKAGE = "pytriton"
LIBRARIES = "nvidia_pytriton.libs"
STUB = "triton_python_backend_stub"
NOT_LOADED = re.compile(r"error while loading shared libraries|version \S+ not found")  # glibc's words


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
