"""Makes an environment of wheels in a folder, with no index, and puts ganport's own folders on its path.

Nothing is built: a build would want its own tools among the wheels.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from ganport_bench.gpu.failure import GpuError
from ganport_bench.gpu.requirements import name_of, requirements, wheels_in

__all__ = ["FOLDER", "make_environment"]

FOLDER = ".venv-gpu"
MADE_OF = "made-of.txt"  # written last: an environment without it was not finished
PARTS = ("train", "export", "runtime", "serve", "bench", "cli")
PROGRAM = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"


def make_environment(root: Path, wheels: Path) -> Path:
    """The environment's Python; it is made again only where the wheels or this Python have changed.

    Args:
        root: ganport's source tree.
        wheels: the folder.

    Raises:
        GpuError: wheels that are needed are missing, or do not fit this Python; pip has said why.
    """
    names, wanted = wheels_in(wheels), requirements(root / "pyproject.toml").served_by(wheels_in(wheels))
    missing = [line for line in wanted.needed if name_of(line) not in names]
    if missing:
        raise GpuError(
            f"{wheels} lacks wheels of {', '.join(map(name_of, missing))}; "
            "fill it on a machine with an index, as docs/gpu-results.md shows"
        )
    folder, made_of = root / FOLDER, _made_of(wheels)
    python, stamp = folder / PROGRAM, folder / MADE_OF
    if stamp.is_file() and stamp.read_text("utf-8") == made_of:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    print(f"Making {FOLDER} of {len(names)} packages in {wheels}", file=sys.stderr)
    try:
        venv.create(folder, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise GpuError(f"{sys.executable} makes no environment with pip (python3-venv on Debian): {error}") from error
    if not _install(python, wheels, *wanted.needed):
        raise GpuError(f"pip could not install what is needed from {wheels}; its words are above")
    for line in wanted.welcome:  # one by one, for what does not fit this machine must not keep the others away
        if not _install(python, wheels, line):
            print(f"{name_of(line)} is left out: pip could not install it; its words are above", file=sys.stderr)
    _add_parts(python, root)
    stamp.write_text(made_of, "utf-8")
    return python


def _made_of(wheels: Path) -> str:
    return "\n".join([sys.version, *sorted(wheel.name for wheel in wheels.glob("*.whl"))])


def _install(python: Path, wheels: Path, *lines: str) -> bool:
    # Isolated: an index or a folder in pip's own settings would be asked too.
    how = ("--isolated", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--only-binary", ":all:")
    command: list[str | Path] = [python, "-m", "pip", *how, "--find-links", wheels, *lines]
    return subprocess.run(command, check=False).returncode == 0


def _add_parts(python: Path, root: Path) -> None:
    """What an editable installation would do: name the folders of the packages in a .pth file."""
    ask: list[str | Path] = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    (packages / "ganport.pth").write_text("".join(f"{root / part}\n" for part in PARTS), "utf-8")
