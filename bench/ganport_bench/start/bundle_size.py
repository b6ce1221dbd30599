"""Bytes of a bundle by kind of file."""

from collections import Counter
from collections.abc import Iterator

from ganport_runtime import Bundle
from ganport_runtime.bundle import MANIFEST
from ganport_runtime.entries import Engine, Entry, Probe

from ganport_bench.start.quantity import Quantity

__all__ = ["bundle_quantities"]

PICTURES = "pictures for the eye"
SUFFIX = ".png"


def bundle_quantities(bundle: Bundle) -> Iterator[Quantity]:
    """Each kind of file, the largest first, then all together."""
    kinds = {entry.file: _kind(entry) for entry in bundle.files} | {MANIFEST: "manifest"}
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for path in sorted(path for path in bundle.path.rglob("*") if path.is_file()):
        kind = kinds.get(path.relative_to(bundle.path).as_posix()) or (PICTURES if path.suffix == SUFFIX else "other")
        sizes[kind] += path.stat().st_size
        counts[kind] += 1
    for kind, size in sizes.most_common():
        yield _quantity(kind, size, counts[kind])
    yield _quantity("all of it", sizes.total(), counts.total())


def _quantity(kind: str, size: int, files: int) -> Quantity:
    return Quantity.of_bytes("bundle", "bundle", kind, size, note=f"{files} file{'' if files == 1 else 's'}")


def _kind(entry: Entry | Probe) -> str:
    if isinstance(entry, Probe):
        return "probe"
    return "engines" if isinstance(entry, Engine) else f"{entry.role} graphs, {entry.precision}"
