"""What Linux tells of a processor's clock and of time that was taken from it; None where a machine does not tell."""

import os
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

__all__ = ["Lost", "clock_mhz", "governor", "lost", "since"]

Lost = Mapping[str, float | None]

ROOT = Path("/")
CPUS = "sys/devices/system/cpu"
CPU_STATS = ("sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/cpu/cpu.stat")  # of either generation of control groups
STOLEN = 8  # the word of /proc/stat's line `cpu`


def governor(root: Path = ROOT) -> str | None:
    """What chooses the clock, such as `performance`; several where cores differ."""
    found = {path.read_text("utf-8").strip() for path in root.glob(f"{CPUS}/cpu[0-9]*/cpufreq/scaling_governor")}
    return ", ".join(sorted(found)) or None


def clock_mhz(root: Path = ROOT) -> dict[str, float | None]:
    """The mean clock of all cores just now, and the highest that any may have."""
    highest = [int(path.read_text("utf-8")) for path in root.glob(f"{CPUS}/cpu[0-9]*/cpufreq/cpuinfo_max_freq")]
    now = _fields(root / "proc/cpuinfo", "cpu MHz")
    return {"current": round(mean(now), 1) if now else None, "max": max(highest) / 1000 if highest else None}


def lost(root: Path = ROOT) -> Lost:
    """Since the start: seconds stolen by other machines, seconds halted by a quota, slowings down for heat."""
    return {
        "stolen_seconds": _stolen_seconds(root / "proc/stat"),
        "halted_seconds": _halted_seconds([root / path for path in CPU_STATS]),
        "thermal_events": _thermal_events(root),
    }


def since(before: Lost, after: Lost) -> dict[str, float | None]:
    """What was lost between two looks."""
    return {name: _difference(before[name], value) for name, value in after.items()}


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else round(after - before, 3)


def _fields(path: Path, name: str) -> list[float]:
    """The numbers of every line `name : number`."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    pairs = [line.partition(":") for line in lines]
    return [float(value) for key, _, value in pairs if key.strip() == name]


def _stolen_seconds(stat: Path) -> float | None:
    words = stat.read_text("utf-8").partition("\n")[0].split() if stat.exists() else []
    return int(words[STOLEN]) / os.sysconf("SC_CLK_TCK") if len(words) > STOLEN else None


def _halted_seconds(stats: list[Path]) -> float | None:
    for path in stats:
        if path.exists():
            values = dict(line.split() for line in path.read_text("utf-8").splitlines())
            if "throttled_usec" in values:
                return int(values["throttled_usec"]) / 1e6
            if "throttled_time" in values:
                return int(values["throttled_time"]) / 1e9
    return None


def _thermal_events(root: Path) -> int | None:
    """Of cores, each counted once: its other threads, and its package on every one of them, tell the same again."""
    counts: dict[str, int] = {}
    for path in root.glob(f"{CPUS}/cpu[0-9]*/thermal_throttle/core_throttle_count"):
        core = path.parent.parent / "topology" / "core_cpus_list"
        name = core.read_text("utf-8").strip() if core.exists() else path.parent.parent.name
        counts[name] = max(int(path.read_text("utf-8")), counts.get(name, 0))
    return sum(counts.values()) if counts else None
