"""Bytes that installed packages take: each by its installer's own list of files, and with all that it requires."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from ganport_bench.start.quantity import Quantity

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
    found: dict[str, set[str]] = {}  # with which extras
    waiting = list(roots)
    while waiting:
        name, extras = _asked(waiting.pop(0))
        here = _distribution(name)
        if here is None or (name in found and extras <= found[name]):
            continue
        found.setdefault(name, set()).update(extras)
        waiting += _required(here, extras)
    return tuple(found)


def _asked(line: str) -> tuple[str, set[str]]:
    """The name in a requirement, and its extras, the empty one among them."""
    from packaging.requirements import Requirement  # here: the other parts of the benchmark need none

    requirement = Requirement(line)
    return _normal(requirement.name), {"", *requirement.extras}


def installed_bytes(name: str) -> int:
    """Bytes of the files that a distribution's installer has listed, which include byte code where it made any.

    Of an editable installation, whose list holds hardly anything: the files of ganport's packages, without byte code.
    """
    here = distribution(name)
    listed = [Path(str(file.locate())) for file in here.files or ()]
    files = {path for path in (*listed, *_edited(here)) if path.is_file()}
    return sum(path.stat().st_size for path in files)


def _required(here: Distribution, extras: set[str]) -> Iterator[str]:
    from packaging.requirements import Requirement

    for line in here.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            yield (
                f"{requirement.name}[{','.join(sorted(requirement.extras))}]"
                if requirement.extras
                else requirement.name
            )


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
