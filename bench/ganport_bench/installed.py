"""Bytes that installed packages take: by their installer's own lists of files, with all that they require."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OURS = "ganport"
PACKAGES = tuple(f"ganport_{part}" for part in ("runtime", "serve", "bench", "cli", "train", "export", "evaluate"))


def is_installed(name: str) -> bool:
    """Whether a distribution is here."""
    return _distribution(name) is not None


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


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _normal(name: str) -> str:
    """As the index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
