"""How much the last caches of the cores hold that this process may use, as Linux tells; None where nothing does."""

import os
from pathlib import Path

__all__ = ["last_cache_bytes"]

ROOT = Path("/")
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def last_cache_bytes(root: Path = ROOT) -> int | None:
    """All last-level caches of these cores together, each once however many cores share it."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    folders = [root / f"sys/devices/system/cpu/cpu{core}/cache" for core in os.sched_getaffinity(0)]
    last = {_last(folder) for folder in folders}
    sizes = [size for size, _cores in last - {None}]  # type: ignore[misc]
    return sum(sizes) or None


def _last(folder: Path) -> tuple[int, str] | None:
    """The size of a core's last cache for data, and the cores that share it."""
    data = [index for index in folder.glob("index*") if _text(index / "type") in ("Data", "Unified")]
    last = max(data, key=lambda index: int(_text(index / "level") or 0), default=None)
    if last is None or not (size := _text(last / "size")):
        return None
    return int(size[:-1]) * UNITS[size[-1]], _text(last / "shared_cpu_list")


def _text(path: Path) -> str:
    return path.read_text("utf-8").strip() if path.exists() else ""
