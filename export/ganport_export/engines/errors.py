"""What can go wrong in building an engine."""

from ganport_export.errors import ExportError

__all__ = ["PrecisionError", "UnsupportedPrecisionError"]


class PrecisionError(ExportError):
    """A graph or an engine that does not compute in the precision that it is called by."""


class UnsupportedPrecisionError(PrecisionError):
    """A library that takes a quantized graph and computes all of it in floating point: that graph gets no engine."""
