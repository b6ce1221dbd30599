"""The facts of a machine that a figure depends on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ganport_runtime.host import this_host

PACKAGES = ("ganport", "numpy", "onnxruntime", "openvino", "torch", "onnx")


def facts() -> dict[str, Any]:
    """CPU, cores that this process may use, load just now, system and package versions."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # first: asking for GPUs would add to it
    host = this_host()
    return {
        "cpu": host.cpu,
        "cores": host.cores,
        "load_average_1min": load,
        "system": host.system,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
