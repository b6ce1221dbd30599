"""What this machine is: processor, cores, memory, NVIDIA GPUs and their driver. Imports no GPU library."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

from ganport_runtime.processor import cpu_model, cpu_quota, usable_cores

__all__ = ["Gpu", "Host", "cpu_model", "parse_gpus", "this_host"]

MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
GPU_QUERY = "name,driver_version,memory.total,compute_cap"
GPU_SECONDS = 20  # a driver that wakes its GPU up takes seconds


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU as its driver describes it."""

    name: str
    driver: str
    memory_mib: int | None
    compute_capability: str


@dataclass(frozen=True)
class Host:
    """The machine.

    Attributes:
        system: operating system and its version.
        cpu: the processor's name.
        cores: logical processors that this process may use.
        cpu_quota: processors' worth of time that a container grants, or None without a limit.
        memory_bytes: memory, or the container's limit where that is less; None where it cannot be told.
        gpus: the NVIDIA GPUs.
        gpu_note: why there are none, or empty.
    """

    system: str
    cpu: str
    cores: int
    cpu_quota: float | None
    memory_bytes: int | None
    gpus: tuple[Gpu, ...]
    gpu_note: str


def this_host() -> Host:
    """Look at the machine; with an NVIDIA driver this asks it, which can take seconds."""
    gpus, gpu_note = _gpus()
    return Host(platform.platform(), cpu_model(), usable_cores(), cpu_quota(), memory_bytes(), gpus, gpu_note)


def parse_gpus(lines: Iterable[str]) -> tuple[Gpu, ...]:
    """The GPUs in what `nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap` prints as CSV."""
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
    return tuple(
        Gpu(name, driver, int(memory) if memory.isdigit() else None, capability)
        for name, driver, memory, capability in rows
    )


def _gpus() -> tuple[tuple[Gpu, ...], str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        found = find_library("cuda")
        return (), f"the driver's {found} is there, its nvidia-smi is not" if found else "no NVIDIA driver"
    command = [program, f"--query-gpu={GPU_QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GPU_SECONDS, check=True)
        gpus = parse_gpus(done.stdout.splitlines())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return (), f"nvidia-smi failed: {error}"
    return gpus, "" if gpus else "an NVIDIA driver without a GPU"


def memory_bytes() -> int | None:
    """What this process may use: the computer's, or less where a container says so; None where nobody tells."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    limits = [path.read_text(encoding="utf-8").strip() for path in MEMORY_LIMITS if path.exists()]
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *(int(limit) for limit in limits if limit.isdigit())])
