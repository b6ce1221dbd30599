"""Turns PyTorch networks into bundles: ONNX graphs that are measured against the network before a bundle exists.

from ganport_export import export_run

export_run(Path("runs/emoji"), Path("emoji.ganport"))

PyTorch is loaded with `export_run` and `export_module`; passes, quantization and `optimize` need none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ganport_export.errors import ExportError, ModuleError, Observer, OutputError, ParityError, TraceError

if TYPE_CHECKING:
    from ganport_export.export import export_module, export_run

__all__ = [
    "ExportError",
    "ModuleError",
    "Observer",
    "OutputError",
    "ParityError",
    "TraceError",
    "export_module",
    "export_run",
]


def __getattr__(name: str) -> Any:
    if name not in ("export_module", "export_run"):  # they load PyTorch
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("ganport_export.export"), name)
