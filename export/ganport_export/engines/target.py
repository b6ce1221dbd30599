"""The GPUs and library versions that an engine is to run on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganport_runtime.backends import cuda

from ganport_export.engines.libraries import Library
from ganport_export.errors import ExportError

__all__ = ["Target", "aim"]

OLDEST_SHARED = (8, 0)  # TensorRT-RTX cannot build one engine for Turing (7.5) and later GPUs alike
AMPERE_ON = "8.0+"  # 8.0 and every later compute capability


@dataclass(frozen=True)
class Target:
    """What an engine is to run on, beside the machine that builds it.

    Args:
        compute_capabilities: such as `("8.6", "8.9")`, for TensorRT-RTX; none: every one that it names from 8.0 on.
            `tensorrt` builds for the GPU that is here.
        hardware_compatible: 8.0 and every later capability, also ones that the library does not know yet.
        version_compatible: later versions of the library as well; `tensorrt` alone can do that.
    """

    compute_capabilities: tuple[str, ...] = ()
    hardware_compatible: bool = False
    version_compatible: bool = False


def aim(config: Any, library: Library, target: Target) -> tuple[str, ...]:
    """Set what a builder's configuration is to build for.

    Returns:
        The compute capabilities for the record: `8.9`, or `8.0+` for 8.0 and every later one.

    Raises:
        ExportError: the library cannot build for the target.
    """
    if target.compute_capabilities and target.hardware_compatible:
        raise ExportError("engines for named compute capabilities are not for all later ones too: choose one of them")
    return (_aim_ahead if library.builds_ahead else _aim_here)(config, library, target)


def _aim_ahead(config: Any, library: Library, target: Target) -> tuple[str, ...]:
    if target.version_compatible:  # its package lacks the lean runtime that such an engine carries
        raise ExportError(f"{library} cannot build engines for later versions of itself")
    if target.hardware_compatible:  # what the library does where it is told no capability
        return (AMPERE_ON,)
    known = _known(library)
    wanted = target.compute_capabilities or tuple(name for name in known if _pair(name) >= OLDEST_SHARED)
    if unknown := [name for name in wanted if name not in known]:
        raise ExportError(f"{library} cannot build for {', '.join(unknown)}, it knows {', '.join(known)}")
    config.num_compute_capabilities = len(wanted)
    for index, name in enumerate(wanted):
        if not config.set_compute_capability(known[name], index):
            raise ExportError(f"{library} does not take compute capability {name}")
    return wanted


def _aim_here(config: Any, library: Library, target: Target) -> tuple[str, ...]:
    if target.compute_capabilities:
        raise ExportError(f"{library} builds for the GPU that is here, not for named ones: leave them out")
    if target.version_compatible:
        config.set_flag(library.module.BuilderFlag.VERSION_COMPATIBLE)
    if target.hardware_compatible:
        config.hardware_compatibility_level = library.module.HardwareCompatibilityLevel.AMPERE_PLUS
        return (AMPERE_ON,)
    return (cuda.compute_capability(),)


def _known(library: Library) -> Mapping[str, Any]:
    """The library's names for capabilities (SM86, SM120) as NVIDIA writes them (8.6, 12.0)."""
    members = library.module.ComputeCapability.__members__.items()
    return {
        f"{found[1]}.{found[2]}": member for name, member in members if (found := re.fullmatch(r"SM(\d+)(\d)", name))
    }


def _pair(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("."))
