"""TensorRT engines of a bundle's graphs; TensorRT-RTX builds them on machines that have no GPU."""

from ganport_export.engines.builder import BuiltEngine, EngineBuilder, build_engines
from ganport_export.engines.libraries import (
    LIBRARIES,
    Library,
    PrecisionError,
    Target,
    UnsupportedPrecisionError,
    check_libraries,
    load_library,
)

__all__ = [
    "LIBRARIES",
    "BuiltEngine",
    "EngineBuilder",
    "Library",
    "PrecisionError",
    "Target",
    "UnsupportedPrecisionError",
    "build_engines",
    "check_libraries",
    "load_library",
]
