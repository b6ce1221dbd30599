"""What this machine is: processor, cores, memory, NVIDIA GPUs, installed engines; and the user's cache folder.

Imports no GPU library.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CPU_INFO = Path("/proc/cpuinfo")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
GPU_QUERY = "name,driver_version,memory.total,compute_cap"
GPU_SECONDS = 20  # a driver that wakes its GPU up takes seconds
NVIDIA = Path("/proc/driver/nvidia")  # what the kernel module says, without waking a GPU up


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


@dataclass(frozen=True)
class NvidiaGpu:
    """One NVIDIA GPU as its driver describes it."""

    name: str
    driver: str
    memory_mib: int | None
    compute_capability: str


@dataclass(frozen=True)
class Host:
    """The machine as `ganport doctor` shows it."""

    system: str
    cpu: str
    cores: int  # that this process may use
    cpu_quota: float | None  # processors' worth of time that a container grants; None: no limit
    memory_bytes: int | None  # or the container's limit where that is less; None where it cannot be told
    gpus: tuple[NvidiaGpu, ...]
    gpu_note: str  # why there are no GPUs, or empty


def this_host() -> Host:
    """Look at the machine; with an NVIDIA driver this asks it, which can take seconds."""
    gpus, gpu_note = _gpus()
    return Host(platform.platform(), cpu_model(), usable_cores(), cpu_quota(), memory_bytes(), gpus, gpu_note)


def parse_gpus(lines: Iterable[str]) -> tuple[NvidiaGpu, ...]:
    """The GPUs in what `nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap` prints as CSV."""
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
    return tuple(
        NvidiaGpu(name, driver, int(memory) if memory.isdigit() else None, capability)
        for name, driver, memory, capability in rows
    )


def _gpus() -> tuple[tuple[NvidiaGpu, ...], str]:
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


def facts() -> dict[str, Any]:
    """Processor, usable cores, GPUs and their driver."""
    return {**processor(), "gpus": list(gpus())}


def processor() -> dict[str, Any]:
    """Processor and usable cores."""
    return {"cpu": _cpu_model(), "cores": usable_cores(), "cpu_quota": cpu_quota()}


@cache
def installed_version(package: str) -> str | None:
    """The version of an installed distribution, which is not imported, or None."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def gpus() -> tuple[str, ...]:
    """The NVIDIA GPUs and the driver's version, one text each; empty where there is no driver."""
    if (NVIDIA / "version").exists():
        files = sorted((NVIDIA / "gpus").glob("*/information"))
        models = [line for file in files for line in _lines(file) if line.startswith("Model:")]
        return (*(" ".join(model.split()[1:]) for model in models), _lines(NVIDIA / "version")[0])
    if shutil.which("nvidia-smi") is None:
        return ()
    return tuple(f"{gpu.name}, driver {gpu.driver}" for gpu in _gpus()[0])  # the kernel module is silent under WSL


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Every fact that differs, one text each, such as `cores is 2, it was 4`."""
    keys = dict.fromkeys((*before, *now))
    return tuple(
        f"{key} is {_shown(now.get(key))}, it was {_shown(before.get(key))}"
        for key in keys
        if before.get(key) != now.get(key)
    )


def _shown(value: object) -> str:
    if value is None:
        return "not there"
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


@cache
def _cpu_model() -> str:
    return cpu_model()


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() or [""]


def cache_folder() -> Path:
    """`$GANPORT_CACHE`, or else `ganport` in `$XDG_CACHE_HOME` or `~/.cache`; OSError without a home directory."""
    own = os.environ.get("GANPORT_CACHE")
    if own:
        return Path(own)
    common = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        # The XDG specification: a path that is not absolute is to be ignored.
        return (common if common.is_absolute() else Path.home() / ".cache") / "ganport"
    except RuntimeError as error:
        raise OSError("no home directory; set GANPORT_CACHE to a folder") from error
