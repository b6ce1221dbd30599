"""What an environment for a GPU is made of, by pyproject.toml: what is needed, and what is welcome where it is."""

import re
import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Requirements", "name_of", "requirements", "wheels_in"]

NEEDED = ("gpu", "train", "optimize", "cli")  # extras without which there are no tests and no benchmark
WELCOME = ("bench", "features", "rtx", "tensorrt", "openvino", "serve")
TESTING = ("pytest", "hypothesis")  # of `dev`; pytest's settings name hypothesis
CUDNN = "nvidia-cudnn-"  # what its wheels begin with, whichever CUDA they are of
ON_GPU, ON_CPU = "onnxruntime-gpu", "onnxruntime"  # either breaks the other


@dataclass(frozen=True)
class Requirements:
    """Lines as pip takes them, each package once.

    Attributes:
        needed: without them nothing runs.
        welcome: each adds peers, plans or parts.
    """

    needed: Sequence[str]
    welcome: Sequence[str]

    def served_by(self, wheels: Iterable[str]) -> "Requirements":
        """What a folder with wheels of these packages can give."""
        there = set(wheels)
        needed = [_served(line, there) for line in self.needed]
        return Requirements(needed, [line for line in self.welcome if name_of(line) in there])


def _served(line: str, there: Collection[str]) -> str:
    """ONNX Runtime for CPUs where there is none for a GPU; and CUDA of the system where the folder has none."""
    if name_of(line) != ON_GPU:
        return line
    if ON_GPU not in there and ON_CPU in there:
        return ON_CPU
    return line if any(name.startswith(CUDNN) for name in there) else re.sub(r"\[.*?\]", "", line)


def requirements(pyproject: Path) -> Requirements:
    """Of the extras above, without what is ganport's own."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    testing = [line for line in extras["dev"] if name_of(line) in TESTING]
    needed = _once([*project["dependencies"], *(line for extra in NEEDED for line in extras[extra]), *testing], but=())
    welcome = _once([line for extra in WELCOME for line in extras[extra]], but=map(name_of, needed))
    return Requirements(needed, welcome)


def wheels_in(folder: Path) -> list[str]:
    """The names of the packages that have a wheel there."""
    return sorted({_normal(wheel.name.split("-")[0]) for wheel in folder.glob("*.whl")})


def name_of(line: str) -> str:
    """The package that a requirement is about."""
    found = re.match(r"[\w.-]+", line)
    return _normal(found[0]) if found else ""


def _once(lines: Iterable[str], but: Iterable[str]) -> list[str]:
    """The first line of each package."""
    seen, kept = {"ganport", ON_CPU, *but}, []
    for line in lines:
        if name_of(line) not in seen:
            seen.add(name_of(line))
            kept.append(line)
    return kept


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
