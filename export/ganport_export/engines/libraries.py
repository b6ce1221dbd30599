"""The TensorRT family: `tensorrt` 10 and 11, `tensorrt_rtx`, and what each can build for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ganport_runtime.backends import cuda
from ganport_runtime.backends.tensorrt import REMEDIES

from ganport_export.errors import ExportError


class PrecisionError(ExportError):
    """A graph or an engine that does not compute in the precision that it is called by."""


class UnsupportedPrecisionError(PrecisionError):
    """A library that takes a quantized graph and computes all of it in floating point: that graph gets no engine."""


LIBRARIES = ("tensorrt-rtx", "tensorrt")  # as users name them: as their packages are called


@dataclass(frozen=True)
class Library:
    """A library that is installed and can build here."""

    module: Any

    @property
    def name(self) -> str:
        """As manifests name it, which is how Python imports it."""
        return str(self.module.__name__)

    @property
    def version(self) -> str:
        """Its version."""
        return str(self.module.__version__)

    @property
    def builds_ahead(self) -> bool:
        """Whether it builds for GPUs that are named, so that none needs to be here; otherwise for the one that is."""
        return hasattr(self.module, "ComputeCapability")

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def check_libraries(names: Sequence[str]) -> None:
    """Raise `ExportError` for a library that is unknown or named twice; loads none."""
    for name in names:
        if name not in LIBRARIES:
            raise ExportError(f"engines of {name!r} cannot be built: choose from {', '.join(LIBRARIES)}")
    if len(set(names)) < len(names):
        raise ExportError(f"engines {', '.join(names)}: name each library once")


def load_library(name: str) -> Library:
    """Load a library and see that it can build here."""
    check_libraries([name])
    module_name = name.replace("-", "_")
    remedy = REMEDIES[module_name]
    try:
        library = Library(import_module(module_name))
    except ModuleNotFoundError as error:
        raise ExportError(f"{name} is not installed (no module {error.name}); {remedy}") from error
    except (ImportError, OSError) as error:
        raise ExportError(f"{name} is installed and cannot be loaded: {error}") from error
    if not hasattr(library.module, "Builder"):  # tensorrt_lean and tensorrt_dispatch run engines and build none
        raise ExportError(f"the installed {name} holds no builder; {remedy}")
    without_gpu = None if library.builds_ahead else cuda.refusal()
    if without_gpu is not None:
        raise ExportError(f"{name} builds for the GPU that is here: {without_gpu}; or build with tensorrt-rtx")
    return library


OLDEST_SHARED = (8, 0)  # TensorRT-RTX cannot build one engine for Turing (7.5) and later GPUs alike
AMPERE_ON = "8.0+"  # 8.0 and every later compute capability


@dataclass(frozen=True)
class Target:
    """What an engine is to run on, beside the machine that builds it."""

    compute_capabilities: tuple[str, ...] = ()  # for TensorRT-RTX, such as 8.6; none: all that it knows from 8.0 on
    hardware_compatible: bool = False  # 8.0 and every later capability, also ones that the library does not know yet
    version_compatible: bool = False  # later versions of the library as well; `tensorrt` alone can do that


def aim(config: Any, library: Library, target: Target) -> tuple[str, ...]:
    """Set what a builder's configuration is to build for."""
    if target.compute_capabilities and target.hardware_compatible:
        raise ExportError("engines for named compute capabilities are not for all later ones too: choose one of them")
    return (_aim_ahead if library.builds_ahead else _aim_here)(config, library, target)


def _aim_ahead(config: Any, library: Library, target: Target) -> tuple[str, ...]:
    if target.version_compatible:  # its package lacks the lean runtime that such an engine carries
        raise ExportError(f"{library} cannot build engines for later versions of itself")
    if target.hardware_compatible:  # what the library does where it is told no capability
        return (AMPERE_ON,)
    known = _known(library)
    wanted = target.compute_capabilities or tuple(
        name for name in known if tuple(map(int, name.split("."))) >= OLDEST_SHARED
    )
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
