"""Moved to `ganport_runtime.backends.onnxruntime`."""

from ganport_runtime.backends.onnxruntime import OnnxRuntimeCudaSession

__all__ = ["OnnxRuntimeCudaSession"]
