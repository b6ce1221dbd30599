"""NVIDIA GPUs as the driver's management library (NVML) sees them: clocks, power, heat, and what holds them back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ganport_runtime.host import Host

__all__ = ["Gpu", "compared", "look"]

NO_NVML = "nvidia-ml-py is not installed, so nothing is known of clocks, power and throttling"
REASONS = {  # bits, by NVML's `nvmlClocksEventReason...`
    0x1: "idle",
    0x2: "clocks set by an application",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat, by software",
    0x40: "heat, by hardware",
    0x80: "power brake",
    0x100: "display clocks",
}
POLICIES = {"power": 0, "heat": 1, "sync_boost": 2, "board_limit": 3, "reliability": 5}  # NVML_PERF_POLICY_...


@dataclass(frozen=True)
class Gpu:
    """One GPU at one moment.

    Attributes:
        fixed: what does not change: name, driver, the CUDA version that it supports, memory, limits.
        state: clocks, power, temperature, use and what holds it back, just now; empty without NVML.
        throttled_ns: since the driver was loaded, by reason; None where the GPU does not count it.
    """

    fixed: Mapping[str, Any]
    state: Mapping[str, Any]
    throttled_ns: Mapping[str, int | None]

    def to_json(self) -> dict[str, Any]:
        """Its part of the document before a measurement."""
        return {**self.fixed, "before": dict(self.state)}


def look(host: Host) -> tuple[tuple[Gpu, ...], str]:
    """Every GPU, and why there is none or why little is known of them; empty where all went well."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        return _of_host(host), NO_NVML if host.gpus else host.gpu_note
    try:
        with _library(pynvml) as nvml:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            return tuple(_gpu(nvml, handle) for handle in handles), "" if handles else host.gpu_note
    except pynvml.NVMLError as error:
        is_bare = not host.gpus and isinstance(error, pynvml.NVMLError_LibraryNotFound)
        return _of_host(host), host.gpu_note if is_bare else f"NVML failed: {error}"


def compared(before: Sequence[Gpu], after: Sequence[Gpu]) -> list[dict[str, Any]]:
    """Each GPU with its state before and after, and the seconds for which it was held back in between."""
    seen = [(gpu, after[index] if index < len(after) else None) for index, gpu in enumerate(before)]
    return [
        {
            **gpu.to_json(),
            "after": dict(then.state) if then else {},
            "throttled_seconds": _seconds(gpu.throttled_ns, then.throttled_ns if then else {}),
        }
        for gpu, then in seen
    ]


def _seconds(before: Mapping[str, int | None], after: Mapping[str, int | None]) -> dict[str, float | None]:
    pairs = {name: (begun, after.get(name)) for name, begun in before.items()}
    return {
        name: None if begun is None or ended is None else round((ended - begun) / 1e9, 3)
        for name, (begun, ended) in pairs.items()
    }


@contextmanager
def _library(nvml: ModuleType) -> Iterator[ModuleType]:
    nvml.nvmlInit()
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def _of_host(host: Host) -> tuple[Gpu, ...]:
    """What `nvidia-smi` told."""
    return tuple(
        Gpu(
            {
                "name": gpu.name,
                "driver": gpu.driver,
                "memory_bytes": None if gpu.memory_mib is None else gpu.memory_mib * 2**20,
                "compute_capability": gpu.compute_capability,
            },
            {},
            {},
        )
        for gpu in host.gpus
    )


def _gpu(nvml: ModuleType, handle: object) -> Gpu:
    def ask(function: str, *arguments: object) -> Any:
        """What a function says of this GPU, or None where this GPU has no such thing."""
        return _known(nvml, lambda: getattr(nvml, function)(handle, *arguments))

    return Gpu(_fixed(nvml, ask), _state(nvml, ask), _throttled_ns(ask))


def _known(nvml: ModuleType, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except nvml.NVMLError:
        return None


Ask = Callable[..., Any]


def _fixed(nvml: ModuleType, ask: Ask) -> dict[str, Any]:
    cuda, capability = _known(nvml, nvml.nvmlSystemGetCudaDriverVersion), ask("nvmlDeviceGetCudaComputeCapability")
    memory = ask("nvmlDeviceGetMemoryInfo")
    return {
        "name": ask("nvmlDeviceGetName"),
        "driver": _known(nvml, nvml.nvmlSystemGetDriverVersion),
        "cuda": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        "memory_bytes": None if memory is None else int(memory.total),
        "compute_capability": None if capability is None else ".".join(map(str, capability)),
        "max_clock_mhz": _clocks(nvml, ask, "nvmlDeviceGetMaxClockInfo"),
        "power_limit_watts": _watts(ask("nvmlDeviceGetEnforcedPowerLimit")),
    }


def _state(nvml: ModuleType, ask: Ask) -> dict[str, Any]:
    memory, used = ask("nvmlDeviceGetMemoryInfo"), ask("nvmlDeviceGetUtilizationRates")
    bits = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
    return {
        "clock_mhz": _clocks(nvml, ask, "nvmlDeviceGetClockInfo"),
        "power_watts": _watts(ask("nvmlDeviceGetPowerUsage")),
        "temperature_celsius": ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
        "throttle_reasons": None if bits is None else [name for bit, name in REASONS.items() if bits & bit],
        "memory_used_bytes": None if memory is None else int(memory.used),
        "busy_percent": None if used is None else used.gpu,
    }


def _throttled_ns(ask: Ask) -> dict[str, int | None]:
    found = {name: ask("nvmlDeviceGetViolationStatus", policy) for name, policy in POLICIES.items()}
    return {name: None if status is None else int(status.violationTime) for name, status in found.items()}


def _clocks(nvml: ModuleType, ask: Ask, function: str) -> dict[str, int | None]:
    return {"sm": ask(function, nvml.NVML_CLOCK_SM), "memory": ask(function, nvml.NVML_CLOCK_MEM)}


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000
