"""The TensorRT family: `tensorrt` 10 and 11, `tensorrt_rtx`; what each can do its module tells, not its version."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ganport_runtime.backends import cuda
from ganport_runtime.backends.tensorrt_fit import EXTRAS

from ganport_export.errors import ExportError

__all__ = ["LIBRARIES", "Library", "check_libraries", "load_library"]

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
    """Load a library and see that it can build here.

    Args:
        name: one of `LIBRARIES`.

    Raises:
        ExportError: it is unknown, not installed, broken, or needs a GPU that is not here; the text has the remedy.
    """
    check_libraries([name])
    module_name = name.replace("-", "_")
    remedy = f"pip install 'ganport[{EXTRAS[module_name]}]'"
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
