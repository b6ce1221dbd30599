"""What a measurement on this machine depends on, found out in a millisecond or two, and what of it has changed."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ganport_runtime.processor import cpu_model, cpu_quota, usable_cores

__all__ = ["PACKAGES", "changes", "engines", "gpus", "machine", "processor"]

PACKAGES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-rtx")
NVIDIA = Path("/proc/driver/nvidia")  # what the kernel module says, without waking a GPU up


def machine() -> dict[str, Any]:
    """Processor, usable cores, GPUs and their driver."""
    return {**processor(), "gpus": list(gpus())}


def processor() -> dict[str, Any]:
    """Processor and usable cores."""
    return {"cpu": _cpu_model(), "cores": usable_cores(), "cpu_quota": cpu_quota()}


def engines() -> dict[str, str]:
    """The versions of the installed inference libraries, none of which is imported."""
    return dict(_versions())


@cache
def gpus() -> tuple[str, ...]:
    """The NVIDIA GPUs and the driver's version, one text each; empty where there is no driver."""
    if (NVIDIA / "version").exists():
        files = sorted((NVIDIA / "gpus").glob("*/information"))
        models = [line for file in files for line in _lines(file) if line.startswith("Model:")]
        return (*(" ".join(model.split()[1:]) for model in models), _lines(NVIDIA / "version")[0])
    from shutil import which

    if which("nvidia-smi") is None:
        return ()
    from ganport_runtime.host import this_host  # where the kernel module says nothing, such as under WSL

    return tuple(f"{gpu.name}, driver {gpu.driver}" for gpu in this_host().gpus)


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


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    return tuple(_installed())


def _installed() -> Iterator[tuple[str, str]]:
    from importlib.metadata import PackageNotFoundError, version

    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
