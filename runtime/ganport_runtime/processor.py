"""The processor in plain facts that are cheap to find out: its name, and how much of it this process may use."""

import os
import platform
from pathlib import Path

__all__ = ["cpu_model", "cpu_quota", "usable_cores"]

CPU_INFO = Path("/proc/cpuinfo")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cpu_model(cpu_info: Path = CPU_INFO) -> str:
    """The processor's name as the system gives it."""
    if cpu_info.exists():
        with cpu_info.open(encoding="utf-8") as lines:  # a kilobyte a core, of which the first will do
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota() -> float | None:
    """Processors' worth of time that a container grants, or None without a limit."""
    words = CPU_QUOTA.read_text(encoding="utf-8").split() if CPU_QUOTA.exists() else []
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0].isdigit() else None
