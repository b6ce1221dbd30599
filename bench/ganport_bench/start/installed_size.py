"""Bytes that installed packages take: each by its installer's own list of files, and with all that it requires."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ganport_bench.start.quantity import Quantity

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["REQUIRED", "closure", "installed_bytes", "installed_quantities"]

OURS = "ganport"
ENGINES: Mapping[str, Sequence[str]] = {  # distributions that a backend is, as ganport's extras ask for them
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu[cuda,cudnn]"),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt-rtx", "tensorrt"),
}
BESIDE: Mapping[str, Sequence[str]] = {"tensorrt": ("cuda-bindings",)}
CONTRAST = "torch"
REQUIRED, ALONE = "with all that it requires", "by itself"
PACKAGES = tuple(f"ganport_{part}" for part in ("runtime", "serve", "bench", "cli", "train", "export"))


def installed_quantities() -> Iterator[Quantity]:
    """What a program that generates needs with each engine, PyTorch for contrast, then every package of these."""
    sums = {
        f"{OURS} with {backend}": (OURS, *_present(names), *_present(BESIDE.get(backend, ())))
        for backend, names in ENGINES.items()
        if _present(names)
    }
    contrast = {f"{CONTRAST}, for contrast": (CONTRAST,)} if _present((CONTRAST,)) else {}
    found = {name: closure(*roots) for name, roots in {**sums, **contrast}.items()}
    packages = {name: installed_bytes(name) for name in sorted({one for names in found.values() for one in names})}
    for title, names in found.items():
        total = sum(packages[name] for name in names)
        yield Quantity.of_bytes("installed", title, REQUIRED, total, note=", ".join(names))
    for name, size in packages.items():
        yield Quantity.of_bytes("installed", name, ALONE, size)


def closure(*roots: str) -> tuple[str, ...]:
    """Installed distributions: these, and what they require with the extras that are asked for, and so on."""
    from packaging.requirements import Requirement  # here: the other parts of the benchmark need none

    found: dict[str, set[str]] = {}  # with which extras
    waiting = [Requirement(root) for root in roots]
    while waiting:
        wanted = waiting.pop(0)
        name, extras = _normal(wanted.name), {"", *wanted.extras}
        here = _distribution(name)
        if here is None or (name in found and extras <= found[name]):
            continue
        found.setdefault(name, set()).update(extras)
        waiting += _required(here, extras)
    return tuple(found)


def installed_bytes(name: str) -> int:
    """Bytes of the files that a distribution's installer has listed, which include byte code where it made any.

    Of an editable installation, whose list holds hardly anything: the files of ganport's packages, without byte code.
    """
    here = distribution(name)
    listed = [Path(str(file.locate())) for file in here.files or ()]
    files = {path for path in (*listed, *_edited(here)) if path.is_file()}
    return sum(path.stat().st_size for path in files)


def _required(here: Distribution, extras: set[str]) -> "Iterator[Requirement]":
    from packaging.requirements import Requirement

    for line in here.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


def _edited(here: Distribution) -> Iterator[Path]:
    origin = json.loads(here.read_text("direct_url.json") or "{}")
    if _normal(here.name) != OURS or not origin.get("dir_info", {}).get("editable"):
        return
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield from (path for path in Path(folder).rglob("*") if "__pycache__" not in path.parts)


def _present(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if _distribution(name.partition("[")[0]) is not None)


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _normal(name: str) -> str:
    """As the index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
