"""Which version of which package made a bundle."""

from collections.abc import Mapping
from importlib.metadata import version

from ganport_runtime import __version__

__all__ = ["toolchain"]

PACKAGES = ("numpy", "onnx", "onnx-ir", "onnxruntime", "onnxscript", "torch")


def toolchain() -> Mapping[str, str]:
    """{package: version} of ganport and of everything that an exported graph has gone through."""
    return {"ganport": __version__, **{package: version(package) for package in PACKAGES}}
