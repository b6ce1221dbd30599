"""What can go wrong in exporting: each text says what was given, what is wanted and what to do."""

__all__ = ["ExportError", "ModuleError", "OutputError", "ParityError", "QuantizeError", "TraceError"]


class ExportError(Exception):
    """Base of every error that a user of the export part can mend."""


class ModuleError(ExportError):
    """A user's own module that cannot be imported, filled with its weights, or run as a generator."""


class TraceError(ExportError):
    """A network that PyTorch cannot turn into an ONNX graph of any batch size."""


class ParityError(ExportError):
    """An ONNX graph that does not compute what the network computes; no bundle is made of it."""


class QuantizeError(ExportError):
    """A graph that has nothing to quantize."""


class OutputError(ExportError):
    """A place where the bundle cannot be written."""
