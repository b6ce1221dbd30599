"""Turns PyTorch networks into bundles: ONNX graphs that are measured against the network before a bundle exists.

from ganport_export import export_run

export_run(Path("runs/emoji"), Path("emoji.ganport"))
"""

from ganport_export.errors import ExportError, ModuleError, OutputError, ParityError, TraceError
from ganport_export.from_module import export_module
from ganport_export.from_run import export_run
from ganport_export.observer import Observer

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
