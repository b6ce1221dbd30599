"""Bytes that installed packages take: by their installer's own lists of files, with all that they require."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

from ganport_runtime.machine import installed_version

OURS = "ganport"
PACKAGES = tuple(f"ganport_{part}" for part in ("runtime", "serve", "bench", "cli", "train", "export", "evaluate"))


def closure(*roots: str) -> tuple[str, ...]:
    """Installed distributions: these, and what they require with the extras that are asked for, and so on."""
    from packaging.requirements import Requirement  # here: the other parts of the benchmark need none

    found: dict[str, set[str]] = {}  # with which extras
    waiting = [Requirement(root) for root in roots]
    while waiting:
        wanted = waiting.pop(0)
        name, extras = _normal(wanted.name), {"", *wanted.extras}
        if installed_version(name) is None or extras <= found.get(name, set()):
            continue
        found.setdefault(name, set()).update(extras)
        required = map(Requirement, distribution(name).requires or ())
        waiting += [
            one for one in required if not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return tuple(found)


def installed_bytes(name: str) -> int:
    """Bytes of the files that a distribution's installer has listed, which include byte code where it made any.

    Of an editable installation, whose list holds hardly anything: the files of ganport's packages, without byte code.
    """
    here = distribution(name)
    listed = [Path(str(file.locate())) for file in here.files or ()]
    files = {path for path in (*listed, *_edited(here)) if path.is_file()}
    return sum(path.stat().st_size for path in files)


def _edited(here: Distribution) -> Iterator[Path]:
    origin = json.loads(here.read_text("direct_url.json") or "{}")
    if _normal(here.name) != OURS or not origin.get("dir_info", {}).get("editable"):
        return
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield from (path for path in Path(folder).rglob("*") if "__pycache__" not in path.parts)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
