"""The machine that figures depend on: hardware, versions, clocks and load, before a measurement and after it.

Linux and NVIDIA's management library (NVML) tell it; what a machine does not tell is None.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

from ganport_runtime import __version__
from ganport_runtime.backends import all_packages
from ganport_runtime.machine import Host, installed_version, this_host

Lost = Mapping[str, float | None]

BUSY = 0.7  # load average of one minute before the first measurement
ROOT = Path("/")
CPUS = "sys/devices/system/cpu"
CPU_STATS = ("sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/cpu/cpu.stat")  # of either generation of control groups
STOLEN = 8  # the word of /proc/stat's line `cpu`
NO_NVML = "nvidia-ml-py is not installed, so nothing is known of clocks, power and throttling"
REASONS = {  # bits, by NVML's `nvmlClocksEventReason...`
    0x1: "idle", 0x2: "clocks set by an application", 0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost",
    0x20: "heat, by software", 0x40: "heat, by hardware", 0x80: "power brake", 0x100: "display clocks",
}  # fmt: skip
POLICIES = {"power": 0, "heat": 1, "sync_boost": 2, "board_limit": 3, "reliability": 5}  # NVML_PERF_POLICY_...
PACKAGES = (  # beside those of the backends
    "numpy", "torch", "triton", "onnx", "nvidia-cuda-runtime", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "nvidia-ml-py",
    "mlcommons-loadgen", "granian", "msgspec", "uvloop", "grpcio", "litserve", "tritonclient", "nvidia-pytriton",
)  # fmt: skip


def versions() -> dict[str, str | None]:
    """The version of each package that figures depend on, or None where it is not installed; none is imported."""
    names = [*PACKAGES, *(package.name for package in all_packages())]
    return {"ganport": __version__, **{name: installed_version(name) for name in names}}


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
    pairs = {name: (value, after.get(name)) for name, value in before.items()}
    return {
        name: None if first is None or last is None else round(last - first, 3) for name, (first, last) in pairs.items()
    }


def _fields(path: Path, name: str) -> list[float]:
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


@dataclass(frozen=True)
class GpuState:
    """One GPU at one moment."""

    fixed: Mapping[str, Any]  # what does not change: name, driver, the CUDA version that it supports, memory, limits
    # clocks, power, temperature, use and what holds it back, just now; empty without NVML
    state: Mapping[str, Any]
    throttled: Lost  # seconds since the driver was loaded, by reason; None where the GPU does not count it

    def to_json(self) -> dict[str, Any]:
        """Its part of the document before a measurement."""
        return {**self.fixed, "before": dict(self.state)}


def _look(host: Host) -> tuple[tuple[GpuState, ...], str]:
    """Every GPU, and why there is none or why little is known of them; empty where all went well."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        return _of_host(host), NO_NVML if host.gpus else host.gpu_note
    try:
        pynvml.nvmlInit()
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            return tuple(_gpu(pynvml, handle) for handle in handles), "" if handles else host.gpu_note
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        is_bare = not host.gpus and isinstance(error, pynvml.NVMLError_LibraryNotFound)
        return _of_host(host), host.gpu_note if is_bare else f"NVML failed: {error}"


def _compared(before: Sequence[GpuState], after: Sequence[GpuState]) -> list[dict[str, Any]]:
    """Each GPU with its state before and after, and the seconds for which it was held back in between."""
    none = GpuState({}, {}, {})
    seen = [(gpu, after[index] if index < len(after) else none) for index, gpu in enumerate(before)]
    return [
        {**gpu.to_json(), "after": dict(then.state), "throttled_seconds": since(gpu.throttled, then.throttled)}
        for gpu, then in seen
    ]


def _of_host(host: Host) -> tuple[GpuState, ...]:
    return tuple(
        GpuState({"name": gpu.name, "driver": gpu.driver,
                  "memory_bytes": None if gpu.memory_mib is None else gpu.memory_mib * 2**20,
                  "compute_capability": gpu.compute_capability}, {}, {})
        for gpu in host.gpus
    )  # fmt: skip


def _gpu(nvml: ModuleType, handle: object) -> GpuState:
    def ask(function: str, *arguments: object) -> Any:
        """What a function says, or None where this driver or GPU has no such thing."""
        try:
            return getattr(nvml, function)(*arguments)
        except nvml.NVMLError:
            return None

    def clocks(function: str) -> dict[str, int | None]:
        return {"sm": ask(function, handle, nvml.NVML_CLOCK_SM), "memory": ask(function, handle, nvml.NVML_CLOCK_MEM)}

    def watts(function: str) -> float | None:
        milliwatts = ask(function, handle)
        return None if milliwatts is None else milliwatts / 1000

    cuda, capability = ask("nvmlSystemGetCudaDriverVersion"), ask("nvmlDeviceGetCudaComputeCapability", handle)
    memory, used = ask("nvmlDeviceGetMemoryInfo", handle), ask("nvmlDeviceGetUtilizationRates", handle)
    bits = ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    held = {name: ask("nvmlDeviceGetViolationStatus", handle, policy) for name, policy in POLICIES.items()}
    fixed = {
        "name": ask("nvmlDeviceGetName", handle),
        "driver": ask("nvmlSystemGetDriverVersion"),
        "cuda": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        "memory_bytes": None if memory is None else int(memory.total),
        "compute_capability": None if capability is None else ".".join(map(str, capability)),
        "max_clock_mhz": clocks("nvmlDeviceGetMaxClockInfo"),
        "power_limit_watts": watts("nvmlDeviceGetEnforcedPowerLimit"),
    }
    state = {
        "clock_mhz": clocks("nvmlDeviceGetClockInfo"),
        "power_watts": watts("nvmlDeviceGetPowerUsage"),
        "temperature_celsius": ask("nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU),
        "throttle_reasons": None if bits is None else [name for bit, name in REASONS.items() if bits & bit],
        "memory_used_bytes": None if memory is None else int(memory.used),
        "busy_percent": None if used is None else used.gpu,
    }
    return GpuState(
        fixed, state, {name: None if one is None else one.violationTime / 1e9 for name, one in held.items()}
    )


class Watch:
    """The machine around a measurement: made before anything else happens, `finished` when it is over."""

    def __init__(self) -> None:
        load = _load()  # first: asking for GPUs would add to it
        host = this_host()
        self._gpus, note = _look(host)
        self._lost = lost()
        self.facts: Mapping[str, Any] = {
            "cpu": host.cpu,
            "cores": host.cores,
            "cpu_quota": host.cpu_quota,
            "governor": governor(),
            "clock_mhz": clock_mhz(),
            "load_average_1min": load,
            "memory_bytes": host.memory_bytes,
            "system": host.system,
            "python": platform.python_version(),
            "packages": versions(),
            "gpus": [gpu.to_json() for gpu in self._gpus],
            "gpu_note": note,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def finished(self) -> dict[str, Any]:
        """The facts, with load and clocks as they are now, and what was taken from processor and GPUs since then.

        `lost`: seconds that other machines took from this processor, for which a container's limit halted it, and how
        often it slowed down for heat. Each GPU has its state `after`, and in `throttled_seconds` how long it was held
        back since, by reason.
        """
        looked, note = _look(this_host())
        after = {
            "load_average_1min_after": _load(),
            "clock_mhz_after": clock_mhz()["current"],
            "lost": since(self._lost, lost()),
        }
        notes = {"gpu_note": self.facts["gpu_note"] or note}
        return {**self.facts, **after, **notes, "gpus": _compared(self._gpus, looked)}


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def footer(machine: Mapping[str, Any], remarks: Sequence[str], seconds: float) -> str:
    """The lines below all tables: remarks, what the figures depend on, how long it took."""
    lines = [*remarks, *busy(machine)]
    packages = ", ".join(f"{name} {known}" for name, known in machine["packages"].items() if known)
    lines.append(f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, {packages}; {seconds:.0f} s")
    return "\n".join(lines)


def busy(machine: Mapping[str, Any]) -> list[str]:
    """A line where other programs were running before the measurement."""
    load = machine.get("load_average_1min")
    return [f"The machine was busy before (load {load:.1f}): expect noise."] if load and load > BUSY else []
