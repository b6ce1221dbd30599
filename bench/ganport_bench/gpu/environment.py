"""Makes an environment for a GPU, apart from that of every other target, which has the onnxruntime of CPUs.

ganport's own folders are put on its path, so that nothing of it needs to be built.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from ganport_bench.gpu.failure import GpuError
from ganport_bench.gpu.requirements import name_of
from ganport_bench.gpu.source import Source

__all__ = ["FOLDER", "make_environment"]

FOLDER = ".venv-gpu"
MADE_OF = "made-of.txt"  # written last: an environment without it was not finished
PARTS = ("train", "export", "runtime", "serve", "bench", "cli")
PROGRAM = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"


def make_environment(root: Path, source: Source) -> Path:
    """The environment's Python; it is made again only where the source, what is wanted or this Python have changed.

    Args:
        root: ganport's source tree.
        source: of its packages.

    Raises:
        GpuError: what is needed cannot be installed; pip has said why.
    """
    folder, made_of = root / FOLDER, _made_of(source)
    python, stamp = folder / PROGRAM, folder / MADE_OF
    if stamp.is_file() and stamp.read_text("utf-8") == made_of:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    print(f"Making {FOLDER} of {source.title}", file=sys.stderr)
    try:
        venv.create(folder, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise GpuError(f"{sys.executable} makes no environment with pip (python3-venv on Debian): {error}") from error
    if not _install(python, source, *source.wanted.needed):
        raise GpuError(
            f"pip could not install what is needed from {source.title}; its words are above; "
            "without an index: make gpu WHEELS=folder"
        )
    for line in source.wanted.welcome:  # one by one, as what does not fit this machine must not keep the others away
        if not _install(python, source, line):
            print(f"{name_of(line)} is left out: pip could not install it; its words are above", file=sys.stderr)
    _add_parts(python, root)
    stamp.write_text(made_of, "utf-8")
    return python


def _made_of(source: Source) -> str:
    return "\n".join([sys.version, *source.wanted.needed, *source.wanted.welcome, *source.facts])


def _install(python: Path, source: Source, *lines: str) -> bool:
    how = ("install", "--quiet", "--disable-pip-version-check", *source.options)
    command: list[str | Path] = [python, "-m", "pip", *how, *lines]
    return subprocess.run(command, check=False).returncode == 0


def _add_parts(python: Path, root: Path) -> None:
    """What an editable installation would do: name the folders of the packages in a .pth file."""
    ask: list[str | Path] = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    (packages / "ganport.pth").write_text("".join(f"{root / part}\n" for part in PARTS), "utf-8")
