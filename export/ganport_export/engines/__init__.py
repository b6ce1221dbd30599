"""TensorRT engines of a bundle's graphs; TensorRT-RTX builds them on machines that have no GPU."""

from ganport_export.engines.builder import BuiltEngine, build_engines
from ganport_export.engines.libraries import LIBRARIES, PrecisionError, Target, UnsupportedPrecisionError, load_library

__all__ = [
    "LIBRARIES",
    "BuiltEngine",
    "PrecisionError",
    "Target",
    "UnsupportedPrecisionError",
    "build_engines",
    "load_library",
]
