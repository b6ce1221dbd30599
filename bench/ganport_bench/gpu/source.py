"""Where the packages of an environment come from: wheels in a folder, or an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganport_bench.gpu.failure import GpuError
from ganport_bench.gpu.requirements import Requirements, name_of, requirements, wheels_in

__all__ = ["Source", "index", "wheels"]


@dataclass(frozen=True)
class Source:
    """What pip is asked for, and where it looks.

    Attributes:
        title: in words.
        wanted: what is installed.
        options: pip's.
        facts: an environment is made again where one of them has changed.
    """

    title: str
    wanted: Requirements
    options: Sequence[str | Path]
    facts: Sequence[str]


def wheels(root: Path, folder: Path) -> Source:
    """Wheels alone. Nothing is built, for a build would want its own tools among them.

    Args:
        root: ganport's source tree.
        folder: with the wheels.

    Raises:
        GpuError: wheels that are needed are missing.
    """
    names = wheels_in(folder)
    wanted = requirements(root / "pyproject.toml").served_by(names)
    missing = [line for line in wanted.needed if name_of(line) not in names]
    if missing:
        raise GpuError(
            f"{folder} lacks wheels of {', '.join(map(name_of, missing))}; "
            "fill it on a machine with an index, as docs/gpu-results.md shows"
        )
    # Isolated: an index or a folder in pip's own settings would be asked too.
    options = ("--isolated", "--no-index", "--only-binary", ":all:", "--find-links", folder)
    files = sorted(wheel.name for wheel in folder.glob("*.whl"))
    return Source(f"{len(names)} packages in {folder}", wanted, options, files)


def index(root: Path) -> Source:
    """The index that pip's settings name, at the versions of constraints.txt.

    Args:
        root: ganport's source tree.
    """
    constraints = root / "constraints.txt"
    wanted = requirements(root / "pyproject.toml")
    return Source("packages of an index", wanted, ("-c", constraints), [constraints.read_text("utf-8")])
