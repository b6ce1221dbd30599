"""Moved to `ganport_runtime.backends.openvino`."""

from ganport_runtime.backends.openvino import CompiledModel, compile_model, signature

__all__ = ["CompiledModel", "compile_model", "signature"]
