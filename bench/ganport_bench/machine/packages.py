"""The versions of what figures depend on; nothing is imported to find them out."""

from importlib.metadata import PackageNotFoundError, version

from ganport_runtime import __version__

__all__ = ["PACKAGES", "versions"]

PACKAGES = (
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "torch",
    "triton",
    "onnx",
    "tensorrt",
    "tensorrt-rtx",
    "tensorrt-lean",
    "cuda-bindings",
    "nvidia-cuda-runtime",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "nvidia-ml-py",
    "mlcommons-loadgen",
    "granian",
    "uvloop",
    "msgspec",
    "grpcio",
    "litserve",
    "tritonclient",
    "nvidia-pytriton",
)


def versions() -> dict[str, str | None]:
    """Each package's version, or None where it is not installed."""
    return {"ganport": __version__, **{name: _version(name) for name in PACKAGES}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
