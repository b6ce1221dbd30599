"""TensorRT engines of a bundle's graphs; TensorRT-RTX builds them on machines that have no GPU."""

from ganport_export.engines.build import build_engines
from ganport_export.engines.engine_builder import BuiltEngine, EngineBuilder
from ganport_export.engines.errors import PrecisionError, UnsupportedPrecisionError
from ganport_export.engines.libraries import LIBRARIES, Library, check_libraries, load_library
from ganport_export.engines.target import Target

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
