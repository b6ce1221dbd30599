"""Moved to `ganport_runtime.backends.onnxruntime`."""

from ganport_runtime.backends.onnxruntime import CudaSession

__all__ = ["CudaSession"]
